//! Loads models and runs them on any number of threads at once.
//!
//! This module must never let ONNX Runtime read a file or copy an aligned weight.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use super::raw::{self, AlignedBytes, Memory, Names, Options, Ort, Tensor, WeightMemory};
use super::{Cancel, Engine, Value};
use crate::error::{Code, Error, Result, ResultExt, listed};
use crate::graph::{Location, Model, Weight, Weights};
use crate::kernels;

named! {
    /// How a session uses memory.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Mode: "mode" {
        /// Weights stay clean file pages, shared by all sessions and processes and evictable by the
        /// system; the memory of a run is freed when it ends.
        #[default]
        Lean = "lean",
        /// Weights of matrix products are packed into private memory when the session is opened,
        /// and the memory of a run is kept for the next one: this is faster and takes about that
        /// much more.
        Fast = "fast",
    }
}

named! {
    /// Which operators a session runs.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Operators: "operators" {
        /// Groups of standard operators are replaced by operators of our own, which compute the
        /// same in fewer passes over memory; unless the environment variable `POLYGRAFT_KERNELS`
        /// is `0`.
        #[default]
        Fused = "fused",
        /// The graph runs as it is.
        Standard = "standard",
    }
}

/// The variable that switches the operators of our own off.
const KERNELS_VARIABLE: &str = "POLYGRAFT_KERNELS";

/// The options of a session.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// How memory is used.
    pub mode: Mode,
    /// Threads that work on one run together; 0 takes as many as the process may use.
    pub threads: usize,
    /// Selects kernels whose results are the same in every run with the same number of threads.
    pub deterministic: bool,
    /// Lets waiting threads spin instead of sleep. Shortens runs where cores are idle, and takes
    /// cores from other work where they are not.
    pub busy_wait: bool,
    /// Which operators run.
    pub operators: Operators,
    /// In [`Mode::Lean`], keeps the memory of a run for the next one, until the session is dropped:
    /// for sessions that run again and again.
    pub keep_memory: bool,
    /// The name of an input that says which ranks belong to which text, where low-rank products of
    /// several adapters stand side by side: `[texts, 2]`, for each text its first rank and their
    /// number. The session has this input only where fused operators can read it.
    pub ranks_input: Option<&'static str>,
}

/// A loaded model.
///
/// Runs take `&self` and may overlap on any number of threads. Outputs outlive the session. A child
/// process has the session without its threads: it cannot run there, and dropping it frees nothing.
pub struct Session {
    ort: &'static Ort,
    raw: raw::RawSession,
    inputs: Vec<String>,
    optional_inputs: Vec<String>,
    outputs: Vec<String>,
    /// Every name above as a C string.
    names: HashMap<String, CString>,
}

impl Session {
    /// Loads the model in `model`; `weights` are its initializers with external data.
    ///
    /// The model's bytes are needed during the call only. External weights are read from their
    /// mapping, which lives as long as the session; one that is not aligned for its elements is
    /// copied. A model with external data needs its `weights`: without them the library itself
    /// would open unchecked files.
    ///
    /// # Errors
    /// [`Code::RuntimeFailed`] with the library's message if it refuses the model,
    /// [`Code::GraphUnsupported`] for a weight of a type that cannot be passed as memory,
    /// [`Code::ArgumentInvalid`] for a number of threads beyond `i32`.
    pub fn open(
        engine: &Arc<Engine>,
        model: &[u8],
        weights: Option<&Weights>,
        options: &SessionOptions,
    ) -> Result<Session> {
        Self::open_bytes(engine, model, weights, raw_options(engine.ort, options)?)
    }

    /// Loads `model` like [`Session::open`], but with fused operators where the options allow them.
    /// They take effect only here, so the given model stays one of standard operators.
    ///
    /// # Errors As [`Session::open`]; [`Code::GraphMalformed`] for a graph with a cycle or with two
    /// nodes that make one value.
    pub fn open_model(
        engine: &Arc<Engine>,
        mut model: Model,
        weights: Option<&Weights>,
        options: &SessionOptions,
    ) -> Result<Session> {
        let mut raw_options = raw_options(engine.ort, options)?;
        let is_off = std::env::var_os(KERNELS_VARIABLE).is_some_and(|value| value == "0");
        if options.operators == Operators::Fused && !is_off && kernels::fuse(&mut model, weights)? {
            raw_options.operators()?;
            if let Some(name) = options.ranks_input {
                kernels::add_ranks(&mut model, name)?;
            }
        }
        Self::open_bytes(engine, &model.to_bytes(), weights, raw_options)
    }

    fn open_bytes(
        engine: &Arc<Engine>,
        model: &[u8],
        weights: Option<&Weights>,
        mut raw_options: Options,
    ) -> Result<Session> {
        let ort = engine.ort;
        if let Some(weights) = weights {
            give_weights(ort, &mut raw_options, weights)?;
        }
        let raw =
            raw::RawSession::new(raw_options, model).context(|| "loading a model".to_owned())?;
        let inputs = raw.names(Names::Inputs)?;
        let optional_inputs = raw.names(Names::OptionalInputs)?;
        let outputs = raw.names(Names::Outputs)?;
        let all = inputs.iter().chain(&optional_inputs).chain(&outputs);
        let names = all.map(|name| Ok((name.clone(), c_name(name)?))).collect::<Result<_>>()?;
        Ok(Session { ort, raw, inputs, optional_inputs, outputs, names })
    }

    /// The inputs that every run must be given, in the order of the model.
    pub fn input_names(&self) -> &[String] {
        &self.inputs
    }

    /// The inputs that have a default, such as the tensors of adapters.
    pub fn optional_input_names(&self) -> &[String] {
        &self.optional_inputs
    }

    /// The outputs, in the order of the model.
    pub fn output_names(&self) -> &[String] {
        &self.outputs
    }

    /// Runs the model and returns the named outputs, in that order.
    ///
    /// Nodes that these outputs do not need run, too. Optional inputs may be omitted.
    ///
    /// # Errors
    /// [`Code::Cancelled`] if `cancel` was cancelled before the end, [`Code::ArgumentInvalid`] for
    /// a name that the model does not have, and [`Code::RuntimeFailed`] with the library's message
    /// for anything it refuses: a missing input, another type or shape, an operator that fails. A
    /// process forked from the one that opened the session gets [`Code::RuntimeFailed`], too.
    pub fn run(
        &self,
        inputs: &[(&str, &Value)],
        outputs: &[&str],
        cancel: Option<&Cancel>,
    ) -> Result<Vec<Value>> {
        self.check_process()?;
        let mut tensors = Vec::with_capacity(inputs.len());
        for &(name, value) in inputs {
            tensors.push((self.name(name, "input")?, value.tensor(self.ort)?));
        }
        let output_names: Vec<&CStr> =
            outputs.iter().map(|name| self.name(name, "output")).collect::<Result<_>>()?;
        let running = cancel.map(|cancel| cancel.start(self.ort)).transpose()?;
        let options = running.as_ref().map(|running| &*running.options);
        let results = self.raw.run(options, &tensors, &output_names).map_err(|error| {
            // A cancelled run ends with a general failure; only `cancel` tells the cause.
            match cancel.map(Cancel::check) {
                Some(Err(cancelled)) => cancelled,
                _ => error.context("running a model"),
            }
        })?;
        Ok(results.into_iter().map(|tensor| Value::output(tensor, &tensors)).collect())
    }

    /// Refuses to run in a forked child: the run could wait for missing threads for ever.
    fn check_process(&self) -> Result<()> {
        let Some(process) = self.raw.other_process() else { return Ok(()) };
        Err(Error::new(
            Code::RuntimeFailed,
            format!(
                "this session was opened in another process ({process}; this one, forked from it, \
                 is {}), where ONNX Runtime's threads stayed; open it after the fork",
                std::process::id()
            ),
        ))
    }

    /// A name of the model as a C string.
    fn name(&self, name: &str, what: &str) -> Result<&CStr> {
        self.names.get(name).map(CString::as_c_str).ok_or_else(|| {
            Error::new(
                Code::ArgumentInvalid,
                format!(
                    "the model has no {what} {name:?}; its inputs are {} and {} with defaults, its \
                     outputs {}",
                    listed(&self.inputs),
                    self.optional_inputs.len(),
                    listed(&self.outputs),
                ),
            )
        })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("inputs", &self.inputs)
            .field("optional_inputs", &self.optional_inputs.len())
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

fn c_name(name: &str) -> Result<CString> {
    CString::new(name).map_err(|_| {
        Error::new(Code::GraphMalformed, format!("the name {name:?} has a zero byte inside"))
    })
}

/// A path as ONNX Runtime takes it: its bytes where paths are bytes, else UTF-8.
fn c_path(path: &Path) -> Result<CString> {
    #[cfg(unix)]
    let bytes = Some(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
    #[cfg(not(unix))]
    let bytes = path.to_str().map(str::as_bytes);
    bytes.and_then(|bytes| CString::new(bytes).ok()).ok_or_else(|| {
        let message = format!("the path {} cannot be given to ONNX Runtime", path.display());
        Error::new(Code::ArgumentInvalid, message)
    })
}

/// Optimizers that would keep float32 copies of weights stored in a smaller type. The first upcasts
/// float16 weights when the session is opened. The second merges the upcast of a weight for the
/// backward pass with that for the forward pass, so that all upcast weights would live in between.
const OPTIMIZERS_OFF: &CStr =
    c"FuseFp16InitializerToFp32NodeTransformer;CommonSubexpressionElimination";

/// The library's options for a [`SessionOptions`].
fn raw_options(ort: &'static Ort, options: &SessionOptions) -> Result<Options> {
    let mut raw = Options::new(ort)?;
    raw.threads(thread_count(options.threads)?)?;
    match options.mode {
        Mode::Lean => {
            raw.set(c"session.disable_prepacking", c"1")?;
            raw.no_arena()?;
            raw.no_memory_pattern()?;
            if options.keep_memory {
                raw.keep_memory()?;
            }
        }
        Mode::Fast => {}
    }
    // Constants folded from weights when the session is opened, such as transposes in a gradient or
    // weights upcast to float32, would take private memory as large as the weights.
    raw.set(c"optimization.constant_folding_max_output_size_in_bytes", c"65536")?;
    raw.set(c"optimization.disable_specified_optimizers", OPTIMIZERS_OFF)?;
    // By default, products with 4-bit weights round their activations to bytes.
    raw.set(c"session.qdq_matmulnbits_accuracy_level", c"0")?;
    if !options.busy_wait {
        raw.set(c"session.intra_op.allow_spinning", c"0")?;
    }
    if options.deterministic {
        raw.deterministic()?;
    }
    Ok(raw)
}

/// The number of threads to set.
///
/// It is always set: by default the library uses every core of the machine, whatever the process
/// may use, and binds threads to cores.
fn thread_count(threads: usize) -> Result<i32> {
    let count = match threads {
        0 => available_parallelism().map_or(1, |count| count.get()),
        count => count,
    };
    i32::try_from(count).map_err(|_| {
        let limit = i32::MAX;
        Error::new(Code::ArgumentInvalid, format!("{count} threads, expected at most {limit}"))
    })
}

/// Passes the external weights as tensors over their mapping.
///
/// The library then reads none of them from files, but it still checks that the files the model
/// names exist, and needs their folder for that.
fn give_weights(ort: &'static Ort, options: &mut Options, weights: &Weights) -> Result<()> {
    let folder = c_path(weights.folder())?;
    options.set(c"session.model_external_initializers_file_folder_path", &folder)?;
    for weight in weights.iter() {
        if matches!(weight.location, Location::External { .. }) {
            let tensor = weight_tensor(ort, weights, &weight)
                .context(|| format!("weight {:?}", weight.name))?;
            options.initializer(&c_name(weight.name)?, tensor)?;
        }
    }
    Ok(())
}

fn weight_tensor(ort: &'static Ort, weights: &Weights, weight: &Weight<'_>) -> Result<Tensor> {
    let aligned = weight.bytes.as_ptr().addr().is_multiple_of(raw::alignment(weight.data_type));
    let memory: Arc<dyn Memory> = if aligned {
        Arc::new(WeightMemory::new(weights, weight.name))
    } else {
        // Kernels read whole elements, so elements must be aligned.
        Arc::new(AlignedBytes::copy(weight.bytes))
    };
    Tensor::over(ort, memory, weight.data_type, weight.dims)
}
