//! An allocator that keeps the memory of one run for the next.
//!
//! The runs of a training session ask for the same blocks again and again. The system would clear
//! and map their pages anew each time. This allocator keeps freed blocks, and holds at no time more
//! than was in use at once: before a new block would exceed that, it returns the blocks that have
//! been free for longest. When no session uses it any more, it returns all of them.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ort::sys::{OrtAllocator, OrtMemoryInfo};

/// The alignment that ONNX Runtime's kernels expect. The bytes before a block hold its size.
const ALIGNMENT_BYTES: usize = 64;
/// Smaller blocks are left to the system, which keeps them itself.
const POOLED_SIZE_BYTES_MIN: usize = 16 * 1024;
/// The sizes of kept blocks are multiples of this, a page on most systems.
const PAGE_BYTES: usize = 4096;
/// A kept block is used for a smaller one if no more than an eighth of it is wasted.
const WASTE_SHARE: usize = 8;

/// The allocator. Its table comes first: a pointer to it is a pointer to the whole.
#[repr(C)]
pub(super) struct Pool {
    table: OrtAllocator,
    memory: *const OrtMemoryInfo,
    state: Mutex<State>,
}

// SAFETY: the description of memory is never written after it was made and lives for ever, the
// table is constant, and the blocks are guarded by a lock.
unsafe impl Send for Pool {}
// SAFETY: as for `Send`.
unsafe impl Sync for Pool {}

/// The blocks. Sizes are those of whole blocks.
#[derive(Default)]
struct State {
    /// The kept blocks by size, then by when they were freed.
    free: BTreeMap<(usize, u64), Block>,
    /// The sizes of the kept blocks by when they were freed.
    order: BTreeMap<u64, usize>,
    clock: u64,
    free_bytes: usize,
    used_bytes: usize,
    used_bytes_max: usize,
    sessions: usize,
}

/// A block that nobody uses.
struct Block(NonNull<u8>);

// SAFETY: a kept block is plain memory that only the pool can reach.
unsafe impl Send for Block {}

impl Pool {
    pub fn new(memory: NonNull<OrtMemoryInfo>) -> Pool {
        // SAFETY: the value has a version and no functions; they are added here.
        let empty = unsafe { OrtAllocator::default() };
        let table = OrtAllocator {
            Alloc: Some(allocate),
            Free: Some(free),
            Info: Some(info),
            Reserve: Some(reserve),
            ..empty
        };
        Pool { table, memory: memory.as_ptr(), state: Mutex::default() }
    }

    /// The pointer that C functions take.
    pub fn pointer(&'static self) -> *mut OrtAllocator {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Counts a session that uses the pool.
    pub fn enter(&self) {
        self.state().sessions += 1;
    }

    /// Counts a session that no longer does; after the last one, nothing is kept.
    pub fn leave(&self) {
        let mut state = self.state();
        state.sessions = state.sessions.saturating_sub(1);
        if state.sessions == 0 {
            while state.evict() {}
            state.used_bytes_max = state.used_bytes;
        }
    }

    /// A panic under the lock is not possible between changes that belong together.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A kept block for a size; the block is then in use.
    fn take(&mut self, size: usize) -> Option<NonNull<u8>> {
        let largest = size.saturating_add(size / WASTE_SHARE);
        let (&(found, freed), _) = self.free.range((size, 0)..=(largest, u64::MAX)).next()?;
        let block = self.free.remove(&(found, freed))?;
        self.order.remove(&freed);
        self.free_bytes -= found;
        self.count_used(found);
        Some(block.0)
    }

    /// Counts a new block as used, and returns kept ones as far as it would exceed the maximum.
    fn grow(&mut self, size: usize) {
        self.count_used(size);
        while self.used_bytes + self.free_bytes > self.used_bytes_max && self.evict() {}
    }

    fn count_used(&mut self, size: usize) {
        self.used_bytes += size;
        self.used_bytes_max = self.used_bytes_max.max(self.used_bytes);
    }

    /// Keeps a block that was used.
    fn keep(&mut self, block: NonNull<u8>, size: usize) {
        self.clock += 1;
        self.free.insert((size, self.clock), Block(block));
        self.order.insert(self.clock, size);
        self.used_bytes -= size;
        self.free_bytes += size;
    }

    /// Returns the block that has been free for longest to the system; false if there is none.
    fn evict(&mut self) -> bool {
        let Some((freed, size)) = self.order.pop_first() else { return false };
        if let Some(block) = self.free.remove(&(size, freed)) {
            self.free_bytes -= size;
            // SAFETY: the block was made by `system_block` for this size and nobody uses it.
            unsafe { return_block(block.0, size) };
        }
        true
    }
}

/// The layout of a block with room for `size` bytes after its header.
fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(ALIGNMENT_BYTES)?, ALIGNMENT_BYTES).ok()
}

/// A block of the system with room for `size` bytes; its header holds the size.
fn system_block(size: usize) -> Option<NonNull<u8>> {
    // SAFETY: the layout has a size above zero; the header lies at its beginning, aligned.
    unsafe {
        let block = NonNull::new(alloc(layout(size)?))?;
        block.cast::<usize>().write(size);
        Some(block)
    }
}

/// # Safety
/// The block was made by [`system_block`] for this size and is not used again.
unsafe fn return_block(block: NonNull<u8>, size: usize) {
    if let Some(layout) = layout(size) {
        // SAFETY: the block has this layout.
        unsafe { dealloc(block.as_ptr(), layout) };
    }
}

/// # Safety
/// `this` is the pointer of a pool that lives for ever.
unsafe fn pool(this: *const OrtAllocator) -> &'static Pool {
    // SAFETY: the table is the first field of the pool.
    unsafe { &*this.cast::<Pool>() }
}

unsafe extern "system" fn allocate(this: *mut OrtAllocator, size: usize) -> *mut c_void {
    // SAFETY: ONNX Runtime passes the pointer that it was given.
    unsafe { reserve(this, size) }
}

unsafe extern "system" fn reserve(this: *const OrtAllocator, size: usize) -> *mut c_void {
    if size == 0 {
        return ptr::null_mut();
    }
    let block = if size < POOLED_SIZE_BYTES_MIN {
        system_block(size)
    } else {
        // SAFETY: ONNX Runtime passes the pointer that it was given.
        let mut state = unsafe { pool(this) }.state();
        let Some(size) = size.checked_next_multiple_of(PAGE_BYTES) else { return ptr::null_mut() };
        match state.take(size) {
            Some(block) => Some(block),
            None => system_block(size).inspect(|_| state.grow(size)),
        }
    };
    // SAFETY: a block is larger than its header.
    block.map_or(ptr::null_mut(), |block| unsafe { block.add(ALIGNMENT_BYTES) }.as_ptr().cast())
}

unsafe extern "system" fn free(this: *mut OrtAllocator, address: *mut c_void) {
    let Some(address) = NonNull::new(address.cast::<u8>()) else { return };
    // SAFETY: the address comes from `reserve`, so a header with the size lies before it, and it is
    // given back once.
    unsafe {
        let block = address.sub(ALIGNMENT_BYTES);
        let size = block.cast::<usize>().read();
        if size < POOLED_SIZE_BYTES_MIN {
            return return_block(block, size);
        }
        let mut state = pool(this).state();
        state.keep(block, size);
        if state.sessions == 0 {
            while state.evict() {}
        }
    }
}

unsafe extern "system" fn info(this: *const OrtAllocator) -> *const OrtMemoryInfo {
    // SAFETY: ONNX Runtime passes the pointer that it was given.
    unsafe { pool(this) }.memory
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTE: usize = 1 << 20;

    fn held(pool: &Pool) -> [usize; 3] {
        let state = pool.state();
        [state.used_bytes, state.free_bytes, state.used_bytes_max]
    }

    #[test]
    fn blocks_are_kept_up_to_what_was_in_use_at_once() {
        let pool: &'static Pool = Box::leak(Box::new(Pool::new(NonNull::dangling())));
        pool.enter();
        // SAFETY: the pool lives for ever; each block is written within its size and freed once.
        unsafe {
            let make = |size: usize| {
                let block = allocate(pool.pointer(), size);
                assert!(block.addr().is_multiple_of(ALIGNMENT_BYTES));
                block.cast::<u8>().write_bytes(7, size);
                block
            };
            let (first, second) = (make(MEGABYTE), make(2 * MEGABYTE));
            free(pool.pointer(), first);
            free(pool.pointer(), second);
            assert_eq!(held(pool), [0, 3 * MEGABYTE, 3 * MEGABYTE]);
            assert_eq!(make(2 * MEGABYTE), second, "a kept block is used again");
            assert_eq!(make(MEGABYTE - 100_000), first, "little of it is wasted");
            free(pool.pointer(), first);
            free(pool.pointer(), second);
            // Nothing fits, and what is kept makes room.
            let third = make(3 * MEGABYTE);
            assert_eq!(held(pool), [3 * MEGABYTE, 0, 3 * MEGABYTE]);
            let small = make(100);
            free(pool.pointer(), small);
            pool.leave();
            free(pool.pointer(), third);
            assert_eq!(held(pool)[..2], [0, 0], "after the last session nothing is kept");
        }
    }
}
