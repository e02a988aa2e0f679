//! Arithmetic on dimensions: broadcasting, products, and merging two descriptions of one shape.

use crate::graph::types::{Dim, SYMBOL_LENGTH_MAX, TensorType};

/// The dimension two dimensions broadcast to; `None` when they cannot.
fn broadcast_dim(left: &Dim, right: &Dim) -> Option<Dim> {
    use Dim::{Known, Symbol, Unknown};
    Some(match (left, right) {
        (Known(1), other) | (other, Known(1)) => other.clone(),
        (Known(l), Known(r)) => return (l == r).then_some(Known(*l)),
        // The other side can only be 1 or the same.
        (Known(size), _) | (_, Known(size)) => Known(*size),
        (Symbol(l), Symbol(r)) if l == r => left.clone(),
        (Symbol(_) | Unknown, Symbol(_) | Unknown) => Unknown,
    })
}

/// The shape two shapes broadcast to; `None` when they cannot.
pub(super) fn broadcast(left: &[Dim], right: &[Dim]) -> Option<Vec<Dim>> {
    let (long, short) = if left.len() >= right.len() { (left, right) } else { (right, left) };
    let extra = long.len() - short.len();
    let mut shape = long[..extra].to_vec();
    for (l, s) in long[extra..].iter().zip(short) {
        shape.push(broadcast_dim(l, s)?);
    }
    Some(shape)
}

/// Merges two types of one value: the type that the operator implies, completed by the type that
/// the file states. Where they contradict each other, the operator's holds.
pub(super) fn refine(inferred: TensorType, stated: &TensorType) -> TensorType {
    let data_type = match inferred.data_type {
        0 => stated.data_type,
        known => known,
    };
    let shape = match (inferred.shape, &stated.shape) {
        (None, stated) => stated.clone(),
        (Some(inferred), Some(stated)) if inferred.len() == stated.len() => {
            Some(inferred.into_iter().zip(stated).map(|(i, s)| refine_dim(i, s)).collect())
        }
        (inferred, _) => inferred,
    };
    TensorType { data_type, shape }
}

fn refine_dim(inferred: Dim, stated: &Dim) -> Dim {
    match (&inferred, stated) {
        (Dim::Unknown, stated) => stated.clone(),
        (Dim::Symbol(_), Dim::Known(_)) => stated.clone(),
        _ => inferred,
    }
}

/// A product of a factor and sorted symbols.
struct Product {
    factor: i64,
    symbols: Vec<String>,
}

impl Product {
    /// Parses a dimension; `None` for unknown ones and for symbols that are formulas.
    fn of(dim: &Dim) -> Option<Self> {
        let text = match dim {
            Dim::Known(factor) => return Some(Self { factor: *factor, symbols: Vec::new() }),
            Dim::Symbol(text) => text,
            Dim::Unknown => return None,
        };
        let mut product = Self { factor: 1, symbols: Vec::new() };
        for part in text.split('*') {
            if let Ok(number) = part.parse::<i64>() {
                product.factor = product.factor.checked_mul(number)?;
            } else if is_plain(part) {
                product.symbols.push(part.to_owned());
            } else {
                return None;
            }
        }
        product.symbols.sort_unstable();
        // A symbol spelled like a number is still only a name.
        (!product.symbols.is_empty()).then_some(product)
    }

    fn dim(self) -> Dim {
        if self.symbols.is_empty() || self.factor == 0 {
            return Dim::Known(self.factor);
        }
        // A negative multiple of a size is no size, and symbols must not be negative.
        if self.factor < 0 {
            return Dim::Unknown;
        }
        let symbols = self.symbols.join("*");
        let text = if self.factor == 1 { symbols } else { format!("{}*{symbols}", self.factor) };
        if text.len() > SYMBOL_LENGTH_MAX { Dim::Unknown } else { Dim::Symbol(text) }
    }
}

/// Whether a symbol is a name and not a formula.
fn is_plain(symbol: &str) -> bool {
    !symbol.is_empty()
        && symbol.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '/'))
}

/// The product of two dimensions. Symbols multiply to a symbol such as `12*batch*sequence`,
/// spelled the same for every order of factors.
pub(super) fn multiply(left: &Dim, right: &Dim) -> Dim {
    match (left, right) {
        (Dim::Known(1), other) | (other, Dim::Known(1)) => return other.clone(),
        (Dim::Known(0), _) | (_, Dim::Known(0)) => return Dim::Known(0),
        _ => {}
    }
    let (Some(mut product), Some(other)) = (Product::of(left), Product::of(right)) else {
        return Dim::Unknown;
    };
    let Some(factor) = product.factor.checked_mul(other.factor) else { return Dim::Unknown };
    product.factor = factor;
    product.symbols.extend(other.symbols);
    product.symbols.sort_unstable();
    product.dim()
}

pub(super) fn product(dims: &[Dim]) -> Dim {
    dims.iter().fold(Dim::Known(1), |product, dim| multiply(&product, dim))
}

/// The quotient, where it is exact or both are numbers; numbers truncate towards zero.
pub(super) fn divide(left: &Dim, right: &Dim) -> Dim {
    match (left, right) {
        (other, Dim::Known(1)) => return other.clone(),
        (Dim::Known(l), Dim::Known(r)) => {
            return l.checked_div(*r).map_or(Dim::Unknown, Dim::Known);
        }
        _ => {}
    }
    let (Some(mut quotient), Some(divisor)) = (Product::of(left), Product::of(right)) else {
        return Dim::Unknown;
    };
    if quotient.factor.checked_rem(divisor.factor) != Some(0) {
        return Dim::Unknown;
    }
    quotient.factor /= divisor.factor;
    for symbol in divisor.symbols {
        let Some(position) = quotient.symbols.iter().position(|other| *other == symbol) else {
            return Dim::Unknown;
        };
        quotient.symbols.remove(position);
    }
    quotient.dim()
}

/// The sum; known for numbers and for a zero.
pub(super) fn add(left: &Dim, right: &Dim) -> Dim {
    match (left, right) {
        (Dim::Known(0), other) | (other, Dim::Known(0)) => other.clone(),
        (Dim::Known(l), Dim::Known(r)) => l.checked_add(*r).map_or(Dim::Unknown, Dim::Known),
        _ => Dim::Unknown,
    }
}

/// The difference; known for numbers, a zero, and equal symbols.
pub(super) fn subtract(left: &Dim, right: &Dim) -> Dim {
    match (left, right) {
        (other, Dim::Known(0)) => other.clone(),
        (Dim::Known(l), Dim::Known(r)) => l.checked_sub(*r).map_or(Dim::Unknown, Dim::Known),
        (Dim::Symbol(l), Dim::Symbol(r)) if l == r => Dim::Known(0),
        _ => Dim::Unknown,
    }
}

/// Counts an axis from the front; `None` when it is out of range.
pub(super) fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank_signed = i64::try_from(rank).ok()?;
    let from_front = if axis < 0 { axis.checked_add(rank_signed)? } else { axis };
    usize::try_from(from_front).ok().filter(|&position| position < rank)
}

/// Counts several axes from the front, ascending; `None` when one is out of range or repeated.
pub(super) fn axes(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    let positions: Option<Vec<usize>> = axes.iter().map(|&a| axis(a, rank)).collect();
    let mut positions = positions?;
    positions.sort_unstable();
    let repeated = positions.windows(2).any(|pair| pair[0] == pair[1]);
    (!repeated).then_some(positions)
}
