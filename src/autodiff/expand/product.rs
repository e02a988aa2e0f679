//! Expands the matrix product that ONNX Runtime fuses with transpositions and a factor.

use super::fused::Fused;
use crate::autodiff::emit::Emitter;
use crate::error::Result;

/// `alpha op(a) op(b)`, where `op` may swap the last two axes, move the first axis after the other
/// leading ones, or both.
pub(super) fn fused_mat_mul(emit: &mut Emitter<'_>, fused: &Fused<'_>) -> Result<()> {
    let a = operand(emit, fused, 0, "transA", "transBatchA")?;
    let b = operand(emit, fused, 1, "transB", "transBatchB")?;
    let alpha = fused.float("alpha", 1.0);
    if alpha == 1.0 {
        fused.result(emit, "MatMul", &[&a, &b], vec![]);
        return Ok(());
    }
    let product = emit.node("MatMul", &[&a, &b], vec![]);
    let alpha = fused.scalar(emit, alpha);
    fused.result(emit, "Mul", &[&product, &alpha], vec![]);
    Ok(())
}

fn operand(
    emit: &mut Emitter<'_>,
    fused: &Fused<'_>,
    index: usize,
    swaps_last: &str,
    moves_first: &str,
) -> Result<String> {
    let tensor = fused.required(index)?;
    let (swaps_last, moves_first) = (fused.int(swaps_last, 0) != 0, fused.int(moves_first, 0) != 0);
    let rank = emit.dims(tensor)?.len();
    if rank < 2 || !(swaps_last || moves_first) {
        return Ok(tensor.to_owned());
    }
    let mut axes: Vec<i64> = (0..rank as i64).collect();
    if moves_first {
        // [rows, leading.., columns] becomes [leading.., rows, columns].
        axes[..rank - 1].rotate_left(1);
    }
    if swaps_last {
        axes.swap(rank - 2, rank - 1);
    }
    Ok(emit.transpose(tensor, &axes))
}
