//! Attaching an input signature to a graph: each adapter tensor becomes a graph input.
//!
//! Input: a graph, its sites and a signature. Output: the graph with the signature's inputs and the
//! nodes that read them. At one linear layer the kinds compose from the inside out: (IA)3 on the
//! input, the low-rank product, (IA)3 on the output, and, at the end of a sub-layer, the
//! bottlenecks in the order of their slots. The scale of a component is folded into its last tensor
//! when an adapter is loaded, so the graph has no scales.

mod bottleneck;

use super::signature::InputSignature;
use super::surgery::{Surgery, node};
use super::tensor_id::{Side, TensorId};
use crate::error::{Code, Error, Result};
use crate::graph::{Dim, GraphProto, Index};
use crate::sites::{Site, attach_points};
use std::collections::BTreeMap;

/// Adds the inputs and the nodes of a signature to `graph`.
///
/// `sites` are all sites of `graph`, as [`find_sites`](crate::sites::find_sites) returned them.
/// With `defaults` each input also gets an initializer that changes nothing, so that a run may omit
/// it; a training graph does not need that.
///
/// # Errors
/// [`Code::AdapterNoSite`] when the signature names a module that is none of the sites;
/// [`Code::GraphMalformed`] when a site does not point at a linear layer of this graph.
pub fn attach(
    graph: &mut GraphProto,
    sites: &[Site],
    signature: &InputSignature,
    defaults: bool,
) -> Result<()> {
    let index = Index::new(graph)?;
    let modules = signature.slots.iter().flat_map(|slot| &slot.modules);
    let ends = modules.map(|module| site(sites, module)).collect::<Result<Vec<_>>>()?;
    let points = match ends.is_empty() {
        true => BTreeMap::new(),
        false => attach_points(graph, &index, ends)?,
    };
    let mut surgery = Surgery::new(graph, index, defaults);
    let factors = |wanted| signature.ia3.iter().filter(move |((_, side), _)| *side == wanted);
    for ((module, _), name) in factors(Side::Input) {
        attach_input_factors(&mut surgery, site(sites, module)?, name)?;
    }
    for module in &signature.lora {
        attach_low_rank(&mut surgery, site(sites, module)?)?;
    }
    for ((module, _), name) in factors(Side::Output) {
        attach_output_factors(&mut surgery, site(sites, module)?, name)?;
    }
    for (number, slot) in signature.slots.iter().enumerate() {
        for module in &slot.modules {
            if let Some(points) = points.get(module.as_str()) {
                let site = site(sites, module)?;
                bottleneck::attach(&mut surgery, site, number, slot, points)?;
            }
        }
    }
    surgery.finish()
}

fn site<'a>(sites: &'a [Site], module: &str) -> Result<&'a Site> {
    sites.iter().find(|site| site.module == module).ok_or_else(|| {
        let message = format!("no linear layer of the backbone is named {module:?}");
        Error::new(Code::AdapterNoSite, message)
    })
}

/// Adds the low-rank product of one site. Its defaults have rank 0 and add exactly nothing.
fn attach_low_rank(surgery: &mut Surgery<'_>, site: &Site) -> Result<()> {
    let down = TensorId::LoraA(&site.module).to_string();
    let up = TensorId::LoraB(&site.module).to_string();
    for (number, &position) in site.nodes.iter().enumerate() {
        let input = surgery.node(site, position)?.input[0].clone();
        let scope = match number {
            0 => format!("{}.lora", site.module),
            _ => format!("{}.lora.{number}", site.module),
        };
        let name = |part: &str| format!("{scope}/{part}");
        surgery.after(surgery.whole(position), name("frozen"), |frozen, value| {
            let (low, high) = (name("down"), name("up"));
            vec![
                node("MatMul", low.clone(), &[&input, &down], &low),
                node("MatMul", high.clone(), &[&low, &up], &high),
                node("Add", name("sum"), &[frozen, &high], value),
            ]
        });
    }
    let rank = || Dim::Symbol(format!("{}.rank", site.module));
    surgery.declare(&down, vec![Dim::Known(site.inputs as i64), rank()], 0.0);
    surgery.declare(&up, vec![rank(), Dim::Known(site.outputs as i64)], 0.0);
    Ok(())
}

/// Adds factors on the input of one site. Their defaults are ones.
fn attach_input_factors(surgery: &mut Surgery<'_>, site: &Site, name: &str) -> Result<()> {
    for (number, &position) in site.nodes.iter().enumerate() {
        surgery.node(site, position)?;
        let product = format!("{name}.{number}/product");
        let read = &mut surgery.graph.node[position].input[0];
        let input = std::mem::replace(read, product.clone());
        surgery.before(position, node("Mul", product.clone(), &[&input, name], &product));
    }
    surgery.declare(name, vec![Dim::Known(site.inputs as i64)], 1.0);
    Ok(())
}

/// Adds factors on the output of one site, its bias included. Their defaults are ones.
fn attach_output_factors(surgery: &mut Surgery<'_>, site: &Site, name: &str) -> Result<()> {
    for (number, &position) in site.nodes.iter().enumerate() {
        surgery.node(site, position)?;
        let end = surgery.whole(position);
        surgery.unfuse_bias(site, end)?;
        surgery.after(end, format!("{name}.{number}/frozen"), |frozen, value| {
            vec![node("Mul", format!("{name}.{number}/product"), &[frozen, name], value)]
        });
    }
    surgery.declare(name, vec![Dim::Known(site.outputs as i64)], 1.0);
    Ok(())
}
