//! Adapters as files.
use crate::adapter::Adapter;
use crate::error::Result;
/// Reads.
pub fn adapter_from_bytes(bytes: &[u8]) -> Result<Adapter> {
    Adapter::from_bytes(bytes)
}
