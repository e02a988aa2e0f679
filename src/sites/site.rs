//! A site: a linear layer of the backbone where an adapter can attach, and the patterns that match
//! it.

named! {
    /// The role of a linear layer, determined by the data flow around it. Its name appears in
    /// listings and after `@` in patterns.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Role {
        /// The last layer of an attention; its output is added to the residual stream.
        AttentionOutput = "attention_output",
        /// The last layer of a feed-forward.
        FeedForwardOutput = "feed_forward_output",
        /// Any other layer of a feed-forward.
        FeedForwardInput = "feed_forward_input",
        /// Any other layer, such as the query, key and value projections of an attention.
        Other = "other",
    }
}

/// A linear layer of the backbone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Module path in dots, for example `encoder.layer.0.attention.self.query`.
    pub module: String,
    /// The nodes of the searched graph in ascending order, one for each use of the layer.
    pub nodes: Vec<usize>,
    /// Size of the layer's input.
    pub inputs: usize,
    /// Size of the layer's output.
    pub outputs: usize,
    /// The role of the layer.
    pub role: Role,
}

impl Site {
    /// Whether `pattern` matches this site: by its whole path, its last components (`query`,
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
