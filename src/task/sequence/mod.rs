//! Sequence to sequence: a text is answered with a text.

pub mod score;
