//! `polygraft gradients`: an output of any ONNX file and its gradients by every adapter tensor.

use polygraft::adapter::{Adapter, Tensor};
use polygraft::console::file::{self, FileToWrite};
use polygraft::console::output::{ExitStatus, Output, path_text};
use polygraft::console::{Global, by_name};
use polygraft::error::{ResultExt, listed};
use polygraft::gradients::{
    self, CheckOptions, Checked, Found, Gradients, VALUES_BYTES_MAX, Verdict,
};
use polygraft::graph::{Model, Weights, prepare};
use polygraft::report::{Align, Table};
use polygraft::runtime::{Engine, Mode, SessionOptions, Value};
use polygraft::sites::find_sites;
use polygraft::{Code, Error, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// The model, with its external data beside it
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
    /// The adapter: a polygraft file, or a safetensors file with its tensors by name
    #[arg(long, value_name = "FILE")]
    adapter: PathBuf,
    /// A safetensors file with the model's inputs by name
    #[arg(long, value_name = "FILE")]
    inputs: PathBuf,
    /// The output, or any other value of the graph
    #[arg(long, value_name = "NAME")]
    output: String,
    /// A safetensors file with one tensor, by which the output is multiplied before it is summed
    #[arg(long, value_name = "FILE")]
    cotangent: PathBuf,
    /// The safetensors file to write, with the output and the gradients
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Compare the gradients with finite differences of the model
    #[arg(long)]
    check: bool,
    /// The number of entries per tensor that are compared
    #[arg(long, default_value_t = CheckOptions::default().entries_max, value_name = "N")]
    #[arg(requires = "check", value_parser = entries)]
    entries: usize,
    /// The seed that selects the entries beside the one with the largest gradient
    #[arg(long, default_value_t = 0, value_name = "N", requires = "check")]
    seed: u64,
    /// How weights are held: lean as shared file pages, fast packed in private memory
    #[arg(long, default_value_t, value_name = "MODE")]
    #[arg(value_parser = by_name(Mode::ALL, Mode::name))]
    mode: Mode,
    /// Threads of one run of the model; 0 takes all cores
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
}

/// A check of no entries would always pass.
fn entries(text: &str) -> std::result::Result<usize, String> {
    let count: usize = text.parse().map_err(|cause| format!("{cause}"))?;
    if count == 0 { Err("expected 1 or more".to_owned()) } else { Ok(count) }
}

pub fn run(args: &Args, global: &Global, output: &Output) -> Result<ExitStatus> {
    let reading = || format!("reading {}", args.onnx.display());
    let mut model = Model::read(&args.onnx)?;
    let weights = Weights::map(&model).context(reading)?;
    prepare(&mut model, &weights).context(reading)?;
    let sites = find_sites(model.graph()?, &weights);
    let adapter = read(&args.adapter)?;
    let adapter = gradients::read_adapter(&adapter, &sites)
        .context(|| format!("reading {}", args.adapter.display()))?;
    let inputs = values(&args.inputs)?;
    let cotangent = cotangent(args)?;
    let file = FileToWrite::create(&args.out)?;
    let engine = Engine::open(global.onnxruntime.as_deref())?;
    let options =
        SessionOptions { mode: args.mode, threads: args.threads, ..SessionOptions::default() };
    let graph = Gradients::open(&engine, &model, &weights, &adapter, &args.output, &options)
        .context(|| format!("deriving the gradients of {}", args.onnx.display()))?;
    let found = graph.run(&adapter.tensors, &inputs, &cotangent)?;
    let checked = if args.check {
        let options = CheckOptions { entries_max: args.entries, seed: args.seed };
        let checked =
            gradients::check(&graph, &adapter.tensors, &inputs, &cotangent, &found, &options);
        Some(checked?)
    } else {
        None
    };
    file.write(&gradients::write_values(&args.output, &found.output, &found.gradients)?)?;
    if output.is_json() {
        output.document(&document(args, &found, checked.as_deref()))?;
    } else {
        output.text(&text(args, &adapter, &found, checked.as_deref()))?;
    }
    if let Some(note) = rounded(&graph, checked.as_deref()) {
        output.note(note);
    }
    let differs = |one: &Checked| one.verdict == Verdict::Differs;
    let failed = checked.is_some_and(|checked| checked.iter().any(differs));
    Ok(if failed { ExitStatus::Failed } else { ExitStatus::Done })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    file::read(path, VALUES_BYTES_MAX)
}

fn values(path: &Path) -> Result<BTreeMap<String, Value>> {
    gradients::read_values(&read(path)?).context(|| format!("reading {}", path.display()))
}

/// The only tensor of the file, or the one with the output's name.
fn cotangent(args: &Args) -> Result<Value> {
    let path = &args.cotangent;
    let mut all = values(path)?;
    if let Some(named) = all.remove(&args.output) {
        return Ok(named);
    }
    let names: Vec<String> = all.keys().cloned().collect();
    match (all.pop_first(), names.len()) {
        (Some((_, only)), 1) => Ok(only),
        _ => Err(Error::new(
            Code::ArgumentInvalid,
            format!(
                "{}: expected one tensor, or one named {:?}; found {}",
                path.display(),
                args.output,
                listed(names)
            ),
        )),
    }
}

/// Why some tensors cannot be checked, if there are any.
fn rounded(graph: &Gradients, checked: Option<&[Checked]>) -> Option<String> {
    let mut all = checked.into_iter().flatten();
    let found = all.any(|one| one.verdict == Verdict::Rounded);
    let nodes = graph.rounding_nodes();
    let first = nodes.first().filter(|_| found)?;
    let count = nodes.len();
    Some(format!(
        "note: {count} nodes round on the way to the output, the first of them {first}; a small \
         change moves what they make by a whole step or not at all, and gradients are passed \
         straight through"
    ))
}

fn document(args: &Args, found: &Found, checked: Option<&[Checked]>) -> serde_json::Value {
    let tensor = |(name, gradient): (&String, &Tensor)| {
        let check = checked.into_iter().flatten().find(|one| one.tensor == *name);
        let check = check.map(|one| {
            json!({"entries": one.entries, "largest": one.largest, "difference": one.difference,
                "tolerance": one.tolerance, "verdict": one.verdict.name()})
        });
        let norm = gradients::norm(&gradient.values);
        json!({"name": name, "shape": gradient.shape, "norm": norm, "check": check})
    };
    let tensors: Vec<_> = found.gradients.iter().map(tensor).collect();
    let output = json!({"name": args.output, "shape": found.output.shape()});
    json!({"output": output, "tensors": tensors, "out": path_text(&args.out)})
}

fn text(args: &Args, adapter: &Adapter, found: &Found, checked: Option<&[Checked]>) -> String {
    let mut table = Table::new(&[
        ("tensor", Align::Left),
        ("shape", Align::Left),
        ("gradient", Align::Right),
        ("difference", Align::Right),
        ("tolerance", Align::Right),
        ("finite differences", Align::Left),
    ]);
    for (name, gradient) in &found.gradients {
        let check = checked.into_iter().flatten().find(|one| one.tensor == *name);
        let number = |value: f64| format!("{value:.2e}");
        let shape = format!("{:?}", gradient.shape);
        let [difference, tolerance, verdict] = match check {
            None => [const { String::new() }; 3],
            Some(one) => {
                [number(one.difference), number(one.tolerance), one.verdict.name().to_owned()]
            }
        };
        let norm = number(gradients::norm(&gradient.values));
        table.row([name.clone(), shape, norm, difference, tolerance, verdict]);
    }
    let mut text = table.to_string();
    let head = adapter.tensors.len() - found.gradients.len();
    if head > 0 {
        text.push_str(&format!("\n{head} tensors of the task's head are not part of the model\n"));
    }
    text.push_str(&format!(
        "\n{} of shape {:?} and {} gradients written to {}\n",
        args.output,
        found.output.shape(),
        found.gradients.len(),
        args.out.display()
    ));
    text
}
