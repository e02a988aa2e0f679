//! Strategies: what an update trains on.
//!
//! Each strategy is one small file behind [`Strategy`], so that a reader can compare them on a
//! screen and add another. A strategy chooses examples; it must never train, measure or decide.

mod naive;
mod replay;

use crate::error::{Code, Error, Result};
use crate::rehearsal::Example;
use std::str::FromStr;

/// What a strategy may draw from.
pub struct Material<'a> {
    /// The new training examples of the update.
    pub new: &'a [Example],
    /// Training examples of earlier updates, from the rehearsal buffer.
    pub remembered: &'a [Example],
    /// Rehearsed examples per new one.
    pub rehearsal_ratio: f64,
    /// The update's seed.
    pub seed: u64,
}

/// Chooses the examples of each epoch.
pub trait Strategy: Send {
    /// The examples of one epoch, counted from 0, in any order: the training loop shuffles them.
    /// Equal material and epoch give equal examples.
    fn epoch<'a>(&self, material: &Material<'a>, epoch: usize) -> Vec<&'a Example>;
}

/// The strategies by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StrategyKind {
    /// The shared adapter finetuned on the new examples alone: the baseline that does harm.
    Naive,
    /// The same with rehearsal of earlier examples.
    #[default]
    Replay,
}

impl StrategyKind {
    /// All strategies.
    pub const ALL: &'static [StrategyKind] = &[StrategyKind::Naive, StrategyKind::Replay];

    /// The name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Replay => "replay",
        }
    }

    /// The strategy itself.
    pub fn strategy(self) -> Box<dyn Strategy> {
        match self {
            Self::Naive => Box::new(naive::Naive),
            Self::Replay => Box::new(replay::Replay),
        }
    }
}

impl FromStr for StrategyKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            let expected = known.join(", ");
            Error::new(
                Code::ArgumentInvalid,
                format!("strategy: expected one of {expected}, found {text:?}"),
            )
        })
    }
}
