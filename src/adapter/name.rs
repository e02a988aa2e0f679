//! The names of tensors, read back.

use super::part::Kind;

/// The kind of adapter that a tensor or input of this name belongs to; none for those of heads.
pub fn kind_of(name: &str) -> Option<Kind> {
    // Factors that come a second time at one site say on which side they stand.
    let plain = name.strip_suffix(".input").or_else(|| name.strip_suffix(".output"));
    match TensorName::parse(plain.filter(|name| name.ends_with(".ia3")).unwrap_or(name)) {
        TensorName::LoraA(_) | TensorName::LoraB(_) => Some(Kind::Lora),
        TensorName::Ia3(_) => Some(Kind::Ia3),
        TensorName::Bottleneck { .. } => Some(Kind::Bottleneck),
        TensorName::Other => None,
    }
}

/// What a tensor's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TensorName<'a> {
    /// `{module}.lora_A`.
    LoraA(&'a str),
    /// `{module}.lora_B`.
    LoraB(&'a str),
    /// `{module}.ia3`.
    Ia3(&'a str),
    /// `{module}.bottleneck.{slot}.{tensor}`.
    Bottleneck {
        /// The last linear layer of the sub-layer.
        module: &'a str,
        /// 0 for the lowest.
        slot: usize,
        /// `down.weight`, `down.bias`, `up.weight` or `up.bias`.
        tensor: &'a str,
    },
    /// A tensor of the head, or none of ours.
    Other,
}

impl<'a> TensorName<'a> {
    /// Reads a name.
    pub fn parse(name: &'a str) -> Self {
        if let Some(module) = name.strip_suffix(".lora_A") {
            return Self::LoraA(module);
        }
        if let Some(module) = name.strip_suffix(".lora_B") {
            return Self::LoraB(module);
        }
        if let Some(module) = name.strip_suffix(".ia3") {
            return Self::Ia3(module);
        }
        let bottleneck = || {
            let (module, rest) = name.rsplit_once(".bottleneck.")?;
            let (slot, tensor) = rest.split_once('.')?;
            Some(Self::Bottleneck { module, slot: slot.parse().ok()?, tensor })
        };
        bottleneck().unwrap_or(Self::Other)
    }

    /// The module of a low-rank tensor.
    pub fn lora_module(self) -> Option<&'a str> {
        match self {
            Self::LoraA(module) | Self::LoraB(module) => Some(module),
            _ => None,
        }
    }

    /// The module of factors.
    pub fn ia3_module(self) -> Option<&'a str> {
        match self {
            Self::Ia3(module) => Some(module),
            _ => None,
        }
    }

    /// The module of a tensor of the bottleneck in `wanted`.
    pub fn bottleneck_module(self, wanted: usize) -> Option<&'a str> {
        match self {
            Self::Bottleneck { module, slot, .. } if slot == wanted => Some(module),
            _ => None,
        }
    }
}
