//! The candidate operations by name.

use crate::error::Result;
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
        todo!()
    }

    /// By name; also the authors' names (`dua_sepc_3x3`, `dil_sepc_3x3`). Unknown names are an error with the nearest.
    pub fn parse(_name: &str) -> Result<Self> {
        todo!()
    }

    /// Whether it has weights to train.
    pub fn has_weights(self) -> bool {
        todo!()
    }
}
