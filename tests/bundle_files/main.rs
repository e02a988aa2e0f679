//! Bundles on disk: made, opened, damaged, attacked.

mod create;
mod layers;
mod modules;
mod open;
mod workshop;
