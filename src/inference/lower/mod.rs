//! Lower states: the hidden states below the lowest adapter, computed once for each text.
//!
//! Adapters in the upper layers alone change nothing below them in any step, epoch or version of an
//! update. [`LowerStates`] cuts the graph of a bundle there: one session runs the lower layers,
//! whose states are kept, and the graph that trains and a second session begin at them. Adapters
//! that attach below the cut cannot use the states and run through all layers. This module must
//! never be used for a graph in which the other texts of a run or its padding change the states of
//! a text.
//!
//! Input: encodings, and adapters that a predictor has loaded. Output: states, raw rows.

mod cache;

use super::session::AdapterSession;
use super::{batch, heads};
use crate::adapter::{self, Component, HeadName, InputSignature};
use crate::bundle::{Bundle, Encoding};
use crate::error::{Code, Error, Result, ResultExt};
use crate::graph::{
    GraphProto, Model, Shapes, ValueInfoProto, extract, topological_order, used_values,
    values_behind,
};
use crate::runtime::{Cancel, Session, SessionOptions, Value};
use crate::sites::{Site, StatesBelow, states_below};
pub use cache::KeptStates;
use cache::StateCache;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The largest number of tokens in one run of the lower layers.
const RUN_TOKENS_MAX: usize = 1_024;

/// The states of an update's texts below its lowest adapter.
pub struct LowerStates {
    bundle: Arc<Bundle>,
    found: StatesBelow,
    /// From texts to states.
    lower: Session,
    /// From states to the outputs of the heads; absent where it cannot be opened.
    upper: OnceLock<Option<Session>>,
    cache: Mutex<StateCache>,
}

impl LowerStates {
    /// Cuts the encoder's graph below adapters of these components and opens the session of the
    /// lower layers. States that fill `memory_bytes_max` are kept in memory, others in `file`, or
    /// not at all. `None` when there is nothing to save: an adapter attaches in the lowest layer,
    /// the graph has no states of each token alone, or the bundle says that each text runs alone.
    ///
    /// # Errors
    /// As [`Component::select`] and [`Session::open`].
    pub(super) fn open(
        encoder: &AdapterSession,
        options: SessionOptions,
        components: &[&[Component]],
        memory_bytes_max: u64,
        file: Option<File>,
    ) -> Result<Option<Self>> {
        let bundle = encoder.bundle();
        if bundle.runs_alone() {
            return Ok(None);
        }
        let mut signature = InputSignature::default();
        for components in components {
            signature.admit(components, encoder.sites())?;
        }
        let mut model = bundle.encoder().clone();
        let graph = model.graph_mut()?;
        let own_count = graph.input.len();
        adapter::attach(graph, encoder.sites(), &signature, false)?;
        let adapters = graph.input.iter().skip(own_count).map(ValueInfoProto::name).collect();
        let shapes = Shapes::infer(graph, bundle.interface().opset, Some(bundle.weights()))?;
        let (text, output) = (&bundle.interface().inputs.input_ids, &bundle.interface().output);
        let found = states_below(graph, bundle.weights(), &shapes, text, &adapters, output)?;
        let Some(found) = found else { return Ok(None) };
        let texts = graph.input.iter().take(own_count).cloned().collect();
        *graph = part(graph, texts, vec![found.found.to_value_info(&found.value)])?;
        let options = SessionOptions { keep_memory: true, ..options };
        let opening = || "opening the lower layers".to_owned();
        let lower = Session::open_model(encoder.engine(), model, Some(bundle.weights()), &options)
            .context(opening)?;
        let cache = Mutex::new(StateCache::new(memory_bytes_max, file));
        let bundle = bundle.clone();
        Ok(Some(Self { bundle, found, lower, upper: OnceLock::new(), cache }))
    }

    /// The input for the states in a graph that begins at them.
    pub fn input(&self) -> &str {
        &self.found.value
    }

    /// Cuts `model`, a graph made of the encoder's, to what computes `outputs` from the states.
    /// `None` when one of the inputs named `changing` lies below the states.
    ///
    /// # Errors
    /// [`Code::GraphMalformed`] for a graph with a cycle.
    pub fn cut(
        &self,
        model: &Model,
        changing: &[String],
        outputs: Vec<ValueInfoProto>,
    ) -> Result<Option<Model>> {
        let graph = model.graph()?;
        let below = values_behind(graph, &[self.input()])?;
        if changing.iter().any(|name| below.contains(name)) {
            return Ok(None);
        }
        let defaults: HashSet<&str> =
            graph.initializer.iter().map(|tensor| tensor.name()).collect();
        let given = graph.input.iter().filter(|info| !defaults.contains(info.name()));
        let states = self.found.found.to_value_info(self.input());
        let graph = part(graph, given.cloned().chain([states]).collect(), outputs)?;
        let mut cut = model.clone();
        cut.proto.graph = Some(graph);
        Ok(Some(cut))
    }

    /// The states of texts, `[texts, longest, size]`, with zeros for padding. Those that are not
    /// kept yet are computed, and kept where there is room.
    ///
    /// # Errors
    /// The errors of a run and of reading the file.
    pub fn states(&self, texts: &[&Encoding]) -> Result<Value> {
        let size = self.found.size;
        let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
        let mut values = vec![0.0; texts.len() * longest * size];
        let mut missing = Vec::new();
        {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            let rows = values.chunks_exact_mut((longest * size).max(1));
            for (position, (row, text)) in rows.zip(texts).enumerate() {
                if !cache.read(text, &mut row[..text.ids.len() * size])? {
                    missing.push(position);
                }
            }
        }
        let absent: Vec<&Encoding> = missing.iter().map(|&position| texts[position]).collect();
        self.compute(&absent, &mut |index, found| {
            let start = missing[index] * longest * size;
            values[start..start + found.len()].copy_from_slice(found);
        })?;
        Value::f32(&[texts.len(), longest, size], values)
    }

    /// Whether the states of all these texts are kept.
    pub fn has_all(&self, texts: &[&Encoding]) -> bool {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        texts.iter().all(|text| cache.has(text))
    }

    /// Computes and keeps the states of those texts that are not kept yet.
    ///
    /// # Errors
    /// The errors of a run.
    pub fn prepare(&self, texts: &[&Encoding]) -> Result<()> {
        let absent: Vec<&Encoding> = {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            // What is not kept would be computed again where it is needed.
            if cache.is_full() {
                return Ok(());
            }
            let mut seen = HashSet::new();
            let texts = texts.iter().copied().filter(|text| !cache.has(text));
            texts.filter(|text| seen.insert((&text.ids, &text.type_ids))).collect()
        };
        self.compute(&absent, &mut |_, _| {})
    }

    /// How many states are kept.
    pub fn kept(&self) -> KeptStates {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).kept()
    }

    /// Runs the lower layers and keeps what they make. Only texts of equal length run together, so
    /// that there is no padding, and the states of a text do not depend on which others were kept.
    fn compute(&self, texts: &[&Encoding], on_states: &mut dyn FnMut(usize, &[f32])) -> Result<()> {
        let mut by_length = BTreeMap::<usize, Vec<usize>>::new();
        for (index, text) in texts.iter().enumerate() {
            by_length.entry(text.ids.len()).or_default().push(index);
        }
        for (length, indices) in by_length.into_iter().filter(|(length, _)| *length > 0) {
            for indices in indices.chunks((RUN_TOKENS_MAX / length).max(1)) {
                let chosen: Vec<&Encoding> = indices.iter().map(|&index| texts[index]).collect();
                let found = self.run(&chosen, length)?;
                let states = found.as_f32()?.chunks_exact(length * self.found.size);
                for (index, states) in indices.iter().zip(states) {
                    let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                    cache.keep(texts[*index], states);
                    drop(cache);
                    on_states(*index, states);
                }
            }
        }
        Ok(())
    }

    /// The states of texts of one length.
    fn run(&self, texts: &[&Encoding], length: usize) -> Result<Value> {
        let batch = batch::encode(&self.bundle, texts)?;
        let found = self.lower.run(&taken(&self.lower, &batch), &[self.input()], None)?.pop();
        let shape = [texts.len(), length, self.found.size];
        let fits = |found: &Value| {
            let own = found.shape().iter().map(|&extent| usize::try_from(extent).unwrap_or(0));
            own.eq(shape)
        };
        found.filter(fits).ok_or_else(|| {
            let message = format!("the lower layers did not make states of the shape {shape:?}");
            Error::new(Code::RuntimeFailed, message)
        })
    }

    /// Opens the session from states to the outputs of the heads. It has those adapter inputs of
    /// `signature` that lie above the states.
    fn open_upper(
        &self,
        encoder: &AdapterSession,
        signature: &InputSignature,
        options: &SessionOptions,
    ) -> Result<Option<Session>> {
        let mut model = self.bundle.encoder().clone();
        let graph = model.graph_mut()?;
        let own_count = graph.input.len();
        let above = sites_above(graph, encoder.sites(), self.input());
        adapter::attach(graph, encoder.sites(), &signature.within(&above), true)?;
        let inputs = graph.input.iter().skip(own_count);
        let changing: Vec<String> = inputs.map(|info| info.name().to_owned()).collect();
        let outputs_before = graph.output.len();
        let (interface, pooler) = (self.bundle.interface(), self.bundle.pooler());
        heads::add(graph, interface, &pooler, &HeadName::ALL, true);
        let outputs = graph.output[outputs_before..].to_vec();
        let Some(cut) = self.cut(&model, &changing, outputs)? else { return Ok(None) };
        Session::open_model(encoder.engine(), cut, Some(self.bundle.weights()), options).map(Some)
    }

    /// Runs texts from their states on with the tensors of an adapter; `None` when the adapter also
    /// has tensors below the states.
    ///
    /// # Errors
    /// The errors of a run and of [`LowerStates::states`].
    pub(super) fn outputs(
        &self,
        encoder: &AdapterSession,
        options: &SessionOptions,
        texts: &[&Encoding],
        tensors: &[(String, Value)],
        outputs: &[&str],
        cancel: Option<&Cancel>,
    ) -> Result<Option<Vec<Value>>> {
        let opened = self.upper.get_or_init(|| {
            // Without this session, texts run through all layers, which fails with its own error.
            self.open_upper(encoder, &encoder.signature(), options).unwrap_or(None)
        });
        let Some(upper) = opened else { return Ok(None) };
        let is_above = |name: &String| upper.optional_input_names().contains(name);
        if !tensors.iter().all(|(name, _)| is_above(name)) {
            return Ok(None);
        }
        let states = self.states(texts)?;
        let batch = batch::encode(&self.bundle, texts)?;
        let mut values = taken(upper, &batch);
        values.push((self.input(), &states));
        values.extend(tensors.iter().map(|(name, value)| (name.as_str(), value)));
        upper.run(&values, outputs, cancel).map(Some)
    }
}

/// Those inputs of a batch that a session takes: what has moved below the states needs no ids.
fn taken<'a>(session: &Session, batch: &'a [(&'a str, Value)]) -> Vec<(&'a str, &'a Value)> {
    let is_taken = |name: &str| session.input_names().iter().any(|input| input == name);
    let own = batch.iter().filter(|(name, _)| is_taken(name));
    own.map(|(name, value)| (*name, value)).collect()
}

/// The part of a graph between these values, with those inputs that it uses.
fn part(
    graph: &GraphProto,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
) -> Result<GraphProto> {
    let mut part = extract(graph, inputs, outputs)?;
    let used: HashSet<String> = part.node.iter().flat_map(used_values).map(str::to_owned).collect();
    part.input.retain(|info| used.contains(info.name()));
    Ok(part)
}

/// The sites all of whose uses depend on a value.
fn sites_above(graph: &GraphProto, sites: &[Site], value: &str) -> Vec<Site> {
    let mut above: HashSet<&str> = HashSet::from([value]);
    let Ok(order) = topological_order(graph) else { return Vec::new() };
    for node in order.into_iter().map(|position| &graph.node[position]) {
        if used_values(node).iter().any(|name| above.contains(name)) {
            above.extend(node.output.iter().map(String::as_str));
        }
    }
    let is_above = |position: &usize| {
        let made = graph.node.get(*position).and_then(|node| node.output.first());
        made.is_some_and(|made| above.contains(made.as_str()))
    };
    sites.iter().filter(|site| site.nodes.iter().all(is_above)).cloned().collect()
}
