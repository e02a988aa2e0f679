//! A site: a linear layer of the backbone where an adapter can attach, and how patterns name it.
//!
//! Input: a pattern. Output: whether it names the site. This module never reads a graph.

named! {
    /// What a linear layer is for, told by the flow of data around it. Its name stands in listings,
    /// and after `@` in patterns.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Role {
        /// The last layer of an attention: what it makes is added to the residual stream.
        AttentionOutput = "attention_output",
        /// The last layer of a feed-forward.
        FeedForwardOutput = "feed_forward_output",
        /// Any other layer of a feed-forward.
        FeedForwardInput = "feed_forward_input",
        /// Everything else, such as the projections that an attention begins with.
        Other = "other",
    }
}

/// A linear layer of the backbone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Module path in dots, for example `encoder.layer.0.attention.self.query`.
    pub module: String,
    /// The nodes of the graph that was searched, ascending: one for each use of the layer.
    pub nodes: Vec<usize>,
    /// Size of the layer's input.
    pub inputs: usize,
    /// Size of the layer's output.
    pub outputs: usize,
    /// What the layer is for.
    pub role: Role,
}

impl Site {
    /// Whether `pattern` names this site: its whole path, its last parts (`query`,
    /// `attention.self.query`), or its role after an `@` (`@feed_forward_output`).
    pub fn matches(&self, pattern: &str) -> bool {
        match pattern.strip_prefix('@') {
            Some(role) => self.role.name() == role,
            None => path_matches(pattern, &self.module),
        }
    }
}

/// Whether `pattern` is the module path or the end of it after a dot.
pub fn path_matches(pattern: &str, module: &str) -> bool {
    module == pattern
        || module
            .strip_suffix(pattern)
            .is_some_and(|rest| !pattern.is_empty() && rest.ends_with('.'))
}
