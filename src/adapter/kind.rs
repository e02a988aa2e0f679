//! The kinds of components that an adapter may have.

named! {
    /// What an adapter may contain.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Kind: "adapter kind" {
        /// A low-rank product beside a linear layer.
        #[default]
        Lora = "lora",
        /// A small network of two layers at the end of a sub-layer.
        Bottleneck = "bottleneck",
        /// A factor on each output, or each input, of a linear layer.
        Ia3 = "ia3",
    }
}
