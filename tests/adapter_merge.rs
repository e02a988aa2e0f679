//! Adding up the deltas of adapters, against sums of full matrices computed by a plain loop.

use polygraft::Code;
use polygraft::adapter::{
    Adapter, BottleneckConfig, Component, HEAD_BIAS, HEAD_WEIGHT, Ia3Config, LoraConfig, Tensor,
    WeightedDelta, add_deltas,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const INPUTS: usize = 7;
const OUTPUTS: usize = 5;
const HIDDEN: usize = 3;
const SITES: [&str; 2] = ["layer.0.query", "layer.1.value"];

/// An adapter of random values in -1..1, of which `fill` says how strong the LoRA part is.
fn adapter(seed: u64, rank: usize, labels: &[&str], fill: f32) -> Adapter {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut tensor = |shape: &[usize], size: f32| Tensor {
        shape: shape.to_vec(),
        values: (0..shape.iter().product::<usize>())
            .map(|_| (random.f32() * 2.0 - 1.0) * size)
            .collect(),
    };
    let mut tensors = BTreeMap::new();
    for site in SITES {
        tensors.insert(format!("{site}.lora_A"), tensor(&[INPUTS, rank], fill));
        tensors.insert(format!("{site}.lora_B"), tensor(&[rank, OUTPUTS], fill));
    }
    tensors.insert(HEAD_WEIGHT.to_owned(), tensor(&[HIDDEN, labels.len()], 1.0));
    tensors.insert(HEAD_BIAS.to_owned(), tensor(&[labels.len()], 1.0));
    let lora = LoraConfig { rank, ..LoraConfig::default() };
    let labels = labels.iter().map(|label| (*label).to_owned()).collect();
    Adapter { labels, ..Adapter::headless("b".to_owned(), vec![Component::Lora(lora)], tensors) }
}

/// The full matrix that an adapter adds at a site: scale, row times column.
fn full(adapter: &Adapter, site: &str) -> Vec<f64> {
    let down = &adapter.tensors[&format!("{site}.lora_A")];
    let up = &adapter.tensors[&format!("{site}.lora_B")];
    let rank = down.shape[1];
    let mut matrix = Vec::new();
    for row in 0..INPUTS {
        for column in 0..OUTPUTS {
            let term = |k: usize| {
                f64::from(down.values[row * rank + k]) * f64::from(up.values[k * OUTPUTS + column])
            };
            matrix.push(
                f64::from(adapter.scale_of(&format!("{site}.lora_B")))
                    * (0..rank).map(term).sum::<f64>(),
            );
        }
    }
    matrix
}

fn far(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// `onto + sum of weight * (to - from)` as full matrices.
fn expected(onto: &Adapter, deltas: &[WeightedDelta<'_>], site: &str) -> Vec<f64> {
    let mut sum = full(onto, site);
    for delta in deltas {
        let (to, from) = (full(delta.to, site), full(delta.from, site));
        for (value, (to, from)) in sum.iter_mut().zip(to.iter().zip(&from)) {
            *value += delta.weight * (to - from);
        }
    }
    sum
}

/// The head's weights and bias of one label.
fn column(adapter: &Adapter, label: &str) -> Vec<f32> {
    let index = adapter.labels.iter().position(|known| known == label).unwrap();
    let count = adapter.labels.len();
    let mut column: Vec<f32> =
        adapter.tensors[HEAD_WEIGHT].values.chunks(count).map(|row| row[index]).collect();
    column.push(adapter.tensors[HEAD_BIAS].values[index]);
    column
}

proptest! {
    #[test]
    fn the_sum_is_exact_while_it_fits_the_rank(
        seed in any::<u64>(),
        weights in proptest::array::uniform2(0.05f64..1.0),
    ) {
        // Rank 5 holds any matrix of 7 x 5.
        let onto = adapter(seed, 5, &["a", "b"], 1.0);
        let parts: Vec<Adapter> =
            (1..5).map(|part| adapter(seed ^ part, 2, &["a", "b"], 1.0)).collect();
        let deltas = [
            WeightedDelta { from: &parts[0], to: &parts[1], weight: weights[0] },
            WeightedDelta { from: &parts[2], to: &parts[3], weight: weights[1] },
        ];
        let sum = add_deltas(&onto, &deltas).unwrap();
        for site in SITES {
            let expected = expected(&onto, &deltas, site);
            prop_assert!(far(&full(&sum, site), &expected) < 1e-4, "{site}");
        }
        prop_assert_eq!(&sum.tensors["layer.0.query.lora_A"].shape, &[INPUTS, 5]);
    }

    /// No matrix of the same rank is nearer than the truncated decomposition (Eckart and Young), so
    /// none of the adapters that went in may be nearer to the sum than what came out.
    #[test]
    fn a_sum_too_wide_is_approximated_better_than_by_any_part(seed in any::<u64>()) {
        let onto = adapter(seed, 2, &["a", "b"], 1.0);
        let part = |part: u64| adapter(seed ^ part, 2, &["a", "b"], 0.3);
        let (from, to) = (part(1), part(2));
        let deltas = [WeightedDelta { from: &from, to: &to, weight: 0.5 }];
        let sum = add_deltas(&onto, &deltas).unwrap();
        for site in SITES {
            let expected = expected(&onto, &deltas, site);
            let found = far(&full(&sum, site), &expected);
            for other in [&onto, &from, &to] {
                prop_assert!(found <= far(&full(other, site), &expected) + 1e-5);
            }
        }
    }
}

#[test]
fn the_whole_way_from_where_one_stands_ends_where_it_ends() {
    let from = adapter(1, 2, &["a", "b"], 0.5);
    let to = adapter(2, 2, &["a", "b"], 0.5);
    let sum = add_deltas(&from, &[WeightedDelta { from: &from, to: &to, weight: 1.0 }]).unwrap();
    for site in SITES {
        assert!(far(&full(&sum, site), &full(&to, site)) < 1e-5);
    }
    for label in ["a", "b"] {
        for (found, expected) in column(&sum, label).iter().zip(column(&to, label)) {
            assert!((found - expected).abs() < 1e-6);
        }
    }
}

#[test]
fn heads_are_joined_by_label() {
    let onto = adapter(1, 2, &["b", "a"], 0.5);
    let from = adapter(2, 2, &["a", "b", "new"], 0.5);
    let to = adapter(3, 2, &["a", "b", "new"], 0.5);
    let sum = add_deltas(&onto, &[WeightedDelta { from: &from, to: &to, weight: 0.5 }]).unwrap();
    assert_eq!(sum.labels, ["b", "a", "new"]);
    for (label, start) in [("a", &onto), ("b", &onto), ("new", &from)] {
        let (start, from, to) = (column(start, label), column(&from, label), column(&to, label));
        for (index, found) in column(&sum, label).iter().enumerate() {
            let expected = start[index] + 0.5 * (to[index] - from[index]);
            assert!((found - expected).abs() < 1e-6, "{label} {index}");
        }
    }
}

/// An adapter of a bottleneck and factors with random values.
fn other_kinds(seed: u64, scale: f64) -> Adapter {
    let mut random = fastrand::Rng::with_seed(seed);
    let bottleneck = BottleneckConfig { scale, ..BottleneckConfig::default() };
    let components = vec![Component::Bottleneck(bottleneck), Component::Ia3(Ia3Config::default())];
    let mut adapter = Adapter { components, ..adapter(seed, 1, &["a", "b"], 1.0) };
    adapter.tensors.retain(|name, _| name.starts_with("head."));
    for (name, shape) in [
        ("ffn.bottleneck.0.down.weight", vec![OUTPUTS, 2]),
        ("ffn.bottleneck.0.down.bias", vec![2]),
        ("ffn.bottleneck.0.up.weight", vec![2, OUTPUTS]),
        ("ffn.bottleneck.0.up.bias", vec![OUTPUTS]),
        ("key.ia3", vec![OUTPUTS]),
    ] {
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|_| random.f32()).collect();
        adapter.tensors.insert(name.to_owned(), Tensor { shape, values });
    }
    adapter
}

#[test]
fn what_is_not_linear_is_added_up_value_by_value() {
    let (onto, from, to) = (other_kinds(1, 1.0), other_kinds(2, 2.0), other_kinds(3, 2.0));
    let sum = add_deltas(&onto, &[WeightedDelta { from: &from, to: &to, weight: 0.25 }]).unwrap();
    for (name, tensor) in sum.tensors.iter().filter(|(name, _)| !name.starts_with("head.")) {
        // What goes up is stored without the scale, and the trained ones have twice that of `onto`.
        let scale = if name.contains(".up.") { 2.0 } else { 1.0 };
        for (index, found) in tensor.values.iter().enumerate() {
            let at = |adapter: &Adapter| f64::from(adapter.tensors[name].values[index]);
            let expected = at(&onto) + 0.25 * scale * (at(&to) - at(&from));
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{name}[{index}]");
        }
    }
    let low_rank = adapter(1, 2, &["a", "b"], 0.5);
    let mixed = add_deltas(&onto, &[WeightedDelta { from: &low_rank, to: &low_rank, weight: 1.0 }]);
    assert_eq!(mixed.unwrap_err().code(), Code::AdapterTensors);
    let mut narrow = other_kinds(4, 1.0);
    narrow.tensors.get_mut("key.ia3").unwrap().shape = vec![OUTPUTS + 1];
    let error = add_deltas(&onto, &[WeightedDelta { from: &narrow, to: &narrow, weight: 1.0 }])
        .unwrap_err();
    assert!(error.to_string().contains("key.ia3"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let onto = adapter(1, 2, &["a", "b"], 0.5);
    let mut foreign = adapter(2, 2, &["a", "b"], 0.5);
    foreign.backbone = "other".to_owned();
    let delta = |to| [WeightedDelta { from: &onto, to, weight: 1.0 }];
    let error = add_deltas(&onto, &delta(&foreign)).unwrap_err();
    assert_eq!(error.code(), Code::AdapterBaseMismatch);

    let mut other_sites = onto.clone();
    let tensor = other_sites.tensors.remove("layer.1.value.lora_A").unwrap();
    other_sites.tensors.insert("layer.2.value.lora_A".to_owned(), tensor);
    let error = add_deltas(&onto, &delta(&other_sites)).unwrap_err();
    assert_eq!(error.code(), Code::AdapterTensors);

    let mut misshapen = onto.clone();
    misshapen.tensors.get_mut("layer.0.query.lora_A").unwrap().shape = vec![INPUTS * 2];
    assert_eq!(add_deltas(&onto, &delta(&misshapen)).unwrap_err().code(), Code::AdapterTensors);
}
