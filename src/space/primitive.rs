//! The candidate operations: one row of a table for each. What is made of the [`Form`]s below needs no more than its row;
//! a new form is said in `net/graph/build.rs`.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::{PoisonError, RwLock};

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
    /// 2x2 maximum of stride 2: it halves, and stands where the stride is 2 and nowhere else ([`Primitive::only_halves`]). No norm comes
    /// behind it.
    MaximumPool2,
    /// ReLU, convolutions of these kernels (height, width) one behind the other, batch norm. The stride is taken along
    /// each direction by the first kernel that is longer than 1 in it, or else by the first.
    Convs(&'static [(usize, usize)]),
    /// ReLU, 1x1 convolution to a quarter of the channels, batch norm; ReLU, convolution of stride `s`, batch norm; ReLU, 1x1
    /// convolution to `c`, batch norm.
    Bottleneck {
        /// Side of the kernel in the middle.
        kernel: usize,
    },
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

/// What is known of an op: its name, what it is made of, its other names.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Row {
    name: &'static str,
    form: Form,
    aliases: &'static [&'static str],
}

/// Makes the enum and its table out of rows `/// text` `Variant = "name", form, "alias" ...;`.
macro_rules! primitives {
    ($($(#[doc = $text:literal])+ $variant:ident = $name:literal, $form:expr $(, $alias:literal)*;)+) => {
        /// A candidate operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Primitive {
            $($(#[doc = $text])+ $variant,)+
            /// An op that the program around this library added: [`Primitive::add`].
            Own(Own),
        }

        impl Primitive {
            /// Those of the table.
            pub const ALL: [Primitive; [$($name),+].len()] = [$(Primitive::$variant),+];

            fn row(self) -> Row {
                match self {
                    $(Primitive::$variant => Row { name: $name, form: $form, aliases: &[$($alias),*] },)+
                    Primitive::Own(own) => own.row(),
                }
            }
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
    /// 2x2 maximum of stride 2 (AmoebaNet-B, tensorflow/tpu).
    MaxPool2x2 = "max_pool_2x2", Form::MaximumPool2;
    /// 3x3 convolution of a quarter of the channels, between two 1x1 (AmoebaNet-B, tensorflow/tpu).
    Bottleneck3x3 = "bottleneck_3x3", Form::Bottleneck { kernel: 3 };
    /// Standard normal draws: the op that no search should choose (RobustDARTS, space S4).
    Noise = "noise", Form::Noise;
}

/// Number of an op among those added; files have its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Own(usize);

static ADDED: RwLock<Vec<Row>> = RwLock::new(Vec::new());

impl Own {
    fn row(self) -> Row {
        ADDED.read().unwrap_or_else(PoisonError::into_inner)[self.0]
    }
}

impl From<Own> for String {
    fn from(own: Own) -> String {
        own.row().name.to_string()
    }
}

impl TryFrom<String> for Own {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        match Primitive::parse(&name)? {
            Primitive::Own(own) => Ok(own),
            known => Err(Error::invalid("op of one's own", known, "one that the program has added")),
        }
    }
}

impl Primitive {
    /// Adds an op of one's own to this process, made of a known form: spaces, supernets, evaluation networks, costs, ONNX files
    /// and the CPU engine then have it. The same op again is the same primitive.
    ///
    /// ```
    /// use isdarts_host::{Form, Primitive};
    /// let op = Primitive::add("sep_conv_9x9", Form::SeparableTwice { kernel: 9 })?;
    /// assert_eq!(Primitive::parse("sep_conv_9x9")?, op);
    /// # Ok::<(), isdarts_host::Error>(())
    /// ```
    ///
    /// # Errors
    /// A name that a genotype could not hold, or that another op has; kernels that are no odd number from 1 to 63; no kernel; a
    /// dilation of 0 or above 8.
    pub fn add(name: &str, form: Form) -> Result<Self> {
        let what = || format!("op `{name}` of one's own");
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(letters) {
            return Err(Error::invalid(what(), "its name", "small letters, digits and _, a letter first"));
        }
        let (kernels, dilation): (Vec<usize>, usize) = match form {
            Form::Zero | Form::Identity | Form::Noise => (vec![1], 1),
            Form::AveragePool | Form::MaximumPool | Form::MaximumPool2 => (vec![1], 1),
            Form::Bottleneck { kernel } => (vec![kernel], 1),
            Form::Convs(list) => (list.iter().flat_map(|&(h, w)| [h, w]).collect(), 1),
            Form::Separable { kernel, dilation } => (vec![kernel], dilation),
            Form::SeparableTwice { kernel } => (vec![kernel], 1),
        };
        if kernels.is_empty() || kernels.iter().any(|k| k % 2 == 0 || *k > 63) || !(1..=8).contains(&dilation) {
            let got = format!("kernels {kernels:?}, dilation {dilation}");
            return Err(Error::invalid(
                what(),
                got,
                "at least one kernel, odd, from 1 to 63, and a dilation from 1 to 8",
            ));
        }
        let known = |op: &Primitive| op.name() == name || op.row().aliases.contains(&name);
        if let Some(op) = Self::known().into_iter().find(known) {
            return match matches!(op, Primitive::Own(_)) && op.form() == form {
                true => Ok(op),
                false => {
                    Err(Error::invalid(what(), format!("{form:?}"), format!("another name: this is {:?}", op.form())))
                }
            };
        }
        let mut added = ADDED.write().unwrap_or_else(PoisonError::into_inner);
        // For as long as the process lives, as the names of the table.
        added.push(Row { name: Box::leak(name.to_string().into_boxed_str()), form, aliases: &[] });
        Ok(Primitive::Own(Own(added.len() - 1)))
    }

    /// Those of the table, and those added.
    pub fn known() -> Vec<Self> {
        let added = ADDED.read().unwrap_or_else(PoisonError::into_inner).len();
        Self::ALL.into_iter().chain((0..added).map(|i| Primitive::Own(Own(i)))).collect()
    }

    /// The name in genotypes.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What it is made of.
    pub fn form(self) -> Form {
        self.row().form
    }

    /// By name; also the authors' names (`dua_sepc_3x3`, `dil_sepc_3x3`). Unknown names are an error with the nearest.
    pub fn parse(name: &str) -> Result<Self> {
        Self::parse_among(name, &Self::known())
    }

    /// By name, where only some ops are allowed: the error lists those and the nearest of them.
    pub fn parse_among(name: &str, allowed: &[Primitive]) -> Result<Self> {
        (allowed.iter().copied().find(|p| p.name() == name || p.row().aliases.contains(&name)))
            .ok_or_else(|| Error::unknown_name("op", name, allowed.iter().map(|p| p.name())))
    }

    /// Whether it has weights to train (at stride 1).
    pub fn has_weights(self) -> bool {
        match self.form() {
            Form::Convs(_) | Form::Bottleneck { .. } | Form::Separable { .. } | Form::SeparableTwice { .. } => true,
            Form::Zero | Form::Identity | Form::Noise => false,
            Form::AveragePool | Form::MaximumPool | Form::MaximumPool2 => false,
        }
    }

    /// Whether it stands where the stride is 2 and nowhere else.
    pub fn only_halves(self) -> bool {
        self.form() == Form::MaximumPool2
    }

    /// An error for an op that cannot stand at `stride`; `place` says where that is.
    pub fn check_stride(self, stride: usize, place: impl FnOnce() -> String) -> Result<()> {
        match self.only_halves() && stride != 2 {
            true => Err(Error::invalid(place(), self, "it on edges that halve: from the inputs of a reduction cell")),
            false => Ok(()),
        }
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
        for p in Primitive::ALL {
            let Row { name, aliases, .. } = p.row();
            for text in [&[name], aliases].concat() {
                assert_eq!(Primitive::parse(text).unwrap(), p);
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
    fn an_op_of_ones_own_is_one_row_and_reads_back_and_wrong_ones_are_refused() {
        let form = Form::Convs(&[(1, 5), (5, 1)]);
        let op = Primitive::add("conv_5x1_1x5", form).unwrap();
        assert_eq!((op.name(), op.form(), Primitive::parse("conv_5x1_1x5").unwrap()), ("conv_5x1_1x5", form, op));
        assert_eq!(Primitive::add("conv_5x1_1x5", form).unwrap(), op);
        let text = serde_json::to_string(&op).unwrap();
        assert_eq!(
            (text.as_str(), serde_json::from_str::<Primitive>(&text).unwrap()),
            ("{\"Own\":\"conv_5x1_1x5\"}", op)
        );
        assert!(serde_json::from_str::<Primitive>("{\"Own\":\"conv_4\"}").is_err());
        for (name, form, message) in [
            ("skip_connect", Form::Identity, "expected another name: this is Identity"),
            ("dua_sepc_3x3", Form::Identity, "another name"),
            ("conv_5x1_1x5", Form::Zero, "another name"),
            ("Conv", Form::Zero, "small letters"),
            ("a|b", Form::Zero, "small letters"),
            ("conv_4", Form::Convs(&[(4, 4)]), "odd, from 1 to 63"),
            ("none_at_all", Form::Convs(&[]), "at least one kernel"),
            ("far", Form::Separable { kernel: 3, dilation: 0 }, "dilation from 1 to 8"),
        ] {
            let error = Primitive::add(name, form).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn an_op_of_another_space_is_unknown_where_it_is_not_allowed() {
        assert!(Primitive::parse_among("sep_conv_3x3", &[Primitive::None, Primitive::NorConv3x3]).is_err());
    }
}
