//! Splits the rows of outputs into tasks for threads.

use super::operator::Threads;
use crate::error::Result;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The most tasks of one call. There are more tasks than threads, so that a thread that is held up
/// does not hold up the call.
const TASKS_MAX: usize = 32;
/// The least work of a task, in elements that are read, computed and written once. Below it,
/// handing a task to another thread costs more than the task.
const TASK_WORK_MIN: usize = 16 * 1024;

/// An output and the number of its elements that belong to one row; an omitted one is empty, with
/// a width of 0.
pub(super) type Part<'a> = (&'a mut [f32], usize);

/// An output that may be omitted, as part.
pub(super) fn part(output: Option<&mut [f32]>, width: usize) -> Part<'_> {
    output.map_or((&mut [], 0), |values| (values, width))
}

/// Calls `body` for ranges that cover all `rows`, each with the elements of the outputs that belong
/// to its rows. `work` is the work of one row. The ranges depend on the shapes alone.
pub(super) fn for_rows<const N: usize>(
    threads: &dyn Threads,
    (rows, work): (usize, usize),
    outputs: [Part<'_>; N],
    body: impl Fn(Range<usize>, [&mut [f32]; N]) + Sync,
) -> Result<()> {
    let tasks = (rows.saturating_mul(work) / TASK_WORK_MIN).clamp(1, TASKS_MAX.min(rows.max(1)));
    if tasks == 1 {
        body(0..rows, outputs.map(|(values, _)| values));
        return Ok(());
    }
    let mut rest = outputs;
    let mut slots = Vec::with_capacity(tasks);
    for task in 0..tasks {
        let range = rows * task / tasks..rows * (task + 1) / tasks;
        let parts = rest.each_mut().map(|(values, width)| {
            let (part, after) = std::mem::take(values).split_at_mut(range.len() * *width);
            *values = after;
            part
        });
        slots.push(Mutex::new(Some((range, parts))));
    }
    threads.for_each(tasks, &|task| {
        let mut slot = slots[task].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((range, parts)) = slot.take() {
            drop(slot);
            body(range, parts);
        }
    })
}
