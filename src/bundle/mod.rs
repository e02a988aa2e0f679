//! The files of a bundle.
pub mod tokenizer;
