//! `polygraft inspect --adapters`: what each kind of adapter would add to a backbone.
//!
//! Parameters are counted from the sites. Time is measured: the same tokens run through a session
//! of the untouched backbone and one with the adapter, in turns, on one thread, and the fastest
//! runs are compared, because everything else on a machine only slows a run down. A graph that is
//! not a text encoder is not run, and the table says so.

use polygraft::adapter::{
    self, BottleneckConfig, Component, Ia3Config, InputSignature, LoraConfig, Placement,
};
use polygraft::bundle::Interface;
use polygraft::graph::{Model, Weights};
use polygraft::report::{Align, Table, minus};
use polygraft::runtime::{Engine, Session, SessionOptions, Value};
use polygraft::sites::{Role, Site};
use polygraft::{Code, Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// The number of tokens of the measured text.
const TOKENS: usize = 32;
/// The number of runs of each session; the fastest one counts.
const RUNS: usize = 15;
/// The value of every tensor of a measured adapter; the cost is the same for any value but 0.
const FILL: f32 = 0.01;

/// What one kind of adapter adds.
#[derive(Serialize)]
struct Row {
    kind: &'static str,
    name: String,
    sites: usize,
    parameters: usize,
    /// The duration of a prediction without and with it, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    milliseconds: Option<[f64; 2]>,
    /// Why it cannot attach.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The printed findings.
#[derive(Serialize)]
pub struct Adapters {
    roles: BTreeMap<&'static str, usize>,
    rows: Vec<Row>,
    /// Why nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_measured: Option<String>,
}

/// Inspects every kind.
pub fn inspect(
    engine: impl FnOnce() -> Result<std::sync::Arc<Engine>>,
    model: &Model,
    weights: &Weights,
    sites: &[Site],
) -> Result<Adapters> {
    let mut roles = BTreeMap::new();
    for site in sites {
        *roles.entry(site.role.name()).or_insert(0) += 1;
    }
    let mut rows: Vec<(Component, Row)> =
        kinds(sites).into_iter().map(|kind| row(kind, sites)).collect();
    let measured = engine().and_then(|engine| {
        let bench = Bench::new(&engine, model, weights, sites)?;
        rows.iter_mut().filter(|(_, row)| row.reason.is_none()).try_for_each(|(part, row)| {
            row.milliseconds = Some(bench.measure(part)?);
            Ok(())
        })
    });
    let not_measured = measured.err().map(|error| error.to_string());
    Ok(Adapters { roles, rows: rows.into_iter().map(|(_, row)| row).collect(), not_measured })
}

/// The inspected adapters with their names.
fn kinds(sites: &[Site]) -> Vec<(String, Component)> {
    let lora = LoraConfig::default();
    let used = Role::ALL.iter().filter(|role| sites.iter().any(|site| site.role == **role));
    let every = LoraConfig {
        targets: used.map(|role| format!("@{}", role.name())).collect(),
        ..LoraConfig::default()
    };
    let mut ia3 = Ia3Config::default();
    if ia3.select(sites).is_err() {
        ia3.targets.clear();
    }
    let rank = lora.rank;
    let mut kinds = vec![
        (format!("rank {rank} on {}", lora.targets.join(" and ")), Component::Lora(lora)),
        (format!("rank {rank} on every linear layer"), Component::Lora(every)),
    ];
    for placement in Placement::ALL {
        let bottleneck = BottleneckConfig::of(*placement);
        let place = if bottleneck.attention { "both sub-layers" } else { "the feed-forward" };
        let factor = bottleneck.reduction_factor;
        let name = format!("{}, in {place}, reduction factor {factor}", placement.name());
        kinds.push((name, Component::Bottleneck(bottleneck)));
    }
    let targets: Vec<&str> =
        ia3.targets.iter().chain(&ia3.feed_forward_targets).map(String::as_str).collect();
    kinds.push((format!("on {}", targets.join(", ")), Component::Ia3(ia3)));
    kinds
}

fn row((name, part): (String, Component), sites: &[Site]) -> (Component, Row) {
    let count = part.select(sites).map(|chosen| chosen.len());
    let shapes = adapter::tensor_shapes(std::slice::from_ref(&part), sites);
    let parameters = |shape: &Vec<usize>| shape.iter().product::<usize>();
    let row = Row {
        kind: part.kind().name(),
        name,
        sites: *count.as_ref().unwrap_or(&0),
        parameters: shapes.map_or(0, |shapes| shapes.values().map(parameters).sum()),
        milliseconds: None,
        reason: count.err().map(|error| error.message().to_owned()),
    };
    (part, row)
}

/// A backbone that can be run, with the tokens of one text.
struct Bench<'a> {
    engine: &'a std::sync::Arc<Engine>,
    model: &'a Model,
    weights: &'a Weights,
    sites: &'a [Site],
    output: String,
    inputs: Vec<(String, Value)>,
    bare: Session,
}

impl<'a> Bench<'a> {
    fn new(
        engine: &'a std::sync::Arc<Engine>,
        model: &'a Model,
        weights: &'a Weights,
        sites: &'a [Site],
    ) -> Result<Self> {
        let interface = Interface::read(model, weights, None)?;
        let tokens = TOKENS.min(interface.positions.unwrap_or(TOKENS));
        let ids = interface.embeddings.unwrap_or(1).max(1);
        let row = |value: &dyn Fn(usize) -> i64| {
            Value::i64(&[1, tokens], (0..tokens).map(value).collect())
        };
        let names = &interface.inputs;
        let mut inputs = vec![
            (names.input_ids.clone(), row(&|index| ((index * 7 + 5) % ids) as i64)?),
            (names.attention_mask.clone(), row(&|_| 1)?),
        ];
        if let Some(name) = &names.token_type_ids {
            inputs.push((name.clone(), row(&|_| 0)?));
        }
        let bare = open(engine, model, weights)?;
        let output = interface.output;
        Ok(Self { engine, model, weights, sites, output, inputs, bare })
    }

    /// The durations without and with the adapter, in milliseconds.
    fn measure(&self, component: &Component) -> Result<[f64; 2]> {
        let components = std::slice::from_ref(component);
        let signature = InputSignature::of(components, self.sites)?;
        let mut model = self.model.clone();
        adapter::attach(model.graph_mut()?, self.sites, &signature, true)?;
        let session = open(self.engine, &model, self.weights)?;
        let mut tensors = Vec::new();
        for (name, shape) in adapter::tensor_shapes(components, self.sites)? {
            let values = vec![FILL; shape.iter().product()];
            tensors.push((name, Value::f32(&shape, values)?));
        }
        let (mut without, mut with) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..RUNS {
            without = without.min(self.time(&self.bare, &[])?);
            with = with.min(self.time(&session, &tensors)?);
        }
        Ok([without, with])
    }

    fn time(&self, session: &Session, tensors: &[(String, Value)]) -> Result<f64> {
        let inputs: Vec<(&str, &Value)> =
            self.inputs.iter().chain(tensors).map(|(name, value)| (name.as_str(), value)).collect();
        let start = Instant::now();
        session.run(&inputs, &[&self.output], None)?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }
}

fn open(engine: &std::sync::Arc<Engine>, model: &Model, weights: &Weights) -> Result<Session> {
    let options = SessionOptions { threads: 1, ..SessionOptions::default() };
    Session::open(engine, &model.to_bytes(), Some(weights), &options)
}

impl Adapters {
    /// The findings as JSON.
    pub fn to_json(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|cause| {
            Error::new(Code::Internal, format!("writing adapters as JSON: {cause}"))
        })
    }

    /// The findings as tables for people.
    pub fn text(&self) -> String {
        let mut roles = Table::new(&[("role of a site", Align::Left), ("sites", Align::Right)]);
        for (role, count) in &self.roles {
            roles.row([(*role).to_owned(), count.to_string()]);
        }
        let mut kinds = Table::new(&[
            ("adapter", Align::Left),
            ("form", Align::Left),
            ("sites", Align::Right),
            ("parameters", Align::Right),
            ("adds", Align::Right),
        ]);
        for row in &self.rows {
            let added = row.milliseconds.map_or_else(String::new, |[without, with]| {
                let more = with - without;
                minus(&format!("{more:+.2} ms ({:+.1} %)", 100.0 * more / without))
            });
            let (sites, parameters) = (row.sites.to_string(), row.parameters.to_string());
            kinds.row([row.kind.to_owned(), row.name.clone(), sites, parameters, added]);
        }
        let mut text = format!("{roles}\n{kinds}");
        for row in &self.rows {
            if let Some(reason) = &row.reason {
                text.push_str(&format!("\nno {} {}: {reason}\n", row.kind, row.name));
            }
        }
        match &self.not_measured {
            Some(reason) => text.push_str(&format!("\ntime not measured: {reason}\n")),
            None => text.push_str(&format!(
                "\nadded to a prediction of one text of {TOKENS} tokens on one thread; quickest \
                 of {RUNS} runs\n"
            )),
        }
        text
    }
}
