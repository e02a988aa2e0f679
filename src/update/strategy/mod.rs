//! Strategies: what an update trains on, and which candidates each language gets.
//!
//! Each strategy is one small file behind [`Strategy`], so that they can be compared and extended
//! easily. A strategy plans the training runs ([`TrainingRun`]), the examples of each, and the
//! candidates of a language ([`Candidate`]). It must never train, measure or decide; every strategy
//! works with the gate on or off.

mod naive;
mod per_language;
mod plan;
mod replay;
mod uriel;

pub use plan::{Body, Candidate, DeltaShare, Strategy, TrainingData, TrainingRun};
pub use uriel::{Sharing, UrielOptions};

named! {
    /// The strategies by name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
    pub enum StrategyKind: "strategy" {
        /// Finetunes the shared adapter on the new examples alone: the baseline that does harm.
        Naive = "naive",
        /// The same with rehearsal of earlier examples.
        Replay = "replay",
        /// Every language with new examples gets its own version; other languages do not change.
        PerLanguage = "per-language",
        /// Languages learn from the new examples of near ones, and rehearse.
        #[default]
        Uriel = "uriel",
    }
}

impl StrategyKind {
    /// The strategy; only `uriel` uses the options.
    pub fn strategy(self, uriel: UrielOptions) -> Box<dyn Strategy> {
        match self {
            Self::Naive => Box::new(naive::Naive),
            Self::Replay => Box::new(replay::Replay),
            Self::PerLanguage => Box::new(per_language::PerLanguage),
            Self::Uriel => Box::new(uriel::Uriel::new(uriel)),
        }
    }
}
