//! Bundles on disk: made, opened, damaged, attacked.

mod create;
mod open;
mod workshop;
