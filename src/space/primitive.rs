//! The candidate operations by name.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A candidate operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Primitive {
    /// Zero.
    None,
    /// Identity; factorised reduction at stride 2.
    SkipConnect,
    /// ReLU, 1x1 convolution, batch norm.
    NorConv1x1,
    /// ReLU, 3x3 convolution, batch norm.
    NorConv3x3,
    /// 3x3 average over the valid pixels.
    AvgPool3x3,
    /// 3x3 maximum.
    MaxPool3x3,
    /// Depthwise-separable 3x3 convolution, twice.
    SepConv3x3,
    /// Depthwise-separable 5x5 convolution, twice.
    SepConv5x5,
    /// Dilated (2) depthwise-separable 3x3 convolution.
    DilConv3x3,
    /// Dilated (2) depthwise-separable 5x5 convolution.
    DilConv5x5,
}

impl Primitive {
    /// All of them.
    pub const ALL: [Primitive; 10] = [
        Primitive::None,
        Primitive::SkipConnect,
        Primitive::NorConv1x1,
        Primitive::NorConv3x3,
        Primitive::AvgPool3x3,
        Primitive::MaxPool3x3,
        Primitive::SepConv3x3,
        Primitive::SepConv5x5,
        Primitive::DilConv3x3,
        Primitive::DilConv5x5,
    ];

    /// The name in genotypes.
    pub fn name(self) -> &'static str {
        match self {
            Primitive::None => "none",
            Primitive::SkipConnect => "skip_connect",
            Primitive::NorConv1x1 => "nor_conv_1x1",
            Primitive::NorConv3x3 => "nor_conv_3x3",
            Primitive::AvgPool3x3 => "avg_pool_3x3",
            Primitive::MaxPool3x3 => "max_pool_3x3",
            Primitive::SepConv3x3 => "sep_conv_3x3",
            Primitive::SepConv5x5 => "sep_conv_5x5",
            Primitive::DilConv3x3 => "dil_conv_3x3",
            Primitive::DilConv5x5 => "dil_conv_5x5",
        }
    }

    /// By name; also the authors' names (`dua_sepc_3x3`, `dil_sepc_3x3`). Unknown names are an error with the nearest.
    pub fn parse(name: &str) -> Result<Self> {
        Self::parse_among(name, &Self::ALL)
    }

    /// By name, where only some ops are allowed: the error lists those and the nearest of them.
    pub fn parse_among(name: &str, allowed: &[Primitive]) -> Result<Self> {
        let canonical = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, canonical)| *canonical);
        (allowed.iter().copied().find(|p| p.name() == canonical))
            .ok_or_else(|| Error::unknown_name("op", name, allowed.iter().map(|p| p.name())))
    }

    /// Whether it has weights to train.
    pub fn has_weights(self) -> bool {
        !matches!(self, Primitive::None | Primitive::SkipConnect | Primitive::AvgPool3x3 | Primitive::MaxPool3x3)
    }
}

/// The names in the IS-DARTS authors' code, which follows AutoDL-Projects.
const ALIASES: [(&str, &str); 4] = [
    ("dua_sepc_3x3", "sep_conv_3x3"),
    ("dua_sepc_5x5", "sep_conv_5x5"),
    ("dil_sepc_3x3", "dil_conv_3x3"),
    ("dil_sepc_5x5", "dil_conv_5x5"),
];

impl std::fmt::Display for Primitive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_so_do_the_authors_names() {
        for p in Primitive::ALL {
            assert_eq!(Primitive::parse(p.name()).unwrap(), p);
        }
        for (alias, canonical) in ALIASES {
            assert_eq!(Primitive::parse(alias).unwrap().name(), canonical);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_known_one() {
        for (got, nearest) in [("nor_conv_3x4", "nor_conv_3x3"), ("skip_conect", "skip_connect"), ("nonee", "none")] {
            let message = Primitive::parse(got).unwrap_err().to_string();
            assert!(message.contains(&format!("unknown op `{got}`, did you mean `{nearest}`?")), "{message}");
        }
        let message = Primitive::parse("transformer").unwrap_err().to_string();
        assert!(!message.contains("did you mean") && message.contains("dil_conv_5x5"), "{message}");
    }

    #[test]
    fn an_op_of_another_space_is_unknown_where_it_is_not_allowed() {
        assert!(Primitive::parse_among("sep_conv_3x3", &[Primitive::None, Primitive::NorConv3x3]).is_err());
    }
}
