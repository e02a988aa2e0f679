//! The matrix product that ONNX Runtime fuses with transpositions and a factor.

use super::writer::Parts;
use crate::error::Result;

/// `alpha op(a) op(b)`, where `op` may swap the last two axes, move the first axis behind the other
/// leading ones, or both.
pub(super) fn fused_mat_mul(parts: &mut Parts<'_, '_>) -> Result<()> {
    let a = operand(parts, 0, "transA", "transBatchA")?;
    let b = operand(parts, 1, "transB", "transBatchB")?;
    let alpha = parts.float("alpha", 1.0);
    if alpha == 1.0 {
        parts.result("MatMul", &[&a, &b], vec![]);
        return Ok(());
    }
    let product = parts.node("MatMul", &[&a, &b], vec![]);
    let alpha = parts.scalar(alpha);
    parts.result("Mul", &[&product, &alpha], vec![]);
    Ok(())
}

fn operand(
    parts: &mut Parts<'_, '_>,
    index: usize,
    swaps_last: &str,
    moves_first: &str,
) -> Result<String> {
    let tensor = parts.required(index)?;
    let (swaps_last, moves_first) = (parts.int(swaps_last, 0) != 0, parts.int(moves_first, 0) != 0);
    let rank = parts.dims(tensor)?.len();
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
    Ok(parts.transpose(tensor, &axes))
}
