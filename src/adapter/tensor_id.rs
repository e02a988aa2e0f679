//! The names of an adapter's tensors, which are also the names of a graph's adapter inputs.
//!
//! No other module may build or parse such a name.

use super::kind::Kind;
use std::fmt;

/// Name of the head's weight, `[hidden, labels]`.
pub const HEAD_WEIGHT: &str = "head.weight";
/// Name of the head's bias, `[labels]`.
pub const HEAD_BIAS: &str = "head.bias";
/// Name of the weight of the head for tags, `[hidden, tags]`.
pub const TAGS_WEIGHT: &str = "tags.weight";
/// Name of the bias of the head for tags, `[tags]`.
pub const TAGS_BIAS: &str = "tags.bias";

/// Which head of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadName {
    /// The head of the whole input: [`HEAD_WEIGHT`] and [`HEAD_BIAS`], one output per label.
    Labels,
    /// The head of each word: [`TAGS_WEIGHT`] and [`TAGS_BIAS`], one output per tag.
    Tags,
}

/// The sizes of what heads read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadInputs {
    /// The vector of the whole input.
    pub pooled: usize,
    /// The hidden state of a token.
    pub hidden: usize,
}

impl HeadInputs {
    /// The size of what a head reads.
    pub fn of(self, head: HeadName) -> usize {
        match head {
            HeadName::Labels => self.pooled,
            HeadName::Tags => self.hidden,
        }
    }
}

impl From<usize> for HeadInputs {
    /// Where the vector of an input is as large as a hidden state.
    fn from(hidden: usize) -> Self {
        Self { pooled: hidden, hidden }
    }
}

impl HeadName {
    /// Both heads.
    pub const ALL: [Self; 2] = [Self::Labels, Self::Tags];

    /// The name of the weight, `[hidden, outputs]`.
    pub fn weight(self) -> &'static str {
        match self {
            Self::Labels => HEAD_WEIGHT,
            Self::Tags => TAGS_WEIGHT,
        }
    }

    /// The name of the bias, `[outputs]`.
    pub fn bias(self) -> &'static str {
        match self {
            Self::Labels => HEAD_BIAS,
            Self::Tags => TAGS_BIAS,
        }
    }
}

named! {
    /// The side of a linear layer that factors multiply.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Side {
        /// Its input.
        Input = "input",
        /// Its output.
        Output = "output",
    }
}

named! {
    /// A tensor of a bottleneck; the variants are in the order in which the tensors are applied.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum BottleneckTensor {
        /// `[hidden, width]`.
        DownWeight = "down.weight",
        /// `[width]`.
        DownBias = "down.bias",
        /// `[width, hidden]`.
        UpWeight = "up.weight",
        /// `[hidden]`.
        UpBias = "up.bias",
    }
}

impl BottleneckTensor {
    /// The shape in a bottleneck of this width on hidden states of this size.
    pub fn shape(self, hidden: usize, width: usize) -> Vec<usize> {
        match self {
            Self::DownWeight => vec![hidden, width],
            Self::DownBias => vec![width],
            Self::UpWeight => vec![width, hidden],
            Self::UpBias => vec![hidden],
        }
    }
}

/// Which tensor of an adapter this is; `Display` gives its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorId<'a> {
    /// `{module}.lora_A`, `[inputs, rank]`.
    LoraA(&'a str),
    /// `{module}.lora_B`, `[rank, outputs]`.
    LoraB(&'a str),
    /// `{module}.ia3`, `[outputs]` or `[inputs]`; a graph with factors on both sides of a layer
    /// has a second input that says its side, `{module}.ia3.input` or `{module}.ia3.output`.
    Ia3(&'a str, Option<Side>),
    /// `{module}.bottleneck.{slot}.{tensor}`.
    Bottleneck {
        /// The last linear layer of the sub-layer.
        module: &'a str,
        /// The position among stacked bottlenecks, 0 for the lowest one.
        slot: usize,
        /// Which of the bottleneck's tensors.
        tensor: BottleneckTensor,
    },
    /// The weight of a head.
    HeadWeight(HeadName),
    /// The bias of a head.
    HeadBias(HeadName),
}

impl<'a> TensorId<'a> {
    /// Parses a name; `None` when it is not the name of an adapter tensor.
    pub fn parse(name: &'a str) -> Option<Self> {
        for head in HeadName::ALL {
            if name == head.weight() {
                return Some(Self::HeadWeight(head));
            }
            if name == head.bias() {
                return Some(Self::HeadBias(head));
            }
        }
        if let Some((module, field)) = name.rsplit_once('.') {
            match field {
                "lora_A" => return Some(Self::LoraA(module)),
                "lora_B" => return Some(Self::LoraB(module)),
                "ia3" => return Some(Self::Ia3(module, None)),
                _ => {}
            }
            let side = Side::ALL.iter().copied().find(|side| side.name() == field);
            if let (Some(side), Some(module)) = (side, module.strip_suffix(".ia3")) {
                return Some(Self::Ia3(module, Some(side)));
            }
        }
        let (module, rest) = name.rsplit_once(".bottleneck.")?;
        let (digits, field) = rest.split_once('.')?;
        let slot: usize = digits.parse().ok().filter(|slot: &usize| slot.to_string() == digits)?;
        let tensor = BottleneckTensor::ALL.iter().copied().find(|one| one.name() == field)?;
        Some(Self::Bottleneck { module, slot, tensor })
    }

    /// The kind of the component that the tensor belongs to; `None` for heads.
    pub fn kind(self) -> Option<Kind> {
        match self {
            Self::LoraA(_) | Self::LoraB(_) => Some(Kind::Lora),
            Self::Ia3(..) => Some(Kind::Ia3),
            Self::Bottleneck { .. } => Some(Kind::Bottleneck),
            Self::HeadWeight(_) | Self::HeadBias(_) => None,
        }
    }

    /// The linear layer that the tensor belongs to; `None` for heads.
    pub fn module(self) -> Option<&'a str> {
        match self {
            Self::LoraA(module) | Self::LoraB(module) | Self::Ia3(module, _) => Some(module),
            Self::Bottleneck { module, .. } => Some(module),
            Self::HeadWeight(_) | Self::HeadBias(_) => None,
        }
    }
}

impl fmt::Display for TensorId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoraA(module) => write!(f, "{module}.lora_A"),
            Self::LoraB(module) => write!(f, "{module}.lora_B"),
            Self::Ia3(module, None) => write!(f, "{module}.ia3"),
            Self::Ia3(module, Some(side)) => write!(f, "{module}.ia3.{side}"),
            Self::Bottleneck { module, slot, tensor } => {
                write!(f, "{module}.bottleneck.{slot}.{tensor}")
            }
            Self::HeadWeight(head) => f.write_str(head.weight()),
            Self::HeadBias(head) => f.write_str(head.bias()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// Module paths that contain our own words, so that one name may be part of another.
    fn modules() -> impl Strategy<Value = String> {
        let words =
            ["layer", "0", "ia3", "input", "lora_A", "bottleneck", "down", "weight", "head", ""];
        prop::collection::vec(select(words.to_vec()), 1..6).prop_map(|words| words.join("."))
    }

    fn is_same(id: TensorId<'_>) -> std::result::Result<(), TestCaseError> {
        let name = id.to_string();
        prop_assert_eq!(TensorId::parse(&name), Some(id), "{}", name);
        Ok(())
    }

    proptest! {
        #[test]
        fn a_name_is_read_back(
            module in modules(),
            slot in 0usize..12,
            tensor in select(BottleneckTensor::ALL),
            side in select(vec![None, Some(Side::Input), Some(Side::Output)]),
            head in select(HeadName::ALL.to_vec()),
        ) {
            let module = module.as_str();
            is_same(TensorId::LoraA(module))?;
            is_same(TensorId::LoraB(module))?;
            is_same(TensorId::Ia3(module, side))?;
            is_same(TensorId::Bottleneck { module, slot, tensor })?;
            is_same(TensorId::HeadWeight(head))?;
            is_same(TensorId::HeadBias(head))?;
        }

        #[test]
        fn what_is_read_is_written_alike(
            name in "([a-z.03+]|\\.ia3|\\.bottleneck\\.|\\.up\\.bias|head){0,8}",
        ) {
            if let Some(id) = TensorId::parse(&name) {
                prop_assert_eq!(id.to_string(), name);
            }
        }
    }
}
