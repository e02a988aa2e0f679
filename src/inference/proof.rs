//! Proves that the adapter inputs of a session have an effect.
//!
//! ONNX Runtime may ignore an adapter without an error: it ignores the value of an input that
//! cannot have a default, and a site may have no path to the output. All versions would then give
//! the same output. So before the first adapter runs on a session, runs on a text of two tokens
//! test whether tensors of each kind change the output.

use crate::adapter::{Kind, TensorId};
use crate::error::{Code, Error, Result};
use crate::graph::{Dim, GraphProto, TensorType, data_type};
use crate::runtime::{Session, Value};
use std::sync::atomic::{AtomicBool, Ordering};

/// The length of states and caches if it is not fixed.
const LENGTH: usize = 2;
/// Smaller differences, relative to the largest value, may come from another order of additions.
const CHANGE_MIN: f32 = 1e-5;
/// The seed of the tensors.
const SEED: u64 = 18;

/// The inputs of the test runs.
pub(super) struct Proof {
    /// The inputs that every run needs.
    required: Vec<(String, TensorType)>,
    /// The adapter inputs with their kinds.
    tensors: Vec<(Kind, String, TensorType)>,
    output: String,
    given: AtomicBool,
}

impl Proof {
    /// Prepares the runs for a graph whose adapter inputs follow the first `own_count` inputs.
    /// `output` is the output that adapters must change.
    pub fn new(graph: &GraphProto, own_count: usize, output: &str) -> Self {
        let defaults = graph.initializer.iter().map(|tensor| tensor.name());
        let defaults: std::collections::HashSet<&str> = defaults.collect();
        let typed = |info: &crate::graph::ValueInfoProto| {
            let found = info.r#type.as_ref().and_then(TensorType::from_proto)?;
            Some((info.name().to_owned(), found))
        };
        let own = graph.input.iter().take(own_count);
        let required = own.filter(|info| !defaults.contains(info.name())).filter_map(typed);
        let attached = graph.input.iter().skip(own_count).filter_map(typed);
        let tensors = attached
            .filter_map(|(name, found)| Some((TensorId::parse(&name)?.kind()?, name, found)))
            .collect();
        let (output, given) = (output.to_owned(), AtomicBool::new(false));
        Self { required: required.collect(), tensors, output, given }
    }

    /// The adapter inputs of a kind.
    pub fn tensors(&self, kind: Kind) -> impl Iterator<Item = (&str, &TensorType)> {
        let own = self.tensors.iter().filter(move |(found, ..)| *found == kind);
        own.map(|(_, name, found)| (name.as_str(), found))
    }

    /// Tests the session once. `row` returns the integers of a short text for the input of that
    /// name. They must differ from each other, because attention over equal tokens gives the same
    /// output whatever its weights are.
    ///
    /// # Errors
    /// [`Code::BundleUnusable`] naming the kind of adapter that changes nothing; those of
    /// [`Session::run`].
    pub fn give(&self, session: &Session, row: &dyn Fn(&str) -> Vec<i64>) -> Result<()> {
        if self.given.load(Ordering::Acquire) || self.tensors.is_empty() {
            return Ok(());
        }
        let optional = session.optional_input_names();
        let absent = self.tensors.iter().find(|(_, name, _)| !optional.contains(name));
        if let Some((kind, name, _)) = absent {
            return Err(without_effect(*kind, &format!("ONNX Runtime has no input {name:?}")));
        }
        let required = self.required.iter();
        let texts: Vec<(&str, Value)> = required
            .map(|(name, found)| Ok((name.as_str(), stand_in(name, found, row)?)))
            .collect::<Result<_>>()?;
        let bare = self.run(session, &texts, &[])?;
        for kind in Kind::ALL {
            let wanted = self.tensors.iter().filter(|(found, ..)| found == kind);
            let mut random = fastrand::Rng::with_seed(SEED);
            let tensors: Vec<(&str, Value)> = wanted
                .map(|(_, name, found)| Ok((name.as_str(), noise(found, &mut random)?)))
                .collect::<Result<_>>()?;
            if tensors.is_empty() {
                continue;
            }
            let with = self.run(session, &texts, &tensors)?;
            if !differs(&bare, &with, CHANGE_MIN) {
                let output = &self.output;
                let what = format!("the output {output:?} stays as it is without an adapter");
                return Err(without_effect(*kind, &what));
            }
        }
        self.given.store(true, Ordering::Release);
        Ok(())
    }

    fn run(
        &self,
        session: &Session,
        texts: &[(&str, Value)],
        tensors: &[(&str, Value)],
    ) -> Result<Vec<f32>> {
        let inputs: Vec<(&str, &Value)> =
            texts.iter().chain(tensors).map(|(name, value)| (*name, value)).collect();
        let found = session.run(&inputs, &[&self.output], None)?;
        let value =
            found.first().ok_or_else(|| Error::new(Code::Internal, "a run gave nothing"))?;
        Ok(value.as_f32()?.to_vec())
    }
}

fn without_effect(kind: Kind, what: &str) -> Error {
    let name = kind.name();
    let message = format!("adapters of the kind {name} have no effect on this backbone: {what}");
    Error::new(Code::BundleUnusable, message)
}

/// A short text, its mask, or arbitrary states, with the extents of the type.
fn stand_in(name: &str, found: &TensorType, row: &dyn Fn(&str) -> Vec<i64>) -> Result<Value> {
    let numbers = match found.data_type {
        data_type::INT64 => row(name),
        data_type::FLOAT => Vec::new(),
        other => {
            let message = format!("the input {name:?} is {}", data_type::name(other));
            return Err(Error::new(Code::GraphUnsupported, message));
        }
    };
    let length = if numbers.is_empty() { LENGTH } else { numbers.len() };
    let dims = found.shape.as_deref().unwrap_or_default();
    let extents = dims.iter().enumerate().map(|(axis, dim)| match dim {
        Dim::Known(size) => *size,
        _ if axis == 0 => 1,
        _ => i64::try_from(length).unwrap_or(0),
    });
    let filled = TensorType::of_dims(found.data_type, &extents.collect::<Vec<i64>>());
    if numbers.is_empty() {
        return noise(&filled, &mut fastrand::Rng::with_seed(SEED));
    }
    let extents = extents_of(&filled);
    let count = extents.iter().product();
    Value::i64(&extents, numbers.iter().copied().cycle().take(count).collect())
}

/// The extents of a type; symbolic extents are 1.
fn extents_of(found: &TensorType) -> Vec<usize> {
    let dims = found.shape.as_deref().unwrap_or_default();
    dims.iter()
        .map(|dim| dim.known().map_or(1, |size| usize::try_from(size).unwrap_or(0)))
        .collect()
}

/// Random values that are neither 0, as in an untrained adapter, nor 1, as in factors without
/// effect.
fn noise(found: &TensorType, random: &mut fastrand::Rng) -> Result<Value> {
    let extents = extents_of(found);
    let values = std::iter::repeat_with(|| 0.25 + 0.5 * random.f32());
    Value::f32(&extents, values.take(extents.iter().product()).collect())
}

/// Whether two outputs differ by more than this part of the largest value of the first. NaN
/// differs, too.
pub(super) fn differs(bare: &[f32], with: &[f32], part: f32) -> bool {
    let largest = bare.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let alike = |(bare, with): (&f32, &f32)| (bare - with).abs() <= part * largest;
    bare.len() != with.len() || !bare.iter().zip(with).all(alike)
}
