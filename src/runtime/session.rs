//! Loaded models, run by any number of threads at once.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use super::raw::{self, AlignedBytes, Memory, Names, Options, Ort, Tensor, WeightMemory};
use super::{Cancel, Engine, Value};
use crate::error::{Code, Error, Result, ResultExt, listed};
use crate::graph::{Location, Weight, Weights};

named! {
    /// How a session treats memory.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Mode: "mode" {
        /// Weights stay clean file pages, shared by all sessions and processes and evictable by the
        /// system; what a run allocates goes back when it ends.
        #[default]
        Lean = "lean",
        /// Weights of matrix products are rearranged into private memory when the session is
        /// opened, and memory of runs is kept for the next one: faster, and larger by about those
        /// weights and the largest run.
        Fast = "fast",
    }
}

/// What a session is opened with.
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// How memory is treated.
    pub mode: Mode,
    /// Threads that work on one run together; 0 takes as many as the process may use.
    pub threads: usize,
    /// Chooses kernels whose results are the same in every run with the same threads.
    pub deterministic: bool,
    /// Lets threads that wait for work spin instead of sleep. Shortens runs where cores are idle
    /// anyway, and takes them from everybody else where they are not.
    pub busy_wait: bool,
}

/// A loaded model.
///
/// Runs take `&self` and may overlap on any number of threads. Outputs outlive the session. A
/// child that the process forks has the session without its threads: there it cannot run, and
/// dropping it frees nothing.
pub struct Session {
    ort: &'static Ort,
    raw: raw::RawSession,
    inputs: Vec<String>,
    optional_inputs: Vec<String>,
    outputs: Vec<String>,
    /// Every name above as C takes it, made once.
    names: HashMap<String, CString>,
}

impl Session {
    /// Loads the model in `model`; `weights` are those of its initializers that lie in files.
    ///
    /// The model's bytes are needed during the call only. External weights are read where they
    /// are mapped and stay mapped as long as the session lives; one that is not aligned for its
    /// elements is copied. A model with external data needs its `weights`: without them the
    /// library itself would open files that nobody checked.
    ///
    /// # Errors
    /// [`Code::RuntimeFailed`] with the library's message if it refuses the model,
    /// [`Code::GraphUnsupported`] for a weight of a type that cannot be given as memory,
    /// [`Code::ArgumentInvalid`] for a number of threads beyond `i32`.
    pub fn open(
        engine: &Arc<Engine>,
        model: &[u8],
        weights: Option<&Weights>,
        options: &SessionOptions,
    ) -> Result<Session> {
        let ort = engine.ort;
        let mut raw_options = raw_options(ort, options)?;
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

    /// The inputs that every run has to be given, in the order of the model.
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

    /// Runs the model and returns the outputs named, in that order.
    ///
    /// Nodes that these outputs do not need run, too. Optional inputs may be left out.
    ///
    /// # Errors
    /// [`Code::Cancelled`] if `cancel` was thrown before the end, [`Code::ArgumentInvalid`] for a
    /// name that the model does not have, and [`Code::RuntimeFailed`] with the library's message
    /// for anything it refuses: a missing input, another type or shape, an operator that fails;
    /// also in a process that was forked from the one that opened the session.
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
            // A run that was ended says so with a general failure; the switch tells it apart.
            match cancel.map(Cancel::check) {
                Some(Err(cancelled)) => cancelled,
                _ => error.context("running a model"),
            }
        })?;
        Ok(results.into_iter().map(|tensor| Value::output(tensor, &tensors)).collect())
    }

    /// Refuses to run where the session's threads are not: the run could wait for them for ever.
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

    /// A name of the model as C takes it.
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

/// A path as ONNX Runtime takes it: the bytes that it is where paths are bytes, else UTF-8.
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

/// Rewritings that would keep float32 copies of weights that are stored as something smaller. The
/// first upcasts float16 weights when the session is opened. The second merges the upcasting of a
/// weight for the backward pass with that for the forward pass, so that all of them would stay from
/// the one to the other.
const OPTIMIZERS_OFF: &CStr =
    c"FuseFp16InitializerToFp32NodeTransformer;CommonSubexpressionElimination";

/// The library's options for ours.
fn raw_options(ort: &'static Ort, options: &SessionOptions) -> Result<Options> {
    let mut raw = Options::new(ort)?;
    raw.threads(thread_count(options.threads)?)?;
    match options.mode {
        Mode::Lean => {
            raw.set(c"session.disable_prepacking", c"1")?;
            raw.no_arena()?;
            raw.no_memory_pattern()?;
        }
        Mode::Fast => {}
    }
    // Constants computed from weights when the session is opened, such as their transposes in a
    // gradient or weights upcast to float32, would be private memory as large as the weights.
    raw.set(c"optimization.constant_folding_max_output_size_in_bytes", c"65536")?;
    raw.set(c"optimization.disable_specified_optimizers", OPTIMIZERS_OFF)?;
    // Products with 4-bit weights round their activations to bytes unless told otherwise.
    raw.set(c"session.qdq_matmulnbits_accuracy_level", c"0")?;
    if !options.busy_wait {
        raw.set(c"session.intra_op.allow_spinning", c"0")?;
    }
    if options.deterministic {
        raw.deterministic()?;
    }
    Ok(raw)
}

/// The number of threads to state.
///
/// It is always stated: left to itself the library takes every core of the machine, whatever the
/// process may use, and binds threads to them.
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

/// Gives the external weights as tensors over their mapping.
///
/// The library reads none of them from files then, but it still looks whether the files that the
/// model names are there, and has to know in which folder.
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
        // Kernels read whole elements, and may do so only where elements can lie.
        Arc::new(AlignedBytes::copy(weight.bytes))
    };
    Tensor::over(ort, memory, weight.data_type, weight.dims)
}
