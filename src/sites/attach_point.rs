//! Attach points: where the sub-layer that ends with a site meets the residual stream.

use super::linear::{Linear, View, linears};
use super::site::Site;
use super::sublayer::{self, is_skip_norm};
use crate::error::{Code, Error, Result};
use crate::graph::{GraphProto, Index};
use std::collections::BTreeMap;

/// Where a bottleneck attaches at one use of a sub-layer.
#[derive(Clone, Debug)]
pub struct AttachPoint {
    /// The value that the sub-layer adds to the residual stream.
    pub output: String,
    /// The value that the sub-layer's first linear layer reads.
    pub input: String,
    /// The other operand of the residual sum.
    pub residual: String,
    /// The node that computes the sum.
    pub sum: usize,
    /// Whether that node also normalises the sum.
    pub sum_is_norm: bool,
    /// The nodes of the norm that alone reads the sum, in graph order, and its output.
    pub norm: Option<(Vec<usize>, String)>,
}

/// The attach points of every use of each of `sites`, by module.
///
/// # Errors
/// [`Code::AdapterNoSite`] when a use of a site does not end in a residual sum.
pub fn attach_points<'a>(
    graph: &GraphProto,
    index: &Index,
    sites: impl IntoIterator<Item = &'a Site>,
) -> Result<BTreeMap<&'a str, Vec<AttachPoint>>> {
    let view = View::new(graph, index);
    let linears = linears(&view);
    let of_site = |site: &'a Site| {
        let points = site.nodes.iter().map(|last| attach_point(&view, &linears, *last));
        let points = points.collect::<Option<Vec<_>>>().ok_or_else(|| {
            let message = format!("{}: no residual sum takes what this layer makes", site.module);
            Error::new(Code::AdapterNoSite, message)
        })?;
        Ok((site.module.as_str(), points))
    };
    sites.into_iter().map(of_site).collect()
}

fn attach_point(
    view: &View<'_>,
    linears: &BTreeMap<usize, Linear>,
    last: usize,
) -> Option<AttachPoint> {
    let found = sublayer::of(view, linears, last)?;
    let first = found.first(linears);
    let input = view.graph.node[first].input.get(linears.get(&first)?.input)?.clone();
    Some(AttachPoint {
        input,
        sum_is_norm: is_skip_norm(&view.graph.node[found.sum]),
        norm: found.norm(view).map(|norm| (norm.nodes, norm.output)),
        output: found.output,
        residual: found.residual,
        sum: found.sum,
    })
}
