//! The memory of tensors, and views of it as bytes and as numbers.

use std::sync::Arc;

use crate::graph::Weights;

/// Memory that tensors may lie in.
///
/// # Safety
/// `bytes` returns the same address and length for as long as the value lives, wherever it is
/// moved, and nobody writes to these bytes in that time.
pub unsafe trait Memory: Send + Sync {
    fn bytes(&self) -> &[u8];
}

/// A type whose values are plain memory.
///
/// # Safety
/// Every pattern of bits is a value of the type, and the type has no padding.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

macro_rules! plain {
    ($($number:ty),+) => {
        $(
            // SAFETY: every pattern of bits is a number; numbers have no padding.
            unsafe impl Plain for $number {}
        )+
    };
}
plain!(f32, f64, i32, i64, u8, u64);

// SAFETY: the elements lie on the heap, do not move with the vector, and the vector is reachable
// by shared reference only once it is used as `Memory`.
unsafe impl<T: Plain> Memory for Vec<T> {
    fn bytes(&self) -> &[u8] {
        as_bytes(self)
    }
}

// SAFETY: the elements lie on the heap, and an `Arc` gives no way to change what it shares.
unsafe impl<T: Plain> Memory for Arc<[T]> {
    fn bytes(&self) -> &[u8] {
        as_bytes(self)
    }
}

pub fn as_bytes<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: the slice is valid memory of this size, has no padding, and bytes need no alignment.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// Bytes as plain values; `None` if they are misaligned or not a whole number of values.
pub fn from_bytes<T: Plain>(bytes: &[u8]) -> Option<&[T]> {
    // SAFETY: any bytes are values of a plain type; `align_to` cares for alignment and length.
    let (before, values, after) = unsafe { bytes.align_to::<T>() };
    (before.is_empty() && after.is_empty()).then_some(values)
}

/// A copy of bytes, aligned for every plain type.
pub struct AlignedBytes {
    words: Vec<u64>,
    size_bytes: usize,
}

impl AlignedBytes {
    pub fn copy(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        };
        Self { words: bytes.chunks(8).map(word).collect(), size_bytes: bytes.len() }
    }
}

// SAFETY: the words lie on the heap, do not move with their owner, and nothing writes to them.
unsafe impl Memory for AlignedBytes {
    fn bytes(&self) -> &[u8] {
        &as_bytes(&self.words)[..self.size_bytes]
    }
}

/// The bytes of one weight, and the mapping that holds them.
pub struct WeightMemory {
    weights: Weights,
    name: String,
}

impl WeightMemory {
    /// The weight of this name; no bytes if there is none.
    pub fn new(weights: &Weights, name: &str) -> Self {
        Self { weights: weights.clone(), name: name.to_owned() }
    }
}

// SAFETY: weights cannot be changed, and what they map stays mapped at its address while a clone
// lives. Files of a bundle are never written while they are in use; that another program does it
// nevertheless is the risk of every mapping.
unsafe impl Memory for WeightMemory {
    fn bytes(&self) -> &[u8] {
        self.weights.get(&self.name).map_or(&[], |weight| weight.bytes)
    }
}
