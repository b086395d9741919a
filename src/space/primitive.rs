//! The candidate operations: one row of a table for each. What is made of the [`Form`]s below needs no more than its row;
//! a new form is said in `net/graph/build.rs`.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What an operation is made of, on `c` channels at stride `s` (1, or 2 on the inputs of a reduction cell).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Zeros.
    Zero,
    /// The input; factorised reduction at stride 2.
    Identity,
    /// Draws from N(0, 1), whatever the input.
    Noise,
    /// 3x3 average over the valid pixels.
    AveragePool,
    /// 3x3 maximum.
    MaximumPool,
    /// ReLU, convolutions of these kernels (height, width) one behind the other, batch norm. The stride is taken along
    /// each direction by the first kernel that is longer than 1 in it, or else by the first.
    Convs(&'static [(usize, usize)]),
    /// ReLU, depthwise convolution, 1x1 convolution, batch norm.
    Separable {
        /// Side of the depthwise kernel.
        kernel: usize,
        /// Distance of its taps.
        dilation: usize,
    },
    /// Two of them, undilated; the first takes the stride.
    SeparableTwice {
        /// Side of the depthwise kernels.
        kernel: usize,
    },
}

/// The strides (down, across) of each kernel of [`Form::Convs`].
pub fn strides(kernels: &[(usize, usize)], stride: usize) -> Vec<(usize, usize)> {
    let tall = kernels.iter().position(|(h, _)| *h > 1).unwrap_or(0);
    let wide = kernels.iter().position(|(_, w)| *w > 1).unwrap_or(0);
    let at = |i: usize, taker: usize| if i == taker { stride } else { 1 };
    (0..kernels.len()).map(|i| (at(i, tall), at(i, wide))).collect()
}

/// Makes the enum and its table out of rows `/// text` `Variant = "name", form, "alias" ...;`.
macro_rules! primitives {
    ($($(#[doc = $text:literal])+ $variant:ident = $name:literal, $form:expr $(, $alias:literal)*;)+) => {
        /// A candidate operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Primitive {
            $($(#[doc = $text])+ $variant,)+
        }

        /// Each with its name, what it is made of, and its other names.
        const TABLE: &[(Primitive, &str, Form, &[&str])] =
            &[$((Primitive::$variant, $name, $form, &[$($alias),*]),)+];

        impl Primitive {
            /// All of them.
            pub const ALL: [Primitive; TABLE.len()] = [$(Primitive::$variant),+];
        }
    };
}

// The other names are those in the IS-DARTS authors' code, which follows AutoDL-Projects.
primitives! {
    /// Zero.
    None = "none", Form::Zero;
    /// Identity; factorised reduction at stride 2.
    SkipConnect = "skip_connect", Form::Identity;
    /// ReLU, 1x1 convolution, batch norm.
    NorConv1x1 = "nor_conv_1x1", Form::Convs(&[(1, 1)]);
    /// ReLU, 3x3 convolution, batch norm.
    NorConv3x3 = "nor_conv_3x3", Form::Convs(&[(3, 3)]);
    /// 3x3 average over the valid pixels.
    AvgPool3x3 = "avg_pool_3x3", Form::AveragePool;
    /// 3x3 maximum.
    MaxPool3x3 = "max_pool_3x3", Form::MaximumPool;
    /// Depthwise-separable 3x3 convolution, twice.
    SepConv3x3 = "sep_conv_3x3", Form::SeparableTwice { kernel: 3 }, "dua_sepc_3x3";
    /// Depthwise-separable 5x5 convolution, twice.
    SepConv5x5 = "sep_conv_5x5", Form::SeparableTwice { kernel: 5 }, "dua_sepc_5x5";
    /// Dilated (2) depthwise-separable 3x3 convolution.
    DilConv3x3 = "dil_conv_3x3", Form::Separable { kernel: 3, dilation: 2 }, "dil_sepc_3x3";
    /// Dilated (2) depthwise-separable 5x5 convolution.
    DilConv5x5 = "dil_conv_5x5", Form::Separable { kernel: 5, dilation: 2 }, "dil_sepc_5x5";
    /// Depthwise-separable 7x7 convolution, twice (quark0/darts).
    SepConv7x7 = "sep_conv_7x7", Form::SeparableTwice { kernel: 7 };
    /// ReLU, 7x7 convolution, batch norm (AutoDL-Projects).
    NorConv7x7 = "nor_conv_7x7", Form::Convs(&[(7, 7)]);
    /// ReLU, 1x7 then 7x1 convolution, batch norm (quark0/darts).
    Conv7x1And1x7 = "conv_7x1_1x7", Form::Convs(&[(1, 7), (7, 1)]);
    /// ReLU, 1x3 then 3x1 convolution, batch norm (AutoDL-Projects).
    Conv3x1And1x3 = "conv_3x1_1x3", Form::Convs(&[(1, 3), (3, 1)]);
    /// Standard normal draws: the op that no search should choose (RobustDARTS, space S4).
    Noise = "noise", Form::Noise;
}

impl Primitive {
    fn row(self) -> &'static (Primitive, &'static str, Form, &'static [&'static str]) {
        &TABLE[self as usize]
    }

    /// The name in genotypes.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What it is made of.
    pub fn form(self) -> Form {
        self.row().2
    }

    /// By name; also the authors' names (`dua_sepc_3x3`, `dil_sepc_3x3`). Unknown names are an error with the nearest.
    pub fn parse(name: &str) -> Result<Self> {
        Self::parse_among(name, &Self::ALL)
    }

    /// By name, where only some ops are allowed: the error lists those and the nearest of them.
    pub fn parse_among(name: &str, allowed: &[Primitive]) -> Result<Self> {
        (allowed.iter().copied().find(|p| p.name() == name || p.row().3.contains(&name)))
            .ok_or_else(|| Error::unknown_name("op", name, allowed.iter().map(|p| p.name())))
    }

    /// Whether it has weights to train (at stride 1).
    pub fn has_weights(self) -> bool {
        matches!(self.form(), Form::Convs(_) | Form::Separable { .. } | Form::SeparableTwice { .. })
    }
}

impl std::fmt::Display for Primitive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_so_do_the_authors_names_and_all_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for (i, (p, name, _, aliases)) in TABLE.iter().enumerate() {
            assert_eq!(*p as usize, i);
            for text in [&[*name], *aliases].concat() {
                assert_eq!(Primitive::parse(text).unwrap(), *p);
                assert!(seen.insert(text), "{text} twice");
            }
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{name} would not read in a genotype");
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
