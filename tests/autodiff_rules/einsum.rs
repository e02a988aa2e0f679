//! Einsum: the equations that attention layers use, and what any equation may contain.

use crate::differences::{Case, numbers};
use polygraft::graph::attr;

fn check(equation: &str, shapes: &[&[usize]]) {
    for symbolic in [false, true] {
        let mut case = Case::new(12);
        case.symbolic = symbolic;
        let names = ["a", "b", "c"];
        for (index, shape) in shapes.iter().enumerate() {
            let count = shape.iter().product();
            case = case.wants(names[index], shape, numbers(70 + index as u64, count, -1.0, 1.0));
        }
        let equation = vec![attr::string("equation", equation)];
        case.node("Einsum", &names[..shapes.len()], "y", equation).check();
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn equations_of_attention_layers() {
    check("bhqd,bhkd->bhqk", &[&[2, 2, 3, 4], &[2, 2, 5, 4]]);
    check("bhqk,bhkd->bhqd", &[&[2, 2, 3, 5], &[2, 2, 5, 4]]);
    check("bsd,dhe->bshe", &[&[2, 3, 4], &[4, 2, 3]]);
    check("bqhd,lrd->bhlr", &[&[2, 3, 2, 4], &[3, 5, 4]]);
    check("i , j -> i j", &[&[3], &[4]]);
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn sums_ellipses_and_implied_results() {
    check("ij->", &[&[2, 3]]);
    check("ijk->ki", &[&[2, 3, 4]]);
    check("ij,jk", &[&[2, 3], &[3, 4]]);
    check("ij,ik->j", &[&[2, 3], &[2, 4]]);
    check("...ij,...jk->...ik", &[&[2, 3, 4], &[2, 4, 3]]);
    check("...ij,jk->...ik", &[&[2, 2, 3, 4], &[4, 3]]);
    check("ab,bc,cd->ad", &[&[2, 3], &[3, 4], &[4, 2]]);
}

/// Sizes of 1 that are known only when the graph runs may stand for others.
#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn broadcast_axes() {
    Case::new(13)
        .wants("a", &[1, 3, 4], numbers(81, 12, -1.0, 1.0))
        .wants("b", &[2, 4, 3], numbers(82, 24, -1.0, 1.0))
        .hiding("a", "a_hidden")
        .hiding("b", "b_hidden")
        .node(
            "Einsum",
            &["a_hidden", "b_hidden"],
            "y",
            vec![attr::string("equation", "bij,bjk->bik")],
        )
        .check();
}

#[test]
fn diagonals_are_refused() {
    let case = Case::new(12).wants("a", &[3, 3], numbers(80, 9, -1.0, 1.0)).node(
        "Einsum",
        &["a"],
        "y",
        vec![attr::string("equation", "ii->i")],
    );
    let error = case.derive().unwrap_err().to_string();
    assert!(error.contains("repeats a label") && error.contains("Einsum"), "{error}");
}
