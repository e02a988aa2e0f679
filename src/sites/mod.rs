//! Sites: where in a backbone's graph an adapter can attach.
//!
//! A [`Site`] is a linear layer with a frozen weight. [`find_sites`] finds the sites of a graph by
//! data flow and determines their module names and [`Role`]s; [`attach_points`] finds where the
//! sub-layer that ends with a site meets the residual stream, [`states_below`] the hidden states
//! below the lowest adapter.
//!
//! Input: a graph, and for sizes its weights. Output: sites and attach points, as positions and
//! names in that graph. This module must never change a graph and knows no adapter.

mod attach_point;
mod below;
mod find;
mod layer;
mod linear;
mod norm;
mod site;
mod sublayer;

pub use attach_point::{AttachPoint, attach_points};
pub use below::{StatesBelow, states_below};
pub use find::{find_sites, unread_sites};
pub use layer::in_top_layers;
pub use site::{Role, Site, path_matches};
