//! Attention as exporters write it, and its gradient as `autodiff` writes it.

use super::group::Group;
use super::pattern::{Found, Known, Pattern};
use crate::graph::{Dim, attr};
use crate::kernels::attention::{ATTENTION, ATTENTION_GRADIENT};
use std::sync::LazyLock;

/// The ways to write `shares values`, to its heads joined again; then those of the shares.
static FORWARD: LazyLock<Pattern> = LazyLock::new(|| {
    Pattern::read(
        "Reshape(Transpose[0,2,1,3](MatMul(shares@Softmax[-1](scores), \
         Transpose[0,2,1,3](value4@Reshape(value)))))",
    )
});
static SHARES: LazyLock<Pattern> = LazyLock::new(|| Pattern::read("Softmax[-1](scores)"));
static SCORES: LazyLock<[Pattern; 6]> = LazyLock::new(|| {
    [
        "Add(Div(products@MatMul(query, key), ?divisor), mask)",
        "Add(Mul(products@MatMul(query, key), ?factor), mask)",
        "Add(products@MatMul(query, key), mask)",
        "Div(products@MatMul(query, key), ?divisor)",
        "Mul(products@MatMul(query, key), ?factor)",
        "products@MatMul(query, key)",
    ]
    .map(Pattern::read)
});
static QUERY: LazyLock<Pattern> =
    LazyLock::new(|| Pattern::read("Transpose[0,2,1,3](query4@Reshape(query3))"));
/// Keys with their tokens last.
static KEY: LazyLock<[Pattern; 2]> = LazyLock::new(|| {
    [
        "Transpose[0,2,3,1](key4@Reshape(key3))",
        "Transpose[0,1,3,2](Transpose[0,2,1,3](key4@Reshape(key3)))",
    ]
    .map(Pattern::read)
});

/// `[texts, tokens, heads * size]` and its form with the heads apart.
struct Tokens<'a> {
    value: &'a str,
    heads: i64,
    size: i64,
}

/// Checks that `apart` is `joined` with its last axis cut into heads.
fn tokens<'a>(known: &Known<'_>, joined: &'a str, apart: &str) -> Option<Tokens<'a>> {
    let [texts, count, Dim::Known(width)] = known.float(joined)? else { return None };
    let [own_texts, own_count, Dim::Known(heads), Dim::Known(size)] = known.float(apart)? else {
        return None;
    };
    let are_known = !texts.is_unknown() && !count.is_unknown();
    let fits = are_known && texts == own_texts && count == own_count && heads * size == *width;
    (fits && *heads > 0).then_some(Tokens { value: joined, heads: *heads, size: *size })
}

/// Matches a pattern that ends with the producer of a word's value.
fn at(known: &Known<'_>, patterns: &[Pattern], word: &str, found: &Found) -> Option<Found> {
    let (position, _) = known.producer(found.value(word))?;
    patterns.iter().find_map(|pattern| known.continued(pattern, position, found))
}

/// A bias of keys adds the same to all scores of a query, and softmax ignores that.
fn without_bias<'a>(known: &'a Known<'_>, key: &'a str) -> &'a str {
    known.biased(key).map_or(key, |(base, _)| base)
}

/// Finds queries, keys and mask behind the scores.
fn operands(known: &Known<'_>, found: &Found) -> Option<Found> {
    let found = at(known, &*SCORES, "scores", found)?;
    let found = at(known, std::slice::from_ref(&*QUERY), "query", &found)?;
    at(known, &*KEY, "key", &found)
}

pub(super) fn forward(known: &Known<'_>, position: usize) -> Option<Group> {
    let found = known.find(&FORWARD, position)?;
    let found = operands(known, &found)?;
    let query = tokens(known, found.value("query3"), found.value("query4"))?;
    let key = tokens(known, found.value("key3"), found.value("key4"))?;
    let value = tokens(known, found.value("value"), found.value("value4"))?;
    let output = known.graph.node[position].output[0].as_str();
    let joined = known.float(output)?;
    let rows = &known.float(query.value)?[..2];
    let fits = joined.len() == 3
        && joined[..2] == *rows
        && joined[2] == Dim::Known(value.heads * value.size)
        && query.heads == key.heads
        && query.heads == value.heads
        && query.size == key.size;
    let mask = found.values.get("mask").map_or("", String::as_str);
    let mask_fits = mask.is_empty() || known.float(mask).is_some_and(|mask| mask.len() <= 4);
    if !fits || !mask_fits {
        return None;
    }
    let divisor = found.numbers.get("divisor").copied().unwrap_or(1.0);
    let scale = found.numbers.get("factor").copied().unwrap_or(1.0) / divisor;
    let key = without_bias(known, key.value);
    let inputs = [query.value, key, value.value, mask];
    let outputs = [output, known.read_elsewhere(&found, "shares")];
    let options = vec![attr::int("heads", query.heads), attr::float("scale", scale as f32)];
    Some(Group::new(known, position, &ATTENTION, &inputs, &outputs, options))
}

/// The gradient of the scores, up to a factor that later nodes apply.
static SCORE_GRADIENT: LazyLock<Pattern> = LazyLock::new(|| {
    Pattern::read(
        "d_scores@Mul(Sub(h@MatMul(g4@Transpose[0,2,1,3](Reshape(g)), Transpose[0,1,3,2](\
         Transpose[0,2,1,3](value4@Reshape(value)))), ReduceSum[-1](Mul(h, shares))), shares)",
    )
});
static QUERY_GRADIENT: LazyLock<[Pattern; 3]> = LazyLock::new(|| {
    [
        "Reshape(Transpose[0,2,1,3](d_query@MatMul(d_scores, Transpose[0,1,3,2](Transpose[0,2,3,1](\
         key4@Reshape(key3))))))",
        "Reshape(Transpose[0,2,1,3](d_query@MatMul(d_scores, Transpose[0,1,3,2](Transpose[0,1,3,2](\
         Transpose[0,2,1,3](key4@Reshape(key3)))))))",
        "Reshape(Transpose[0,2,1,3](d_query@MatMul(d_scores, Transpose[0,2,1,3](\
         key4@Reshape(key3)))))",
    ]
    .map(Pattern::read)
});
static KEY_GRADIENT: LazyLock<[Pattern; 2]> = LazyLock::new(|| {
    [
        "Reshape(Transpose[0,3,1,2](d_key@MatMul(Transpose[0,1,3,2](Transpose[0,2,1,3](\
         query4@Reshape(query3))), d_scores)))",
        "Reshape(Transpose[0,2,1,3](Transpose[0,1,3,2](d_key@MatMul(Transpose[0,1,3,2](\
         Transpose[0,2,1,3](query4@Reshape(query3))), d_scores))))",
    ]
    .map(Pattern::read)
});
static VALUE_GRADIENT: LazyLock<[Pattern; 1]> = LazyLock::new(|| {
    ["Reshape(Transpose[0,2,1,3](d_value@MatMul(Transpose[0,1,3,2](shares), g4)))"]
        .map(Pattern::read)
});

/// The group ends with the gradient of the scores, from which those of queries and keys follow;
/// only what has a gradient is there.
pub(super) fn backward(known: &Known<'_>, position: usize) -> Option<Group> {
    let found = known.find(&SCORE_GRADIENT, position)?;
    let found = at(known, std::slice::from_ref(&*SHARES), "shares", &found)?;
    let found = operands(known, &found)?;
    let mut outputs = [""; 3];
    let mut found = found;
    let ends: [&[Pattern]; 3] = [&*QUERY_GRADIENT, &*KEY_GRADIENT, &*VALUE_GRADIENT];
    for (patterns, output) in ends.into_iter().zip(&mut outputs) {
        if let Some((end, with)) = ending(known, patterns, &found) {
            *output = known.graph.node[end].output[0].as_str();
            found = with;
        }
    }
    let [scores, shares, g] = ["d_scores", "shares", "g"].map(|word| found.value(word));
    let query = tokens(known, found.value("query3"), found.value("query4"))?;
    let key = tokens(known, found.value("key3"), found.value("key4"))?;
    let value = tokens(known, found.value("value"), found.value("value4"))?;
    let context = known.float(g)?;
    let fits = known.used_only_by(scores, &found.nodes)
        && query.heads == key.heads
        && query.heads == value.heads
        && query.size == key.size
        && context.last() == Some(&Dim::Known(value.heads * value.size))
        && context.len() == 3
        && known.float(shares).is_some_and(|shares| shares.len() == 4);
    let operands = [query.value, key.value, value.value];
    let mut pairs = outputs.iter().zip(operands);
    let same = pairs.all(|(output, of)| output.is_empty() || known.are_alike(output, of));
    if !fits || !same {
        return None;
    }
    let key = without_bias(known, key.value);
    let inputs = [g, query.value, key, value.value, shares];
    let heads = vec![attr::int("heads", query.heads)];
    Some(Group::new(known, position, &ATTENTION_GRADIENT, &inputs, &outputs, heads))
}

/// The first node that ends one of the patterns, some of whose words are known.
fn ending(known: &Known<'_>, patterns: &[Pattern], found: &Found) -> Option<(usize, Found)> {
    let nodes = known.graph.node.iter().enumerate();
    let mut ends = nodes.filter(|(_, node)| node.op_type() == "Reshape");
    ends.find_map(|(end, _)| {
        let found = patterns.iter().find_map(|one| known.continued(one, end, found))?;
        Some((end, found))
    })
}
