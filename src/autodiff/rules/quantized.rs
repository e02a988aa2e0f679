//! Rules of quantised weights and activations.
//!
//! A product with a quantised weight is differentiated as a product with its dequantised values,
//! which is exact: the forward pass multiplies by the same values. They are recomputed for every
//! use and freed after it (see `frozen.rs`).
//!
//! Quantising an activation is a step function, whose derivative is zero wherever it exists. Its
//! gradient is passed on as if the step were the identity: the *straight-through estimator*
//! (Bengio, Léonard and Courville, arXiv 1308.3432). Values that were clipped to the range get
//! their gradient, too. The gradient of an integer tensor is a float tensor: the gradient of the
//! real values that the quantised values represent.

use super::matrix::add_product;
use crate::autodiff::emit::{Emitter, axis_of, refused};
use crate::autodiff::frozen::Quantization;
use crate::autodiff::tape::{Gradient, Step, Tape};
use crate::error::Result;
use crate::graph::{TensorType, attr, attribute_int, data_type, element_count, shape_text};

/// First opset with `BitwiseAnd`.
const OPSET_BITWISE_AND: i64 = 18;

/// `value = x / scale + zero point`, rounded; the scale is the second output: `dx = g / scale`.
pub(super) fn dynamic_quantize_linear(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
) -> Result<()> {
    let gradient = step.gradient()?;
    let Some(scale) = step.node.output.get(1).filter(|name| !name.is_empty()) else {
        return Err(refused("its scale is no output"));
    };
    let back = emit.node("Div", &[&gradient.name, scale], vec![]);
    tape.give(step.input(0), gradient.with(back));
    Ok(())
}

/// `value = x / scale + zero point`, rounded: `dx = g / scale`.
pub(super) fn quantize_linear(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let scale = activation_scale(emit, step)?;
    let back = emit.node("Div", &[&gradient.name, &scale], vec![]);
    tape.give(step.input(0), gradient.with(back));
    Ok(())
}

/// `x = (value - zero point) x scale`: `dvalue = g x scale`. A quantisation that is undone with its
/// own scale passes the gradient on unchanged.
pub(super) fn dequantize_linear(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
) -> Result<()> {
    let gradient = step.gradient()?;
    if tape.wants(step, 1) {
        return Err(refused("its scale needs a gradient"));
    }
    let quantizer = emit.producer(step.input(0)).filter(|node| {
        node.op_type() == "QuantizeLinear"
            && node.input.get(1).map(String::as_str) == Some(step.input(1))
            && attribute_int(node, "axis") == attribute_int(&step.node, "axis")
            && attribute_int(node, "block_size") == attribute_int(&step.node, "block_size")
    });
    if let Some(source) = quantizer.and_then(|node| node.input.first()).cloned() {
        tape.give(&source, gradient);
        return Ok(());
    }
    let scale = activation_scale(emit, step)?;
    let back = emit.node("Mul", &[&gradient.name, &scale], vec![]);
    tape.give(step.input(0), gradient.with(back));
    Ok(())
}

/// The scale of a quantised activation, shaped to multiply its gradient.
fn activation_scale(emit: &mut Emitter<'_>, step: &Step) -> Result<String> {
    if attribute_int(&step.node, "block_size").unwrap_or(0) != 0 {
        return Err(refused("an activation is quantised in blocks"));
    }
    let rank = emit.rank(step.input(0))?;
    // A scalar has no axis, so the attribute is ignored.
    let is_single = emit.shapes().rank(step.input(1)) == Some(0);
    let axis = match is_single {
        true => 0,
        false => axis_of(attribute_int(&step.node, "axis").unwrap_or(1), rank)?,
    };
    emit.scale_along(step.input(1), axis, rank)
}

/// `y = (a - a zero) (b - b zero)` in integers, for a frozen matrix `b`.
pub(super) fn mat_mul_integer(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    let (a, b) = (step.input(0), step.input(1));
    let rank = product_rank(emit, tape, step)?;
    let b = emit.frozen(b);
    let parts = Quantization { values: &b, scale: "", zero_point: step.input(3), axis: 1 };
    let weight = emit.as_numbers(&parts).ok_or_else(odd_zero_point)?;
    let g = gradient.with(emit.matrix(&gradient.name, rank));
    let sum = add_product(emit, tape, a, &g, (&weight, true));
    tape.give(a, sum);
    Ok(())
}

/// [`mat_mul_integer`] times both scales, plus a bias: inputs a, b, their scales, their zero
/// points, bias.
pub(super) fn mat_mul_integer_to_float(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
) -> Result<()> {
    let gradient = step.gradient()?;
    refuse_bias(tape, step, 6)?;
    let scaled = emit.node("Mul", &[&gradient.name, step.input(2)], vec![]);
    weight_product(emit, tape, step, &gradient.with(scaled), [1, 3, 5])
}

/// A float activation times a quantised weight; inputs: a, b, scale and zero point of b, bias.
pub(super) fn dynamic_quantize_mat_mul(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
) -> Result<()> {
    let gradient = step.gradient()?;
    refuse_bias(tape, step, 4)?;
    weight_product(emit, tape, step, &gradient, [1, 2, 3])
}

/// Gives the first input `g wᵀ`, where `w` is the frozen matrix whose quantised values, scale and
/// zero point are the inputs at these positions.
fn weight_product(
    emit: &mut Emitter<'_>,
    tape: &mut Tape,
    step: &Step,
    gradient: &Gradient,
    [values, scale, zero_point]: [usize; 3],
) -> Result<()> {
    let rank = product_rank(emit, tape, step)?;
    let values = emit.frozen(step.input(values));
    let (scale, zero_point) = (step.input(scale), step.input(zero_point));
    let parts = Quantization { values: &values, scale, zero_point, axis: 1 };
    let weight = emit.dequantized(&parts).ok_or_else(odd_zero_point)?;
    let g = gradient.with(emit.matrix(&gradient.name, rank));
    let sum = add_product(emit, tape, step.input(0), &g, (&weight, true));
    tape.give(step.input(0), sum);
    Ok(())
}

/// The rank of the left operand of a product with a frozen matrix.
fn product_rank(emit: &Emitter<'_>, tape: &Tape, step: &Step) -> Result<usize> {
    if tape.wants(step, 1) {
        return Err(refused("its right operand needs a gradient"));
    }
    let (left, right) = (emit.rank(step.input(0))?, emit.rank(step.input(1))?);
    if left < 2 || right != 2 {
        let why = format!("operands of rank {left} and {right}, expected 2 or more and 2");
        return Err(refused(why));
    }
    Ok(left)
}

fn refuse_bias(tape: &Tape, step: &Step, bias: usize) -> Result<()> {
    match tape.wants(step, bias) {
        true => Err(refused("its bias needs a gradient")),
        false => Ok(()),
    }
}

fn odd_zero_point() -> crate::error::Error {
    refused("scale and zero point of the weight are not numbers or one per column")
}

/// `y = a wᵀ (+ bias)` for a frozen matrix `w[n, k]` of 4- or 8-bit values in blocks along `k`.
pub(super) fn mat_mul_n_bits(emit: &mut Emitter<'_>, tape: &mut Tape, step: &Step) -> Result<()> {
    let gradient = step.gradient()?;
    refuse_bias(tape, step, 5)?;
    let packing = Packing::read(emit, step)?;
    let rank = emit.rank(step.input(0))?;
    let weight = packing.unpacked(emit, step)?;
    let g = gradient.with(emit.matrix(&gradient.name, rank));
    let sum = add_product(emit, tape, step.input(0), &g, (&weight, false));
    tape.give(step.input(0), sum);
    Ok(())
}

/// The storage format of a `MatMulNBits` weight.
struct Packing {
    columns: i64,
    rows: i64,
    bits: i64,
    block: i64,
}

impl Packing {
    fn read(emit: &Emitter<'_>, step: &Step) -> Result<Self> {
        let size = |name: &str| {
            let found = attribute_int(&step.node, name);
            let fits = found.filter(|size| (1..=i64::from(i32::MAX)).contains(size));
            fits.ok_or_else(|| {
                let found = found.map_or("not stated".to_owned(), |found| found.to_string());
                refused(format!("{name} is {found}, expected a positive number"))
            })
        };
        let bits = attribute_int(&step.node, "bits").unwrap_or(4);
        let packing =
            Self { columns: size("K")?, rows: size("N")?, bits, block: size("block_size")? };
        if !matches!(bits, 4 | 8) {
            return Err(refused(format!("quantised values of {bits} bits, expected 4 or 8")));
        }
        if packing.block < 16 || packing.block.count_ones() != 1 {
            let why = format!("block_size {}, expected a power of two from 16", packing.block);
            return Err(refused(why));
        }
        if !step.input(4).is_empty() {
            return Err(refused("its blocks are reordered by g_idx"));
        }
        packing.check(emit, step)?;
        Ok(packing)
    }

    /// Checks that the stored tensors have as many elements as the attributes state.
    fn check(&self, emit: &Emitter<'_>, step: &Step) -> Result<()> {
        let scales = i128::from(self.rows) * i128::from(self.blocks());
        let bytes = scales * i128::from(self.block) * i128::from(self.bits) / 8;
        for (index, what, expected) in [(1, "weight", bytes), (2, "scales", scales)] {
            let known = emit.shapes().get(step.input(index));
            let sizes = known.and_then(TensorType::dims);
            let found = sizes.as_deref().and_then(element_count);
            if found.map(|found| found as i128) != Some(expected) {
                let why = format!(
                    "its {what} {:?} has the sizes {}, expected {expected} elements for \
                     K {}, N {}, {} bits and blocks of {}",
                    step.input(index),
                    shape_text(known.and_then(|known| known.shape.as_deref())),
                    self.columns,
                    self.rows,
                    self.bits,
                    self.block
                );
                return Err(refused(why));
            }
        }
        Ok(())
    }

    fn blocks(&self) -> i64 {
        // Both are positive and below 2³¹.
        (self.columns + self.block - 1) / self.block
    }

    /// The weight as float32 `[n, k]`.
    fn unpacked(&self, emit: &mut Emitter<'_>, step: &Step) -> Result<String> {
        let (rows, blocks) = (self.rows, self.blocks());
        let values = emit.frozen(step.input(1));
        let numbers = self.numbers(emit, &values, &[rows, blocks, self.block], None);
        let zero = match step.input(3) {
            "" => emit.scalar_like(step.output(), f64::from(1 << (self.bits - 1))),
            // Float zero points are used as they are; bytes hold quantised values.
            name if emit.shapes().data_type(name) != Some(data_type::UINT8) => {
                emit.reshape(name, &[rows, blocks, 1])
            }
            name => self.numbers(emit, name, &[rows, -1], Some(&[rows, blocks, 1])),
        };
        let shifted = emit.node("Sub", &[&numbers, &zero], vec![]);
        let scale = emit.reshape(step.input(2), &[rows, blocks, 1]);
        let scaled = emit.node("Mul", &[&shifted, &scale], vec![]);
        let whole = emit.reshape(&scaled, &[rows, -1]);
        Ok(first_columns(emit, &whole, self.columns, blocks * self.block))
    }

    /// Quantised values as float32 of that shape; with `cut`, only the first values of each row
    /// that fill it.
    fn numbers(
        &self,
        emit: &mut Emitter<'_>,
        packed: &str,
        shape: &[i64],
        cut: Option<&[i64]>,
    ) -> String {
        let mut values = packed.to_owned();
        if self.bits == 4 {
            values = halves(emit, packed);
        }
        values = emit.reshape(&values, shape);
        if let Some(cut) = cut {
            // A row of an odd number of 4-bit values ends with an unused half byte.
            let even = if self.bits == 4 { cut[1] + cut[1] % 2 } else { cut[1] };
            values = first_columns(emit, &values, cut[1], even);
            values = emit.reshape(&values, cut);
        }
        emit.cast(&values, data_type::FLOAT)
    }
}

/// The low and the high half of every byte, in that order along a new last axis.
fn halves(emit: &mut Emitter<'_>, packed: &str) -> String {
    let direction = |name: &str| vec![attr::string("direction", name)];
    let four = emit.constant(data_type::UINT8, &[], vec![4]);
    let high = emit.node("BitShift", &[packed, &four], direction("RIGHT"));
    let low = if emit.opset() >= OPSET_BITWISE_AND {
        let mask = emit.constant(data_type::UINT8, &[], vec![15]);
        emit.node("BitwiseAnd", &[packed, &mask], vec![])
    } else {
        let top = emit.node("BitShift", &[packed, &four], direction("LEFT"));
        emit.node("BitShift", &[&top, &four], direction("RIGHT"))
    };
    let [low, high] = [low, high].map(|half| emit.change_axes("Unsqueeze", &half, &[-1]));
    emit.node("Concat", &[&low, &high], vec![attr::int("axis", -1)])
}

/// The first of `found` columns of a matrix.
fn first_columns(emit: &mut Emitter<'_>, matrix: &str, columns: i64, found: i64) -> String {
    if columns == found {
        return matrix.to_owned();
    }
    emit.slice(matrix, 1, 0, columns)
}
