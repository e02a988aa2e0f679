//! The prefix that an exporter's wrapper added to a backbone's layers.
//!
//! Unknown architectures keep their names.

use super::options::WriteOptions;
use super::prefix::{dotted, end_of, is_number};
use crate::sites::Site;

/// The trunks of known architectures: the names directly before the number of a layer.
const TRUNKS: [&str; 11] = [
    "attentions",
    "decoder.block",
    "decoder.layers",
    "encoder.albert_layer_groups",
    "encoder.block",
    "encoder.layer",
    "encoder.layers",
    "h",
    "layers",
    "text_model.encoder.layers",
    "transformer.layer",
];

/// The prefix of the sites' paths that is not written: the one of the options, or else the
/// wrapper's.
pub fn within(options: &WriteOptions, sites: &[&Site]) -> String {
    dotted(options.within.as_deref()).unwrap_or_else(|| wrapper(sites.iter().copied()).to_owned())
}

/// The prefix of an exporter's wrapper: what is before the trunk of a known architecture in every
/// site. Empty when the sites have the model's own names, or when the architecture is unknown.
fn wrapper<'s>(sites: impl Iterator<Item = &'s Site> + Clone) -> &'s str {
    let before = |site: &'s Site| -> Option<&'s str> {
        let (number, _) = site
            .module
            .match_indices('.')
            .find(|(dot, _)| site.module[dot + 1..].split('.').next().is_some_and(is_number))?;
        let trunk = &site.module[..number];
        let ends = TRUNKS.into_iter().filter_map(|known| end_of(trunk, known));
        ends.min_by_key(|before| before.len())
    };
    let found = sites.clone().find_map(before).unwrap_or("");
    let mut all = sites.map(|site| site.module.as_str());
    if all.all(|module| module.starts_with(found)) { found } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::Role;

    fn site(module: &str) -> Site {
        let module = module.to_owned();
        Site { module, nodes: Vec::new(), inputs: 2, outputs: 2, role: Role::Other }
    }

    #[test]
    fn wrappers_of_known_architectures_are_told() {
        for (module, expected) in [
            ("encoder.layer.0.attention.self.query", ""),
            ("m.encoder.layer.0.attention.self.query", "m."),
            ("bert.encoder.layer.11.output.dense", "bert."),
            ("distilbert.transformer.layer.3.ffn.lin1", "distilbert."),
            ("a.b.text_model.encoder.layers.0.mlp.fc1", "a.b."),
            ("net.blocks.0.fc", ""),
            ("pooler.dense", ""),
        ] {
            assert_eq!(wrapper([site(module)].iter()), expected, "{module}");
        }
        assert_eq!(wrapper([site("m.encoder.layer.0.q"), site("head")].iter()), "");
    }
}
