//! The layers of a backbone: which layer a site lies in, by the number in its module path.

use super::site::Site;

impl Site {
    /// The path of the layer that the module lies in, which ends with the first number:
    /// `encoder.layer.11`. `None` where the path has no number.
    pub fn layer(&self) -> Option<&str> {
        let mut end = 0;
        for part in self.module.split('.') {
            end += part.len();
            if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
                return self.module.get(..end);
            }
            end += 1;
        }
        None
    }
}

/// Those of `sites`, which are in graph order, that lie in the `count` layers at the end of the
/// graph; `None` when a site lies in no layer.
pub fn in_top_layers<'a>(sites: &[&'a Site], count: usize) -> Option<Vec<&'a Site>> {
    let mut layers: Vec<&str> = Vec::new();
    for site in sites {
        let layer = site.layer()?;
        if !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    let top = &layers[layers.len().saturating_sub(count)..];
    let is_top = |site: &&Site| site.layer().is_some_and(|layer| top.contains(&layer));
    Some(sites.iter().copied().filter(is_top).collect())
}

#[cfg(test)]
mod tests {
    use super::super::site::Role;
    use super::*;

    fn sites(modules: &[&str]) -> Vec<Site> {
        let site = |module: &&str| Site {
            module: (*module).to_owned(),
            nodes: Vec::new(),
            inputs: 1,
            outputs: 1,
            role: Role::Other,
        };
        modules.iter().map(site).collect()
    }

    fn top(modules: &[&str], count: usize) -> Option<Vec<String>> {
        let sites = sites(modules);
        let found = in_top_layers(&sites.iter().collect::<Vec<_>>(), count)?;
        Some(found.into_iter().map(|site| site.module.clone()).collect())
    }

    #[test]
    fn a_layer_ends_with_the_first_number() {
        let named = sites(&["encoder.block.10.layer.0.q", "h.2", "pooler.dense", "a..7b.c"]);
        let layers: Vec<_> = named.iter().map(Site::layer).collect();
        assert_eq!(layers, [Some("encoder.block.10"), Some("h.2"), None, None]);
    }

    /// Layer 10 comes after layer 9 whatever their names' order, and the decoder after the encoder.
    #[test]
    fn the_top_layers_are_the_last_ones_of_the_graph() {
        let modules = ["l.9.q", "l.9.v", "l.10.q", "l.10.v", "d.0.q"];
        let last = |count: usize| Some(modules[count..].iter().map(|&m| m.to_owned()).collect());
        assert_eq!(top(&modules, 1), last(4));
        assert_eq!(top(&modules, 2), last(2));
        assert_eq!(top(&modules, 9), last(0));
        assert_eq!(top(&["l.9.q", "pooler"], 1), None);
    }
}
