//! Sums of deltas.
//!
//! A delta is the trained adapter minus its starting point. Heads are linear, so their deltas are
//! added directly. LoRA is linear in the product `A B`, so a weighted sum of products is exactly
//! the product of the concatenated factors: `[A1 A2]` times `[w1 B1; w2 B2]`, whose rank is the sum
//! of the ranks. [`add_deltas`] then takes the best approximation of the wanted rank, by the
//! singular value decomposition (Eckart and Young, 1936).
//!
//! The activation of a bottleneck is not linear, so there is no product to add. Its tensors, and
//! the factors of (IA)3, are added value by value, as task vectors (Ilharco et al., arXiv
//! 2212.04089). That is sound for training runs that started from one adapter, because their units
//! still correspond; all training runs of an update start that way.

use super::contents::Adapter;
use super::head::Columns;
use super::tensor::Tensor;
use super::tensor_id::{HeadName, TensorId};
use crate::error::{Code, Error, Result};
use nalgebra::DMatrix;

/// A delta: a trained adapter minus its starting point.
pub struct WeightedDelta<'a> {
    /// The starting point. A sum of deltas is cheaper where it is the adapter that they are added
    /// to, by reference.
    pub from: &'a Adapter,
    /// The trained adapter; its labels begin with those of `from`.
    pub to: &'a Adapter,
    /// Factor on the difference.
    pub weight: f64,
}

impl WeightedDelta<'_> {
    /// Whether the starting point is this very adapter, and not only one with the same values.
    fn starts_from(&self, adapter: &Adapter) -> bool {
        std::ptr::eq(self.from, adapter)
    }
}

/// The two factors of a low-rank product.
type Product = [DMatrix<f64>; 2];

/// Adds the weighted deltas to `onto`; low-rank products are compressed back to the rank of `onto`.
///
/// Labels are joined by name: those of `onto` keep their positions, and those that only the deltas
/// have follow. A label that a delta does not have keeps its column of the head.
///
/// # Errors
/// [`Code::AdapterTensors`] when a delta has another shape or other sites,
/// [`Code::AdapterBaseMismatch`] when it belongs to another backbone,
/// [`Code::AdapterIdentityMismatch`] when it was trained with another reading.
pub fn add_deltas(onto: &Adapter, deltas: &[WeightedDelta<'_>]) -> Result<Adapter> {
    for adapter in deltas.iter().flat_map(|delta| [delta.from, delta.to]) {
        check_same_kind(onto, adapter)?;
    }
    let mut result = onto.clone();
    for name in onto.tensors.keys() {
        let module = match TensorId::parse(name) {
            Some(TensorId::LoraA(module)) => module,
            Some(TensorId::Ia3(..) | TensorId::Bottleneck { .. }) => {
                result.tensors.insert(name.clone(), by_value(onto, deltas, name)?);
                continue;
            }
            _ => continue,
        };
        let up_name = TensorId::LoraB(module).to_string();
        let products = stacked_products(onto, deltas, name, &up_name)?;
        check_shapes(name, &products)?;
        let (down, up) = compress(&products, products[0][0].ncols());
        result.tensors.insert(name.clone(), down);
        result.tensors.insert(up_name, up);
    }
    for head in HeadName::ALL {
        add_head(&mut result, deltas, head)?;
    }
    Ok(result)
}

fn check_same_kind(onto: &Adapter, other: &Adapter) -> Result<()> {
    onto.check_goes_with(other)?;
    if !onto.is_alike(other) {
        let message = "adapters of other kinds or on other sites cannot be added up".to_owned();
        return Err(Error::new(Code::AdapterTensors, message));
    }
    Ok(())
}

/// The products whose sum is that of `onto` with the weighted deltas; the first is that of `onto`.
///
/// A delta that starts from `onto` itself reduces the weight of `onto`'s product, instead of
/// subtracting that product once more: many of them stack half as many ranks.
fn stacked_products(
    onto: &Adapter,
    deltas: &[WeightedDelta<'_>],
    down: &str,
    up: &str,
) -> Result<Vec<Product>> {
    let from_onto = deltas.iter().filter(|delta| delta.starts_from(onto));
    let taken: f64 = from_onto.map(|delta| delta.weight).sum();
    let mut products = vec![product(onto, down, up, 1.0 - taken, onto)?];
    for delta in deltas {
        products.push(product(delta.to, down, up, delta.weight, onto)?);
        if !delta.starts_from(onto) {
            products.push(product(delta.from, down, up, -delta.weight, onto)?);
        }
    }
    Ok(products)
}

/// The tensor of `onto` plus the weighted differences, value by value, with the scales of the
/// adapters applied.
fn by_value(onto: &Adapter, deltas: &[WeightedDelta<'_>], name: &str) -> Result<Tensor> {
    let start = onto.tensor(name)?;
    let mut values = start.array(name)?.mapv(f64::from);
    let terms = deltas.iter().flat_map(|one| [(one.to, one.weight), (one.from, -one.weight)]);
    for (adapter, weight) in terms {
        let tensor = adapter.tensor(name)?;
        if tensor.shape != start.shape {
            let (found, expected) = (&tensor.shape, &start.shape);
            let message = format!("{name}: found the shape {found:?}, expected {expected:?}");
            return Err(Error::new(Code::AdapterTensors, message));
        }
        let factor = weight * f64::from(adapter.scale_of(name)) / f64::from(onto.scale_of(name));
        values.zip_mut_with(&tensor.array(name)?, |value, other| {
            *value += factor * f64::from(*other);
        });
    }
    Ok(values.mapv(|value| value as f32).into())
}

/// Checks that every product exists and has the same number of inputs and outputs.
fn check_shapes(name: &str, products: &[Product]) -> Result<()> {
    let ends = |[down, up]: &Product| (down.nrows(), up.ncols());
    for product in products {
        let [down, up] = product;
        if down.ncols() != up.nrows() || ends(product) != ends(&products[0]) {
            let (found, expected) = (ends(product), ends(&products[0]));
            let message = format!("{name}: a product of {found:?}, expected {expected:?}");
            return Err(Error::new(Code::AdapterTensors, message));
        }
    }
    Ok(())
}

/// The two factors of a site, with weight and scale folded into the second one. The result will be
/// read with the scale of `onto`.
fn product(
    adapter: &Adapter,
    down: &str,
    up: &str,
    weight: f64,
    onto: &Adapter,
) -> Result<Product> {
    let factor = weight * f64::from(adapter.scale_of(up)) / f64::from(onto.scale_of(up));
    Ok([matrix(adapter, down)?, matrix(adapter, up)? * factor])
}

fn matrix(adapter: &Adapter, name: &str) -> Result<DMatrix<f64>> {
    let tensor = adapter.tensors.get(name);
    match tensor.map(|tensor| (tensor.shape.as_slice(), &tensor.values)) {
        Some((&[rows, columns], values)) if values.len() == rows * columns => {
            let values = values.iter().map(|&value| f64::from(value));
            Ok(DMatrix::from_row_iterator(rows, columns, values))
        }
        _ => Err(Error::new(Code::AdapterTensors, format!("{name} is missing or not a matrix"))),
    }
}

/// The sum of products as two factors of the wanted rank.
///
/// With both stacks of factors in QR form, the sum is `Qa (Ra Rb') Qb'`, so only the small matrix
/// in the middle has to be decomposed. Both factors get the square roots of the singular values.
fn compress(products: &[Product], rank: usize) -> (Tensor, Tensor) {
    let (inputs, outputs) = (products[0][0].nrows(), products[0][1].ncols());
    let ranks: usize = products.iter().map(|[down, _]| down.ncols()).sum();
    let mut down = DMatrix::zeros(inputs, ranks);
    let mut up = DMatrix::zeros(outputs, ranks);
    let mut at = 0;
    for [first, second] in products {
        let width = first.ncols();
        down.columns_mut(at, width).copy_from(first);
        up.columns_mut(at, width).copy_from(&second.transpose());
        at += width;
    }
    let (down, up) = (down.qr(), up.qr());
    let middle = down.r() * up.r().transpose();
    let parts = middle.svd(true, true);
    let kept = rank.min(parts.singular_values.len());
    let (mut left, mut right) = (DMatrix::zeros(inputs, rank), DMatrix::zeros(rank, outputs));
    if let (Some(u), Some(v_t)) = (parts.u, parts.v_t) {
        let roots = parts.singular_values.rows(0, kept).map(f64::sqrt);
        let scale = DMatrix::from_diagonal(&roots);
        left.columns_mut(0, kept).copy_from(&(down.q() * u.columns(0, kept) * &scale));
        right.rows_mut(0, kept).copy_from(&(scale * v_t.rows(0, kept) * up.q().transpose()));
    }
    (tensor(&left), tensor(&right))
}

fn tensor(matrix: &DMatrix<f64>) -> Tensor {
    let mut values = Vec::with_capacity(matrix.len());
    for row in matrix.row_iter() {
        values.extend(row.iter().map(|&value| value as f32));
    }
    Tensor { shape: vec![matrix.nrows(), matrix.ncols()], values: values.into() }
}

/// Adds the weighted differences of a head, label by label.
fn add_head(result: &mut Adapter, deltas: &[WeightedDelta<'_>], name: HeadName) -> Result<()> {
    let mut head = Columns::of(result, name)?;
    let known = head.labels.clone();
    let columns = |adapter| Columns::of(adapter, name);
    let parts = deltas
        .iter()
        .map(|delta| Ok((columns(delta.from)?, columns(delta.to)?, delta.weight as f32)))
        .collect::<Result<Vec<_>>>()?;
    for (from, to, _) in &parts {
        for label in to.labels.iter().filter(|label| !known.contains(*label)) {
            // All training runs have the same starting point.
            let start = from.by_label.get(label).or_else(|| to.by_label.get(label));
            if let (Some(start), false) = (start, head.by_label.contains_key(label)) {
                head.by_label.insert(label.clone(), start.clone());
                head.labels.push(label.clone());
            }
        }
    }
    for (from, to, weight) in &parts {
        for (label, after) in &to.by_label {
            let (Some(before), Some(column)) =
                (from.by_label.get(label), head.by_label.get_mut(label))
            else {
                continue;
            };
            if after.len() != before.len() || after.len() != column.len() {
                let message = format!("the heads of {label:?} are of different sizes");
                return Err(Error::new(Code::AdapterTensors, message));
            }
            column.scaled_add(*weight, &(after - before));
        }
    }
    head.write(result)
}
