//! Every kind of adapter, alone, in one session and put together, against a forward pass written
//! out by hand in float64.

#[path = "support/engine.rs"]
mod engine_support;
mod kinds_support;

use kinds_support::{Block, By, Form, naive, random, run, tiny};
use polygraft::Code;
use polygraft::adapter::{
    Activation, Adapter, BottleneckConfig, Component, Ia3Config, InputSignature, LoraConfig,
    Placement, attach, combine, stack, tensor_shapes,
};
use polygraft::graph::Weights;
use polygraft::sites::find_sites;
use proptest::prelude::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn lora(rank: usize) -> Component {
    Component::Lora(LoraConfig {
        rank,
        alpha: 3.0,
        targets: names(&["inner", "outer"]),
        rank_pattern: [("outer".to_owned(), rank + 1)].into(),
        ..LoraConfig::default()
    })
}

fn bottleneck(placement: Placement, activation: Activation, factor: f64) -> Component {
    Component::Bottleneck(BottleneckConfig {
        attention: false,
        activation,
        reduction_factor: factor,
        scale: 0.5,
        ..BottleneckConfig::of(placement)
    })
}

fn ia3() -> Component {
    Component::Ia3(Ia3Config {
        targets: names(&["inner"]),
        feed_forward_targets: names(&["@feed_forward_output"]),
    })
}

const FORMS: [Form; 6] = [
    Form { block: Block::PostNorm, by: By::Whole },
    Form { block: Block::PostNorm, by: By::Parts },
    Form { block: Block::PostNorm, by: By::Fused },
    Form { block: Block::PreNorm, by: By::Whole },
    Form { block: Block::PreNorm, by: By::Parts },
    Form { block: Block::PreNorm, by: By::Fused },
];

fn close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(error < 2e-5 * expected.abs().max(1.0), "{what} [{index}]: {found} {expected}");
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn every_kind_alone_is_its_formula() {
    let mut kinds = vec![vec![lora(2)], vec![ia3()], vec![lora(2), ia3()]];
    for placement in Placement::ALL {
        for activation in Activation::ALL {
            kinds.push(vec![bottleneck(*placement, *activation, 3.0)]);
        }
    }
    for form in FORMS {
        let (model, weights) = tiny(form);
        let sites = find_sites(model.graph().unwrap(), &weights);
        for (seed, components) in kinds.iter().enumerate() {
            let adapter = random(components, &sites, seed as u64);
            let signature = InputSignature::of(components, &sites).unwrap();
            let found = run(&model, &sites, &signature, &[(&adapter, &Default::default())], false);
            close(&found[0], &naive(form, &[(&adapter, 1.0)]), &format!("{form:?} {components:?}"));
        }
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_stack_of_slots_reads_what_the_one_below_made() {
    for form in FORMS {
        let (model, weights) = tiny(form);
        let sites = find_sites(model.graph().unwrap(), &weights);
        let components = [
            lora(1),
            bottleneck(Placement::AfterNorm, Activation::Relu, 2.0),
            bottleneck(Placement::Sequential, Activation::Gelu, 3.0),
            bottleneck(Placement::AfterNorm, Activation::Silu, 6.0),
            ia3(),
        ];
        let adapter = random(&components, &sites, 5);
        let signature = InputSignature::of(&components, &sites).unwrap();
        let found = run(&model, &sites, &signature, &[(&adapter, &Default::default())], false);
        close(&found[0], &naive(form, &[(&adapter, 1.0)]), &format!("{form:?}"));
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn one_session_serves_all_forms_and_the_bare_backbone() {
    for form in FORMS {
        let (model, weights) = tiny(form);
        let sites = find_sites(model.graph().unwrap(), &weights);
        let other_sides = Component::Ia3(Ia3Config {
            targets: names(&["outer"]),
            feed_forward_targets: names(&["inner"]),
        });
        let many: Vec<Vec<Component>> = vec![
            vec![lora(2)],
            vec![bottleneck(Placement::Sequential, Activation::Relu, 2.0)],
            vec![bottleneck(Placement::AfterNorm, Activation::Gelu, 3.0)],
            vec![
                bottleneck(Placement::AfterNorm, Activation::Gelu, 2.0),
                bottleneck(Placement::Sequential, Activation::Relu, 6.0),
            ],
            vec![ia3()],
            vec![other_sides],
            vec![lora(3), bottleneck(Placement::Parallel, Activation::Silu, 2.0), ia3()],
        ];
        let mut signature = InputSignature::default();
        let mut adapters = Vec::new();
        for (seed, components) in many.iter().enumerate() {
            let before = signature.clone();
            let renamed = signature.admit(components, &sites).unwrap();
            assert_ne!(signature, before);
            adapters.push((random(components, &sites, seed as u64), renamed));
        }
        // A second call finds everything in place, under the same names.
        let grown = signature.clone();
        for (components, (_, renamed)) in many.iter().zip(&adapters) {
            assert_eq!(signature.admit(components, &sites).unwrap(), *renamed);
        }
        assert_eq!(signature, grown);
        let pairs: Vec<_> = adapters.iter().map(|(adapter, names)| (adapter, names)).collect();
        let found = run(&model, &sites, &signature, &pairs, true);
        for (found, (adapter, _)) in found.iter().zip(&adapters) {
            let what = format!("{form:?} {:?}", adapter.components);
            close(found, &naive(form, &[(adapter, 1.0)]), &what);
        }
        // The last answer is that without any adapter.
        assert_eq!(found.len(), adapters.len() + 1);
        close(&found[adapters.len()], &naive(form, &[]), &format!("{form:?} bare"));
    }
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn defaults_change_no_bit() {
    for by in [By::Whole, By::Parts] {
        for block in [Block::PostNorm, Block::PreNorm] {
            let (model, weights) = tiny(Form { block, by });
            let sites = find_sites(model.graph().unwrap(), &weights);
            let components =
                [lora(2), bottleneck(Placement::AfterNorm, Activation::Gelu, 2.0), ia3()];
            let signature = InputSignature::of(&components, &sites).unwrap();
            let bare = run(&model, &sites, &InputSignature::default(), &[], true);
            assert_eq!(run(&model, &sites, &signature, &[], true), bare);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    #[cfg_attr(not(set_up), ignore = "needs make setup")]
    fn a_combination_is_the_weighted_sum(
        seed in any::<u64>(),
        weights in proptest::array::uniform3(0.1f64..1.5),
    ) {
        let form = FORMS[(seed % 6) as usize];
        let (model, mapped) = tiny(form);
        let sites = find_sites(model.graph().unwrap(), &mapped);
        let net = |factor| bottleneck(Placement::AfterNorm, Activation::Gelu, factor);
        let inner_only = Component::Lora(LoraConfig {
            rank: 1,
            rank_stabilized: true,
            targets: names(&["inner"]),
            ..LoraConfig::default()
        });
        let components = [vec![lora(2), net(2.0), ia3()], vec![inner_only, net(6.0)], vec![ia3()]];
        let adapters: Vec<Adapter> = components
            .iter()
            .zip(seed..)
            .map(|(components, seed)| random(components, &sites, seed))
            .collect();
        let weighted: Vec<(&Adapter, f64)> = adapters.iter().zip(weights).collect();
        let combined = combine(&weighted).unwrap();
        prop_assert_eq!(shapes(&combined), tensor_shapes(&combined.components, &sites).unwrap());
        let signature = InputSignature::of(&combined.components, &sites).unwrap();
        let found = run(&model, &sites, &signature, &[(&combined, &Default::default())], false);
        close(&found[0], &naive(form, &weighted), &format!("{form:?}"));
        // What is written can be read, settings included.
        let bytes = combined.to_bytes().unwrap();
        prop_assert_eq!(Adapter::from_bytes(&bytes).unwrap(), combined);
    }
}

/// The shapes of all tensors but the head's.
fn shapes(adapter: &Adapter) -> std::collections::BTreeMap<String, Vec<usize>> {
    let own = adapter.tensors.iter().filter(|(name, _)| !name.starts_with("head."));
    own.map(|(name, tensor)| (name.clone(), tensor.shape.clone())).collect()
}

#[test]
#[cfg_attr(not(set_up), ignore = "needs make setup")]
fn a_stack_is_one_adapter_on_top_of_the_other() {
    for form in FORMS {
        let (model, weights) = tiny(form);
        let sites = find_sites(model.graph().unwrap(), &weights);
        let language = [bottleneck(Placement::AfterNorm, Activation::Relu, 2.0), ia3()];
        let task = [
            lora(2),
            bottleneck(Placement::AfterNorm, Activation::Relu, 3.0),
            bottleneck(Placement::Sequential, Activation::Silu, 6.0),
            ia3(),
        ];
        let (lower, upper) = (random(&language, &sites, 1), random(&task, &sites, 2));
        let both = stack(&lower, &upper).unwrap();
        assert_eq!(both.bottlenecks().count(), 3);
        assert_eq!(both.tensors["head.weight"], upper.tensors["head.weight"]);
        let signature = InputSignature::of(&both.components, &sites).unwrap();
        let found = run(&model, &sites, &signature, &[(&both, &Default::default())], false);
        close(&found[0], &kinds_support::naive_stack(form, &lower, &upper), &format!("{form:?}"));
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let (model, weights): (_, Weights) = tiny(FORMS[0]);
    let sites = find_sites(model.graph().unwrap(), &weights);
    let net = |placement| random(&[bottleneck(placement, Activation::Relu, 2.0)], &sites, 1);
    let (one, other) = (net(Placement::Sequential), net(Placement::Parallel));
    let error = combine(&[(&one, 1.0), (&other, 1.0)]).unwrap_err();
    assert!(error.to_string().contains("expected sequential with relu"), "{error}");
    assert!(combine(&[]).is_err());
    assert!(combine(&[(&one, f64::NAN)]).is_err());
    let mut foreign = one.clone();
    foreign.backbone = "another".to_owned();
    assert_eq!(
        combine(&[(&one, 1.0), (&foreign, 1.0)]).unwrap_err().code(),
        Code::AdapterBaseMismatch
    );
    let two = stack(&one, &other).unwrap();
    let error = stack(&two, &stack(&two, &one).unwrap()).unwrap_err();
    assert!(error.to_string().contains("at most 4 bottleneck"), "{error}");
    let mut broken = one.clone();
    let name = "block.outer.bottleneck.0.up.bias";
    broken.tensors.remove(name).unwrap();
    let error = combine(&[(&one, 1.0), (&broken, 1.0)]).unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
}

#[test]
fn a_backbone_without_sub_layers_has_no_place_for_bottlenecks() {
    let (mut model, weights) = tiny(FORMS[0]);
    let graph = model.graph_mut().unwrap();
    // Without the residual there is no sum.
    let sum = graph.node.iter_mut().find(|node| node.name() == "sum").unwrap();
    sum.input[1] = sum.input[0].clone();
    let sites = find_sites(model.graph().unwrap(), &weights);
    let part = bottleneck(Placement::Sequential, Activation::Relu, 2.0);
    let error = InputSignature::of(&[part], &sites).unwrap_err();
    assert_eq!(error.code(), Code::AdapterNoSite, "{error}");
    let unknown =
        Component::Lora(LoraConfig { targets: names(&["nothing"]), ..LoraConfig::default() });
    assert!(InputSignature::of(&[unknown], &sites).is_err());
    // Sites of another graph are noticed.
    let (mut other, _) = tiny(FORMS[1]);
    let mut sites = sites;
    sites[0].nodes = vec![10_000];
    let signature = InputSignature::of(&[lora(1)], &sites).unwrap();
    assert!(attach(other.graph_mut().unwrap(), &sites, &signature, true).is_err());
}
