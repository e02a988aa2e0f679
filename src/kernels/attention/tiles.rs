//! The rows of each text, or of each head of a text, as pieces of an output that threads share.

use crate::error::Result;
use crate::kernels::operator::Threads;
use std::sync::{Mutex, PoisonError};

/// The pieces of the rows of one tile, in the order of the rows.
pub(super) type Tile<'a> = Vec<&'a mut [f32]>;

/// Cuts `[texts, rows, heads * size]` into tiles of `heads_each` heads, in the order of texts and
/// then of heads. Without an output the tiles are empty.
pub(super) fn cut(
    output: Option<&mut [f32]>,
    [texts, rows, width]: [usize; 3],
    (groups, tile_width): (usize, usize),
) -> Vec<Tile<'_>> {
    let mut tiles: Vec<Tile<'_>> = (0..texts * groups).map(|_| Vec::new()).collect();
    let Some(output) = output.filter(|output| !output.is_empty()) else { return tiles };
    for (index, row) in output.chunks_exact_mut(width).enumerate() {
        for (group, piece) in row.chunks_exact_mut(tile_width).enumerate() {
            tiles[index / rows * groups + group].push(piece);
        }
    }
    tiles
}

/// Calls `body` with the number and the parts of each tile.
pub(super) fn for_tiles<T: Send>(
    threads: &dyn Threads,
    tiles: Vec<T>,
    in_parallel: bool,
    body: impl Fn(usize, T) + Sync,
) -> Result<()> {
    if !in_parallel || tiles.len() == 1 {
        tiles.into_iter().enumerate().for_each(|(index, tile)| body(index, tile));
        return Ok(());
    }
    let slots: Vec<Mutex<Option<T>>> =
        tiles.into_iter().map(|tile| Mutex::new(Some(tile))).collect();
    threads.for_each(slots.len(), &|index| {
        let tile = slots[index].lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tile) = tile {
            body(index, tile);
        }
    })
}
