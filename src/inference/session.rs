//! A session with adapter inputs, which grows to serve every kind of adapter.
//!
//! The session begins with the low-rank inputs that most adapters need, so that usual predictions
//! pay for nothing else. An adapter that needs more inputs makes the signature grow once: a session
//! with the union is opened over the same mapped weights and replaces the first one. Runs in
//! progress finish on their session, and loaded adapters keep their inputs, which every later
//! session also has. Before the first adapter runs on a session, a proof shows that it has an
//! effect.

use super::heads;
use super::proof::Proof;
use super::side_by_side::{RANKS, runs_apart};
use crate::adapter::{self, Adapter, Component, InputSignature, Renamed};
use crate::bundle::Bundle;
use crate::error::{Code, Error, Result, ResultExt};
use crate::graph::{GraphProto, Model};
use crate::runtime::{Cancel, Engine, Session, SessionOptions, Value};
use crate::sites::{Site, find_sites};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// Adds heads to a graph of the bundle's backbone.
pub type AddHeads = fn(&mut GraphProto, &Bundle);

/// The graph of a bundle that a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From texts to hidden states.
    Encoder,
    /// From hidden states and a complete target to logits and caches.
    Decoder,
    /// From one more target token and the caches to logits and caches.
    DecoderWithPast,
}

impl Stage {
    fn model(self, bundle: &Bundle) -> Result<&Model> {
        let graphs = bundle.graphs();
        let found = match self {
            Self::Encoder => Some(bundle.encoder()),
            Self::Decoder => graphs.map(|graphs| &graphs.decoder),
            Self::DecoderWithPast => graphs.and_then(|graphs| graphs.with_past.as_ref()),
        };
        found.ok_or_else(|| {
            let what = match self {
                Self::Encoder => "an encoder",
                Self::Decoder => "a decoder",
                Self::DecoderWithPast => "a decoder with a cache",
            };
            let message = format!("the bundle has no graph of {what}");
            Error::new(Code::GraphUnsupported, message)
        })
    }

    /// The input that says which ranks belong to which text; generation runs one adapter at a time.
    fn ranks_input(self) -> Option<&'static str> {
        (self == Self::Encoder).then_some(RANKS)
    }

    /// The output that adapters must change.
    fn output(self, bundle: &Bundle) -> Result<&str> {
        match self {
            Self::Encoder => Ok(&bundle.interface().output),
            Self::Decoder | Self::DecoderWithPast => Ok(&bundle.decoder()?.interface.logits),
        }
    }

    /// A short text as values of an integer input.
    fn row(self, bundle: &Bundle, name: &str) -> Vec<i64> {
        let inputs = &bundle.interface().inputs;
        let [first, second] = two_tokens(bundle);
        if name == inputs.attention_mask {
            return vec![1, 1];
        }
        if Some(name) == inputs.token_type_ids.as_deref() {
            return vec![0, 0];
        }
        // With a cache, a step has one token.
        let is_target = name != inputs.input_ids;
        if is_target && self == Self::DecoderWithPast { vec![first] } else { vec![first, second] }
    }
}

/// What a session is opened over: its graph, its heads and the sites that adapters can have.
struct SessionPlan {
    engine: Arc<Engine>,
    bundle: Arc<Bundle>,
    stage: Stage,
    options: SessionOptions,
    add_heads: AddHeads,
    /// The sites that adapters are checked against.
    sites: Vec<Site>,
    /// The sites in the graph of this stage.
    stage_sites: Vec<Site>,
}

/// A session over one graph of a bundle. Threads can share it.
pub struct AdapterSession {
    plan: SessionPlan,
    live: RwLock<Arc<Live>>,
    /// Held while a session is opened; runs and loaded adapters do not wait for it.
    growing: Mutex<()>,
}

/// A session and its adapter inputs.
struct Live {
    session: Session,
    signature: InputSignature,
    proof: Proof,
    /// Whether texts with different adapters may share a run; tested when it is first asked.
    runs_apart: OnceLock<bool>,
}

/// Two different token ids of the tokenizer, neither of which is the padding.
pub(super) fn two_tokens(bundle: &Bundle) -> [i64; 2] {
    let count = bundle.tokenizer().vocabulary_size();
    let pad = bundle.tokenizer().pad_id() as usize;
    // Special tokens are at the beginning or at the end.
    let beside = |id: usize| if id == pad { id.saturating_sub(1) } else { id };
    [beside(count / 3), beside(count - count / 3)].map(|id| id.min(count.max(1) - 1) as i64)
}

impl AdapterSession {
    /// Opens a session from texts to hidden states with the inputs of `components`. Its adapters
    /// are for the encoder alone.
    ///
    /// # Errors
    /// As [`Component::select`]; [`crate::Code::RuntimeFailed`] when ONNX Runtime refuses the
    /// graph.
    pub fn open(
        engine: &Arc<Engine>,
        bundle: &Arc<Bundle>,
        options: SessionOptions,
        components: &[Component],
        add_heads: AddHeads,
    ) -> Result<Self> {
        let sites = find_sites(bundle.encoder().graph()?, bundle.weights());
        let plan = SessionPlan {
            engine: engine.clone(),
            bundle: bundle.clone(),
            stage: Stage::Encoder,
            options,
            add_heads,
            stage_sites: sites.clone(),
            sites,
        };
        Self::open_plan(plan, components)
    }

    /// Opens the session of one stage of generation with the inputs of `components` that lie in it.
    /// Its adapters are for encoder and decoder together.
    ///
    /// # Errors
    /// As [`AdapterSession::open`]; [`Code::GraphUnsupported`] when the bundle does not have this
    /// stage.
    pub fn open_stage(
        engine: &Arc<Engine>,
        bundle: &Arc<Bundle>,
        stage: Stage,
        options: SessionOptions,
        components: &[Component],
    ) -> Result<Self> {
        let plan = SessionPlan {
            engine: engine.clone(),
            bundle: bundle.clone(),
            stage,
            options,
            add_heads: |_, _| {},
            sites: find_sites(bundle.model().graph()?, bundle.weights()),
            stage_sites: find_sites(stage.model(bundle)?.graph()?, bundle.weights()),
        };
        Self::open_plan(plan, components)
    }

    fn open_plan(plan: SessionPlan, components: &[Component]) -> Result<Self> {
        let signature = InputSignature::of(components, &plan.sites)?;
        let live = RwLock::new(Arc::new(Live::open(&plan, signature)?));
        Ok(Self { plan, live, growing: Mutex::new(()) })
    }

    /// The engine of the session.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.plan.engine
    }

    /// The bundle that the session was opened from.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.plan.bundle
    }

    /// All sites for adapters of this session, in graph order.
    pub fn sites(&self) -> &[Site] {
        &self.plan.sites
    }

    /// The adapter inputs of the current session.
    pub(super) fn signature(&self) -> InputSignature {
        self.live().signature.clone()
    }

    /// Whether every run needs this input.
    pub fn takes(&self, name: &str) -> bool {
        self.live().session.input_names().iter().any(|input| input == name)
    }

    /// The number of inputs with defaults: the tensors of adapters and the heads.
    pub fn adapter_inputs_count(&self) -> usize {
        let live = self.live();
        let names = live.session.optional_input_names();
        names.iter().filter(|name| *name != RANKS).count()
    }

    /// Checks an adapter against the backbone and makes its tensors run inputs, with the scales of
    /// its components folded in. The session grows if necessary.
    ///
    /// # Errors
    /// As [`Adapter::check`], [`Adapter::check_reading`] and [`AdapterSession::open`];
    /// [`Code::BundleUnusable`] when adapters have no effect on this backbone.
    pub fn load(&self, adapter: &Adapter) -> Result<Vec<(String, Value)>> {
        let SessionPlan { bundle, sites, .. } = &self.plan;
        adapter.check(bundle.backbone_hash(), sites, heads::inputs(bundle))?;
        adapter.check_reading(bundle.reading())?;
        let renamed = self.admit(&adapter.components)?;
        let live = self.live();
        let known: HashSet<&str> =
            live.session.optional_input_names().iter().map(String::as_str).collect();
        let mut inputs = Vec::with_capacity(adapter.tensors.len());
        for (name, tensor) in &adapter.tensors {
            let input = renamed.get(name).unwrap_or(name);
            // The whole adapter was checked; a tensor without an input here belongs to another
            // stage.
            if !known.contains(input.as_str()) {
                continue;
            }
            let scale = adapter.scale_of(name);
            let value = if scale != 1.0 {
                let scaled = tensor.values.iter().map(|value| value * scale).collect();
                Value::f32(&tensor.shape, scaled)?
            } else {
                Value::f32_shared(&tensor.shape, tensor.values.clone())?
            };
            inputs.push((input.clone(), value));
        }
        if !adapter.components.is_empty() {
            self.prove(&live)?;
        }
        Ok(inputs)
    }

    /// Proves that adapters of these components have an effect on the session, which grows if
    /// necessary.
    ///
    /// # Errors
    /// As [`AdapterSession::load`].
    pub fn prove_for(&self, components: &[Component]) -> Result<()> {
        self.admit(components)?;
        self.prove(&self.live())
    }

    fn prove(&self, live: &Live) -> Result<()> {
        live.proof.give(&live.session, &|name| self.plan.stage.row(&self.plan.bundle, name))
    }

    /// Runs the current session.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run(
        &self,
        inputs: &[(&str, &Value)],
        outputs: &[&str],
        cancel: Option<&Cancel>,
    ) -> Result<Vec<Value>> {
        self.live().session.run(inputs, outputs, cancel)
    }

    /// Runs texts with different adapters, if the current session keeps them apart; `inputs` are
    /// those of a [`SideBySide`](super::side_by_side::SideBySide).
    ///
    /// # Errors
    /// As [`Session::run`].
    pub(super) fn run_apart(
        &self,
        inputs: &[(&str, &Value)],
        outputs: &[&str],
        cancel: Option<&Cancel>,
    ) -> Result<Option<Vec<Value>>> {
        let live = self.live();
        let bundle = &self.plan.bundle;
        let tokens = two_tokens(bundle);
        // A graph that fails on texts with different adapters runs them one adapter at a time.
        let test = || runs_apart(&live.session, bundle, &live.proof, tokens).unwrap_or(false);
        match *live.runs_apart.get_or_init(test) {
            true => live.session.run(inputs, outputs, cancel).map(Some),
            false => Ok(None),
        }
    }

    /// A panic while the lock is held leaves a complete session, so poisoning can be ignored.
    fn live(&self) -> Arc<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ensures that the session has the inputs of `components`; returns those of other names.
    fn admit(&self, components: &[Component]) -> Result<Renamed> {
        let fitting = |live: &Live| -> Result<(InputSignature, Renamed)> {
            let mut signature = live.signature.clone();
            let renamed = signature.admit(components, &self.plan.sites)?;
            Ok((signature, renamed))
        };
        let live = self.live();
        let (signature, renamed) = fitting(&live)?;
        if signature == live.signature {
            return Ok(renamed);
        }
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have opened the required session meanwhile.
        let live = self.live();
        let (signature, renamed) = fitting(&live)?;
        if signature != live.signature {
            let grown = Live::open(&self.plan, signature)
                .context(|| "making room for another kind of adapter".to_owned())?;
            *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(grown);
        }
        Ok(renamed)
    }
}

impl Live {
    fn open(plan: &SessionPlan, signature: InputSignature) -> Result<Self> {
        let SessionPlan { bundle, stage, stage_sites, .. } = plan;
        let mut model = stage.model(bundle)?.clone();
        let graph = model.graph_mut()?;
        let own_count = graph.input.len();
        adapter::attach(graph, stage_sites, &signature.within(stage_sites), true)?;
        let proof = Proof::new(graph, own_count, stage.output(bundle)?);
        (plan.add_heads)(graph, bundle);
        let options = SessionOptions { ranks_input: stage.ranks_input(), ..plan.options.clone() };
        let session = Session::open_model(&plan.engine, model, Some(bundle.weights()), &options)?;
        Ok(Self { session, signature, proof, runs_apart: OnceLock::new() })
    }
}
