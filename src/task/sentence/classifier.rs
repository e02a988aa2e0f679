//! The inference session of sentence classification, and adapters made ready for it.

use super::cache::AdapterCache;
use super::{best, graph};
use crate::adapter::{Adapter, LoraConfig, Part, Site};
use crate::bundle::{Bundle, Encoding};
use crate::error::{Code, Error, Result};
use crate::graph::GraphProto;
use crate::runtime::{Cancel, Mode, Runtime, SessionOptions, Value};
use crate::task::inference::Inference;
use crate::task::{batch, check_text};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Tokens of one inference run, padding included: enough to keep the cores busy, small enough for
/// the activations to stay in tens of megabytes.
const RUN_TOKENS_MAX: usize = 1_024;
/// Rows of one inference run.
const RUN_ROWS_MAX: usize = 64;

/// How a classifier is opened.
#[derive(Clone, Debug)]
pub struct ClassifierOptions {
    /// How ONNX Runtime holds the weights.
    pub mode: Mode,
    /// Threads of one run; 0 takes all cores.
    pub threads: usize,
    /// Module-name patterns of the sites whose low-rank inputs the session begins with. Those of
    /// other sites and kinds come with the first adapter that needs them.
    pub targets: Vec<String>,
}

impl Default for ClassifierOptions {
    fn default() -> Self {
        Self { mode: Mode::default(), threads: 0, targets: LoraConfig::default().targets }
    }
}

/// The one session that serves the bare backbone and every adapter. Shared between threads.
pub struct Classifier {
    inference: Inference,
    cache: AdapterCache,
}

/// An adapter whose tensors are ready to be run inputs. Immutable; shared between threads.
pub struct LoadedAdapter {
    adapter: Adapter,
    inputs: Vec<(String, Value)>,
}

impl LoadedAdapter {
    /// The adapter as it is stored.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// Size of the tensors in bytes.
    pub fn size_bytes(&self) -> usize {
        self.adapter.tensors.values().map(|tensor| size_of_val(&*tensor.values)).sum()
    }

    /// The label of each logit.
    pub fn labels(&self) -> &[String] {
        &self.adapter.labels
    }
}

impl Classifier {
    /// Builds and opens the inference session of `bundle`.
    pub fn open(
        runtime: &Arc<Runtime>,
        bundle: &Arc<Bundle>,
        options: &ClassifierOptions,
    ) -> Result<Self> {
        let first = LoraConfig { targets: options.targets.clone(), ..LoraConfig::default() };
        let session =
            SessionOptions { mode: options.mode, threads: options.threads, ..Default::default() };
        let open =
            |parts: &[Part]| Inference::open(runtime, bundle, session.clone(), parts, add_head);
        let inference = match open(&[Part::Lora(first)]) {
            // Not every backbone has the modules that nobody asked for by name.
            Err(error)
                if error.code() == Code::AdapterNoSite
                    && options.targets == LoraConfig::default().targets =>
            {
                open(&[])?
            }
            opened => opened?,
        };
        Ok(Self { inference, cache: AdapterCache::default() })
    }

    /// The runtime that the session lives in.
    pub fn runtime(&self) -> &Arc<Runtime> {
        self.inference.runtime()
    }

    /// The bundle that the session was opened from.
    pub fn bundle(&self) -> &Arc<Bundle> {
        self.inference.bundle()
    }

    /// All sites of the backbone, in graph order.
    pub fn sites(&self) -> &[Site] {
        self.inference.sites()
    }

    /// How many inputs with defaults the session has now.
    pub fn adapter_inputs_count(&self) -> usize {
        self.inference.adapter_inputs_count()
    }

    /// Checks an adapter against the backbone and makes its tensors run inputs.
    ///
    /// # Errors
    /// As [`Inference::load`]; [`Code::AdapterTensors`] for an adapter without a head.
    pub fn load(&self, adapter: Adapter) -> Result<LoadedAdapter> {
        if adapter.labels.is_empty() {
            let message = "the adapter has no head, so it cannot tell labels apart";
            return Err(Error::new(Code::AdapterTensors, message));
        }
        let inputs = self.inference.load(&adapter)?;
        Ok(LoadedAdapter { adapter, inputs })
    }

    /// The adapter with this content hash, ready to run. `read` gives its bytes when it is not
    /// loaded yet; they must have this hash.
    pub fn load_cached(
        &self,
        hash: &[u8; 32],
        read: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Arc<LoadedAdapter>> {
        self.cache.get(hash, || self.load(Adapter::from_bytes(&read()?)?))
    }

    /// Tokenizes a text with the bundle's prefix, cut to the length that the backbone reads.
    ///
    /// # Errors
    /// [`Code::TaskEmptyText`] and [`Code::TaskTooLong`].
    pub fn encode(&self, text: &str) -> Result<Encoding> {
        check_text(text)?;
        let manifest = self.bundle().manifest();
        let prefixed = format!("{}{text}", manifest.prefix);
        self.bundle().tokenizer().encode(&prefixed, manifest.tokens_max)
    }

    /// One row of logits per text, in the order of the texts.
    ///
    /// Texts of similar length run together. `progress` hears after each run how many texts are
    /// done and may break; then the error is [`Code::Cancelled`].
    pub fn logits(
        &self,
        texts: &[Encoding],
        adapter: &LoadedAdapter,
        cancel: Option<&Cancel>,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<f32>>> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.ids.len()).collect();
        let mut rows = vec![Vec::new(); texts.len()];
        let mut done = 0;
        for indices in batch::by_length(&lengths, RUN_ROWS_MAX, RUN_TOKENS_MAX) {
            let chosen: Vec<&Encoding> = indices.iter().map(|&index| &texts[index]).collect();
            let logits = self.run(&chosen, adapter, cancel)?;
            for (index, row) in indices.iter().zip(logits.chunks_exact(adapter.labels().len())) {
                rows[*index] = row.to_vec();
            }
            done += indices.len();
            if progress(done).is_break() {
                return Err(Error::new(Code::Cancelled, "cancelled by the caller"));
            }
        }
        Ok(rows)
    }

    /// Whether each text's best label is the expected one. A label that the adapter does not know
    /// is always wrong.
    pub fn correct(
        &self,
        texts: &[Encoding],
        expected: &[&str],
        adapter: &LoadedAdapter,
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<bool>> {
        let rows = self.logits(texts, adapter, None, progress)?;
        let label = |row: &Vec<f32>| best(row).map(|index| adapter.labels()[index].as_str());
        Ok(rows.iter().zip(expected).map(|(row, expected)| label(row) == Some(expected)).collect())
    }

    /// One run over a padded batch; the logits of all rows, one after another.
    fn run(
        &self,
        texts: &[&Encoding],
        adapter: &LoadedAdapter,
        cancel: Option<&Cancel>,
    ) -> Result<Vec<f32>> {
        let batch = encode_batch(self.bundle(), texts)?;
        let mut inputs: Vec<(&str, &Value)> =
            Vec::with_capacity(batch.len() + adapter.inputs.len());
        inputs.extend(batch.iter().map(|(name, value)| (*name, value)));
        inputs.extend(adapter.inputs.iter().map(|(name, value)| (name.as_str(), value)));
        let outputs = self.inference.run(&inputs, &[graph::LOGITS], cancel)?;
        let logits = outputs.first().map(Value::as_f32).transpose()?.unwrap_or_default();
        let expected = texts.len() * adapter.labels().len();
        if logits.len() != expected {
            let found = logits.len();
            let message = format!("the session gave {found} logits, expected {expected}");
            return Err(Error::new(Code::Internal, message));
        }
        Ok(logits.to_vec())
    }
}

/// Pooling and the head.
fn add_head(graph: &mut GraphProto, bundle: &Bundle) -> Result<()> {
    graph::add_classifier(graph, bundle.interface(), bundle.manifest().pooling, true)
}

/// The padded int64 inputs `[texts, longest]` that the backbone declares.
pub fn encode_batch<'a>(bundle: &'a Bundle, texts: &[&Encoding]) -> Result<Vec<(&'a str, Value)>> {
    let longest = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
    let size = texts.len() * longest;
    let mut ids = Vec::with_capacity(size);
    let mut mask = Vec::with_capacity(size);
    for text in texts {
        let padding = longest - text.ids.len();
        ids.extend(text.ids.iter().map(|&id| i64::from(id)));
        ids.extend(std::iter::repeat_n(i64::from(bundle.tokenizer().pad_id()), padding));
        mask.extend(std::iter::repeat_n(1, text.ids.len()));
        mask.extend(std::iter::repeat_n(0, padding));
    }
    let shape = [texts.len(), longest];
    let names = &bundle.interface().inputs;
    let mut inputs = vec![
        (names.input_ids.as_str(), Value::i64(&shape, ids)?),
        (names.attention_mask.as_str(), Value::i64(&shape, mask)?),
    ];
    if let Some(name) = &names.token_type_ids {
        inputs.push((name, Value::i64(&shape, vec![0; size])?));
    }
    Ok(inputs)
}
