//! Rounds: many devices learn together when the data of one is not enough.
//!
//! A server asks ([`RoundMessage`]), devices train on what they have and answer with deltas
//! ([`RoundReply`]), the server averages the answers ([`RoundAggregate`]), and each device lets its
//! own gate decide about the average ([`apply()`]). This part defines their formats and checks what
//! comes back; any transport carries them. The server is a device too: where its store has held-out
//! examples, the same gate protects a language with few devices.
//!
//! This part must never open a connection, never activate anything while a reply is made, and never
//! average a reply that it has not checked: hashes, shapes, finite numbers and the norm of each
//! delta. A hash shows damage, not who sent the bytes; that is for the transport to prove.
//!
//! Input: a model and its store, examples, bytes from elsewhere. Output: bytes for elsewhere, and
//! versions of the store that passed the gate.

mod aggregate;
mod apply;
mod average;
mod delta;
mod envelope;
mod message;
mod noise;
mod reply;

pub use aggregate::{AggregateLanguage, RoundAggregate};
pub use apply::{Applied, ApplyOptions, apply};
pub use average::{AverageOptions, Averaged, Averaging, RefusedReply, Sharing, average};
pub use envelope::{FORMAT_VERSION, FileKind, describe};
pub use message::{AskOptions, RoundMessage, RoundTraining};
pub use reply::{ReplyLanguage, ReplyOptions, RoundReply};
