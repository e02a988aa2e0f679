//! `polygraft inspect`: what a `.onnx` file or a bundle contains, and where adapters can attach.

use crate::inspect_adapters::{self, Adapters};
use polygraft::Result;
use polygraft::bundle::{self, Bundle, Inspection};
use polygraft::console::output::{ExitStatus, Output, size};
use polygraft::console::{Global, VerifyArgs};
use polygraft::error::ResultExt;
use polygraft::graph::{Model, Weights, prepare};
use polygraft::report::{Align, Table};
use polygraft::runtime::Engine;
use polygraft::sites::{Site, find_sites};
use polygraft::update::{Trainability, trainability};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// A .onnx file or the folder of a bundle
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// List every site instead of one line per kind of site
    #[arg(long)]
    sites: bool,
    /// Also print what each kind of adapter would add, in parameters and in measured time
    #[arg(long)]
    adapters: bool,
    #[command(flatten)]
    verify: VerifyArgs,
}

/// The facts about a bundle beside its model.
struct BundleFacts {
    lines: Vec<(&'static str, String)>,
    json: serde_json::Value,
}

/// Everything that is printed.
struct Findings {
    inspection: Inspection,
    sites: Vec<Site>,
    trainability: Trainability,
    adapters: Option<Adapters>,
    bundle: Option<BundleFacts>,
}

/// The largest number of nodes without gradients that are printed as text.
const OBSTACLES_SHOWN_MAX: usize = 5;

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<ExitStatus> {
    let findings = if args.path.is_dir() {
        let bundle = args.verify.open(&args.path, global.progress)?;
        // The bundle's model in memory is prepared for adapters; this shows what the file contains.
        let model = Model::read(&bundle.folder().join(&bundle.manifest().backbone.graph))?;
        find(args, global, &model, bundle.weights(), Some(facts(&bundle)?))?
    } else {
        let reading = || format!("reading {}", args.path.display());
        let model = Model::read(&args.path).context(reading)?;
        let weights = Weights::map(&model).context(reading)?;
        find(args, global, &model, &weights, None).context(reading)?
    };
    if output.is_json() {
        print_json(findings, output)?;
    } else {
        output.text(&text(args, findings))?;
    }
    Ok(ExitStatus::Done)
}

fn find(
    args: &Args,
    global: &Global,
    model: &Model,
    weights: &Weights,
    bundle: Option<BundleFacts>,
) -> Result<Findings> {
    let mut prepared = model.clone();
    prepare(&mut prepared, weights)?;
    let sites = find_sites(prepared.graph()?, weights);
    let adapters = args.adapters.then(|| {
        let engine = || Engine::open(global.onnxruntime.as_deref());
        inspect_adapters::inspect(engine, &prepared, weights, &sites)
    });
    Ok(Findings {
        inspection: bundle::inspect(model, weights)?,
        trainability: trainability(&prepared, weights)?,
        adapters: adapters.transpose()?,
        sites,
        bundle,
    })
}

fn facts(bundle: &Bundle) -> Result<BundleFacts> {
    let manifest = bundle.manifest();
    let mut lines = vec![
        ("backbone", bundle.backbone_hash().to_owned()),
        ("identity", bundle.identity()),
        ("pooling", manifest.pooling.to_string()),
        ("prefix", format!("{:?}", manifest.prefix)),
        ("tokens", format!("at most {}", manifest.tokens_max)),
    ];
    if let Some(layers) = &bundle.reading().layers {
        lines.push(("layers", layers.clone()));
    }
    if let Some(decoder) = &manifest.decoder {
        let cache = if decoder.with_past.is_some() { "with" } else { "without" };
        let (layers, logits) = (decoder.interface.layers(), decoder.interface.vocabulary);
        lines.push(("decoder", format!("{layers} layers, {logits} logits, {cache} cache")));
        lines.push(("targets", format!("at most {} tokens", decoder.tokens_max)));
    }
    for file in &manifest.files {
        lines.push(("file", format!("{} ({})", file.path, size(file.size_bytes))));
    }
    let json = serde_json::to_value(manifest).map_err(|cause| {
        let message = format!("writing the manifest as JSON: {cause}");
        polygraft::Error::new(polygraft::Code::Internal, message)
    })?;
    Ok(BundleFacts { lines, json })
}

fn print_json(findings: Findings, output: &Output) -> Result<()> {
    let Findings { inspection, sites, trainability, adapters, bundle } = findings;
    let site = |site: &Site| {
        let Site { module, inputs, outputs, role, .. } = site;
        json!({"module": module, "inputs": inputs, "outputs": outputs, "role": role.name()})
    };
    let sites: Vec<_> = sites.iter().map(site).collect();
    let manifest = bundle.map(|facts| facts.json);
    let mut document = json!({
        "model": inspection,
        "sites": sites,
        "training": trainability,
        "manifest": manifest,
    });
    if let Some(adapters) = adapters {
        document["adapters"] = adapters.to_json()?;
    }
    output.document(&document)
}

/// The lines that say whether adapters can be trained.
fn trainable_lines(found: &Trainability) -> Vec<String> {
    let Some(output) = &found.output else {
        return vec!["no: the model has no output of floats".to_owned()];
    };
    if found.sites == 0 {
        return vec!["no: the model has no linear layer with a frozen weight".to_owned()];
    }
    if found.trainable {
        return vec![format!("yes: gradients of {output} reach the adapter sites")];
    }
    let shown = found.obstacles.iter().take(OBSTACLES_SHOWN_MAX);
    let mut lines: Vec<String> = shown.map(|obstacle| format!("no: {obstacle}")).collect();
    if found.obstacles.len() > OBSTACLES_SHOWN_MAX {
        let more = found.obstacles.len() - OBSTACLES_SHOWN_MAX;
        lines.push(format!("no: and {more} more nodes; --json prints all"));
    }
    lines
}

fn text(args: &Args, findings: Findings) -> String {
    let Findings { inspection, sites, trainability, adapters, bundle } = findings;
    let mut text = format!("{}\n", args.path.display());
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<9}  {value}\n"));
    for (name, value) in bundle.into_iter().flat_map(|facts| facts.lines) {
        line(name, value);
    }
    if !inspection.producer.is_empty() {
        line("producer", inspection.producer.clone());
    }
    let opsets = inspection.opsets.iter().map(|(domain, version)| format!("{domain} {version}"));
    line("operators", format!("of {}", opsets.collect::<Vec<_>>().join(", ")));
    let types: Vec<&str> = inspection.types.keys().map(String::as_str).collect();
    let (all, outside) = (&inspection.weights, &inspection.external);
    line(
        "weights",
        format!(
            "{} tensors, {} ({}); {} in external files",
            all.count,
            size(all.size_bytes),
            types.join(", "),
            size(outside.size_bytes)
        ),
    );
    for found in trainable_lines(&trainability) {
        line("trainable", found);
    }
    text.push('\n');
    text.push_str(&values(&inspection).to_string());
    text.push('\n');
    text.push_str(&operators(&inspection).to_string());
    text.push('\n');
    text.push_str(&site_table(&sites, args.sites).to_string());
    if let Some(adapters) = adapters {
        text.push_str(&format!("\n{}", adapters.text()));
    }
    text
}

fn values(inspection: &Inspection) -> Table {
    let mut table =
        Table::new(&[("value", Align::Left), ("name", Align::Left), ("type", Align::Left)]);
    let inputs = inspection.inputs.iter().map(|value| ("input", value));
    for (kind, value) in inputs.chain(inspection.outputs.iter().map(|value| ("output", value))) {
        let shape = value.shape.as_ref().map(|shape| shape.join(", "));
        let shape = shape.map_or_else(|| " of unknown rank".to_owned(), |dims| format!("[{dims}]"));
        table.row([kind.to_owned(), value.name.clone(), format!("{}{shape}", value.data_type)]);
    }
    table
}

fn operators(inspection: &Inspection) -> Table {
    let mut table = Table::new(&[("operator", Align::Left), ("nodes", Align::Right)]);
    let mut counts: Vec<_> = inspection.operators.iter().collect();
    counts.sort_by(|(name, count), (other, others)| others.cmp(count).then(name.cmp(other)));
    for (name, count) in counts {
        table.row([name.clone(), count.to_string()]);
    }
    table
}

/// One line per site, or per kind: the sites of all layers with the same last name and size.
fn site_table(sites: &[Site], every: bool) -> Table {
    let mut table = Table::new(&[
        ("adapter site", Align::Left),
        ("inputs", Align::Right),
        ("outputs", Align::Right),
        ("sites", Align::Right),
    ]);
    let mut kinds = BTreeMap::<(String, usize, usize), usize>::new();
    for site in sites {
        let name = if every { site.module.clone() } else { kind(&site.module) };
        *kinds.entry((name, site.inputs, site.outputs)).or_default() += 1;
    }
    for ((name, inputs, outputs), count) in kinds {
        table.row([name, inputs.to_string(), outputs.to_string(), count.to_string()]);
    }
    table
}

/// The path of a site with `*` for its layer number.
fn kind(module: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = module.split('.').map(|part| if is_number(part) { "*" } else { part });
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_of_all_layers_are_one_kind() {
        assert_eq!(
            kind("encoder.layer.11.attention.self.query"),
            "encoder.layer.*.attention.self.query"
        );
        let site = |layer: usize| Site {
            module: format!("layer.{layer}.query"),
            nodes: vec![layer],
            inputs: 384,
            outputs: 384,
            role: polygraft::sites::Role::Other,
        };
        let sites: Vec<Site> = (0..12).map(site).collect();
        assert_eq!(site_table(&sites, false).len(), 1);
        assert_eq!(site_table(&sites, true).len(), 12);
    }
}
