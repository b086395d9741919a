//! Cells that papers found, by name, each copied from a public repository.

use super::Genotype;
use crate::error::{Error, Result};

/// A published cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its name.
    pub name: &'static str,
    /// The paper.
    pub paper: &'static str,
    /// Repository and file that it was copied from.
    pub source: &'static str,
    normal: &'static str,
    reduce: &'static str,
}

impl Published {
    /// Its text, the inputs of a node in the order in which they are published.
    pub fn text(&self) -> String {
        let cell = |name: &str, short: &str| {
            let (inputs, output) = short.split_once('>').unwrap_or((short, "range(2, 6)"));
            format!("{name}=[{}], {name}_concat={}", inputs_of(inputs), output.trim())
        };
        format!("Genotype({}, {})", cell("normal", self.normal), cell("reduce", self.reduce))
    }
}

/// `op~from` and `op~node~from` as Python tuples.
fn inputs_of(short: &str) -> String {
    let input = |word: &str| word.split_once('~').map(|(op, rest)| format!("('{op}', {})", rest.replace('~', ", ")));
    short.split_whitespace().filter_map(input).collect::<Vec<_>>().join(", ")
}

impl Genotype {
    /// A published cell by its name, in capitals or not; unknown names are an error with the nearest.
    pub fn by_name(name: &str) -> Result<Self> {
        Self::parse(&published(name)?.text())
    }

    /// From its text ([`Genotype::parse`]) or, where the text is one word, from its name in the literature.
    pub fn read(text: &str) -> Result<Self> {
        if is_name(text) { Self::by_name(text.trim()) } else { Self::parse(text) }
    }
}

/// Whether a text is one word, and so a name.
pub fn is_name(text: &str) -> bool {
    let word = text.trim();
    !word.is_empty() && word != "Genotype" && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// By name, in capitals or not; unknown names are an error with the nearest.
pub fn published(name: &str) -> Result<&'static Published> {
    let found = LITERATURE.iter().find(|p| p.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| Error::unknown_name("genotype", name, LITERATURE.iter().map(|p| p.name)))
}

/// All of them. Two inputs a node, in order, each an op and where it reads (0 and 1 are the inputs of the cell), or an op, its
/// node and where it reads; behind `>` the nodes that are the output, where these are not 2 to 5.
pub const LITERATURE: &[Published] = &[
    Published {
        name: "DARTS_V1",
        paper: "DARTS, first order (Liu et al., ICLR 2019)",
        source: "yuhuixu1993/PC-DARTS, genotypes.py",
        normal: "sep_conv_3x3~1 sep_conv_3x3~0 skip_connect~0 sep_conv_3x3~1 \
            skip_connect~0 sep_conv_3x3~1 sep_conv_3x3~0 skip_connect~2",
        reduce: "max_pool_3x3~0 max_pool_3x3~1 skip_connect~2 max_pool_3x3~0 \
            max_pool_3x3~0 skip_connect~2 skip_connect~2 avg_pool_3x3~0",
    },
    Published {
        name: "DARTS_V2",
        paper: "DARTS, second order (Liu et al., ICLR 2019)",
        source: "yuhuixu1993/PC-DARTS, genotypes.py",
        normal: "sep_conv_3x3~0 sep_conv_3x3~1 sep_conv_3x3~0 sep_conv_3x3~1 \
            sep_conv_3x3~1 skip_connect~0 skip_connect~0 dil_conv_3x3~2",
        reduce: "max_pool_3x3~0 max_pool_3x3~1 skip_connect~2 max_pool_3x3~1 \
            max_pool_3x3~0 skip_connect~2 skip_connect~2 max_pool_3x3~1",
    },
    Published {
        name: "PC_DARTS_cifar",
        paper: "PC-DARTS on CIFAR-10 (Xu et al., ICLR 2020)",
        source: "yuhuixu1993/PC-DARTS, genotypes.py",
        normal: "sep_conv_3x3~1 skip_connect~0 sep_conv_3x3~0 dil_conv_3x3~1 \
            sep_conv_5x5~0 sep_conv_3x3~1 avg_pool_3x3~0 dil_conv_3x3~1",
        reduce: "sep_conv_5x5~1 max_pool_3x3~0 sep_conv_5x5~1 sep_conv_5x5~2 \
            sep_conv_3x3~0 sep_conv_3x3~3 sep_conv_3x3~1 sep_conv_3x3~2",
    },
    Published {
        name: "PC_DARTS_image",
        paper: "PC-DARTS on ImageNet (Xu et al., ICLR 2020)",
        source: "yuhuixu1993/PC-DARTS, genotypes.py",
        normal: "skip_connect~1 sep_conv_3x3~0 sep_conv_3x3~0 skip_connect~1 \
            sep_conv_3x3~1 sep_conv_3x3~3 sep_conv_3x3~1 dil_conv_5x5~4",
        reduce: "sep_conv_3x3~0 skip_connect~1 dil_conv_5x5~2 max_pool_3x3~1 \
            sep_conv_3x3~2 sep_conv_3x3~1 sep_conv_5x5~0 sep_conv_3x3~3",
    },
    Published {
        name: "PDARTS",
        paper: "P-DARTS (Chen et al., ICCV 2019)",
        source: "chenxin061/pdarts, genotypes.py",
        normal: "skip_connect~0 dil_conv_3x3~1 skip_connect~0 sep_conv_3x3~1 \
            sep_conv_3x3~1 sep_conv_3x3~3 sep_conv_3x3~0 dil_conv_5x5~4",
        reduce: "avg_pool_3x3~0 sep_conv_5x5~1 sep_conv_3x3~0 dil_conv_5x5~2 \
            max_pool_3x3~0 dil_conv_3x3~1 dil_conv_3x3~1 dil_conv_5x5~3",
    },
    Published {
        name: "GDAS_V1",
        paper: "GDAS (Dong and Yang, CVPR 2019)",
        source: "HY-HE/IS-DARTS, xautodl/nas_infer_model/DXYs/genotypes.py",
        normal: "skip_connect~0 skip_connect~1 skip_connect~0 sep_conv_5x5~2 \
            sep_conv_3x3~3 skip_connect~0 sep_conv_5x5~4 sep_conv_3x3~3",
        reduce: "sep_conv_5x5~0 sep_conv_3x3~1 sep_conv_5x5~2 sep_conv_5x5~1 \
            dil_conv_5x5~2 sep_conv_3x3~1 sep_conv_5x5~0 sep_conv_5x5~1",
    },
    Published {
        name: "SNAS_mild",
        paper: "SNAS, mild constraint (Xie et al., ICLR 2019)",
        source: "SNAS-Series/SNAS-Series, SNAS/genotypes.py",
        normal: "sep_conv_3x3~0 sep_conv_3x3~1 skip_connect~0 dil_conv_3x3~1 \
            skip_connect~0 skip_connect~1 skip_connect~0 sep_conv_3x3~1",
        reduce: "max_pool_3x3~0 max_pool_3x3~1 max_pool_3x3~1 skip_connect~2 \
            max_pool_3x3~1 skip_connect~2 max_pool_3x3~0 dil_conv_5x5~2",
    },
    Published {
        name: "SNAS_moderate",
        paper: "SNAS, moderate constraint (Xie et al., ICLR 2019)",
        source: "SNAS-Series/SNAS-Series, SNAS/genotypes.py",
        normal: "dil_conv_5x5~0 skip_connect~1 sep_conv_3x3~0 skip_connect~1 \
            skip_connect~0 skip_connect~1 sep_conv_3x3~0 dil_conv_5x5~1",
        reduce: "max_pool_3x3~0 max_pool_3x3~1 sep_conv_5x5~0 dil_conv_5x5~1 \
            sep_conv_5x5~0 sep_conv_5x5~1 sep_conv_5x5~0 sep_conv_5x5~1",
    },
    Published {
        name: "SNAS_aggressive",
        paper: "SNAS, aggressive constraint (Xie et al., ICLR 2019)",
        source: "SNAS-Series/SNAS-Series, SNAS/genotypes.py",
        normal: "sep_conv_5x5~0 skip_connect~1 skip_connect~0 skip_connect~1 \
            dil_conv_5x5~1 skip_connect~0 skip_connect~0 dil_conv_5x5~1",
        reduce: "sep_conv_5x5~0 none~1 sep_conv_5x5~0 none~1 \
            none~1 none~0 none~1 none~0",
    },
    Published {
        name: "SGAS_Cri1_CIFAR_1",
        paper: "SGAS, criterion 1, run 1 (Li et al., CVPR 2020)",
        source: "lightaime/sgas, cnn/genotypes.py",
        normal: "skip_connect~0 sep_conv_3x3~1 sep_conv_3x3~0 sep_conv_5x5~1 \
            sep_conv_3x3~1 sep_conv_3x3~2 dil_conv_5x5~2 dil_conv_3x3~3",
        reduce: "max_pool_3x3~0 dil_conv_3x3~1 sep_conv_3x3~0 sep_conv_5x5~2 \
            max_pool_3x3~1 skip_connect~2 skip_connect~2 skip_connect~3",
    },
    Published {
        name: "SGAS_Cri1_CIFAR_2",
        paper: "SGAS, criterion 1, run 2 (Li et al., CVPR 2020)",
        source: "lightaime/sgas, cnn/genotypes.py",
        normal: "sep_conv_3x3~0 dil_conv_3x3~1 skip_connect~0 dil_conv_3x3~2 \
            sep_conv_3x3~1 sep_conv_3x3~2 sep_conv_3x3~2 sep_conv_5x5~4",
        reduce: "avg_pool_3x3~0 sep_conv_3x3~1 max_pool_3x3~0 skip_connect~2 \
            max_pool_3x3~0 sep_conv_5x5~2 max_pool_3x3~1 dil_conv_5x5~3",
    },
    Published {
        name: "SGAS_Cri1_CIFAR_3",
        paper: "SGAS, criterion 1, run 3 (Li et al., CVPR 2020)",
        source: "lightaime/sgas, cnn/genotypes.py",
        normal: "sep_conv_3x3~0 dil_conv_3x3~1 sep_conv_3x3~0 sep_conv_3x3~1 \
            sep_conv_5x5~1 sep_conv_5x5~3 skip_connect~0 dil_conv_5x5~2",
        reduce: "max_pool_3x3~0 dil_conv_5x5~1 sep_conv_3x3~0 skip_connect~2 \
            sep_conv_3x3~1 skip_connect~2 max_pool_3x3~0 max_pool_3x3~1",
    },
    Published {
        name: "SGAS_Cri2_CIFAR_3",
        paper: "SGAS, criterion 2, run 3 (Li et al., CVPR 2020)",
        source: "lightaime/sgas, cnn/genotypes.py",
        normal: "sep_conv_3x3~0 sep_conv_3x3~1 sep_conv_3x3~0 sep_conv_3x3~2 \
            max_pool_3x3~0 sep_conv_3x3~3 sep_conv_3x3~2 sep_conv_3x3~3",
        reduce: "sep_conv_3x3~0 max_pool_3x3~1 dil_conv_3x3~0 max_pool_3x3~1 \
            max_pool_3x3~0 sep_conv_3x3~2 max_pool_3x3~0 sep_conv_5x5~2",
    },
    Published {
        name: "SGAS_Cri2_CIFAR_4",
        paper: "SGAS, criterion 2, run 4 (Li et al., CVPR 2020)",
        source: "lightaime/sgas, cnn/genotypes.py",
        normal: "sep_conv_3x3~0 sep_conv_3x3~1 sep_conv_3x3~0 sep_conv_3x3~1 \
            dil_conv_5x5~0 dil_conv_3x3~2 sep_conv_3x3~1 dil_conv_5x5~3",
        reduce: "sep_conv_5x5~0 dil_conv_3x3~1 max_pool_3x3~0 max_pool_3x3~1 \
            dil_conv_3x3~0 dil_conv_5x5~2 max_pool_3x3~0 avg_pool_3x3~1",
    },
    Published {
        name: "SGAS_Cri2_CIFAR_5",
        paper: "SGAS, criterion 2, run 5 (Li et al., CVPR 2020)",
        source: "lightaime/sgas, cnn/genotypes.py",
        normal: "sep_conv_3x3~0 sep_conv_5x5~1 skip_connect~0 sep_conv_5x5~1 \
            dil_conv_3x3~1 dil_conv_3x3~2 sep_conv_3x3~2 dil_conv_5x5~3",
        reduce: "sep_conv_5x5~0 skip_connect~1 max_pool_3x3~1 sep_conv_5x5~2 \
            max_pool_3x3~0 sep_conv_5x5~3 max_pool_3x3~0 skip_connect~2",
    },
    Published {
        name: "FairDARTS_a",
        paper: "FairDARTS a (Chu et al., ECCV 2020)",
        source: "xiaomi-automl/FairDARTS, fairdarts/genotypes.py",
        normal: "sep_conv_3x3~2~0 sep_conv_5x5~2~1 max_pool_3x3~4~0 sep_conv_3x3~5~0",
        reduce: "max_pool_3x3~0 avg_pool_3x3~1 avg_pool_3x3~0 dil_conv_5x5~1 \
            avg_pool_3x3~0 sep_conv_5x5~1 skip_connect~0 skip_connect~1",
    },
    Published {
        name: "FairDARTS_b",
        paper: "FairDARTS b (Chu et al., ECCV 2020)",
        source: "xiaomi-automl/FairDARTS, fairdarts/genotypes.py",
        normal: "sep_conv_3x3~2~0 sep_conv_3x3~2~1 sep_conv_3x3~3~1 dil_conv_3x3~4~0 \
            sep_conv_5x5~4~1 dil_conv_5x5~5~1",
        reduce: "skip_connect~0 dil_conv_3x3~1 skip_connect~0 dil_conv_3x3~1 \
            max_pool_3x3~0 sep_conv_3x3~1 skip_connect~2 max_pool_3x3~0",
    },
    Published {
        name: "FairDARTS_c",
        paper: "FairDARTS c (Chu et al., ECCV 2020)",
        source: "xiaomi-automl/FairDARTS, fairdarts/genotypes.py",
        normal: "max_pool_3x3~2~0 sep_conv_5x5~2~1 dil_conv_3x3~4~0 dil_conv_5x5~4~2 \
            skip_connect~5~3 sep_conv_3x3~5~0",
        reduce: "dil_conv_3x3~1 dil_conv_5x5~0 dil_conv_3x3~0 sep_conv_3x3~1 \
            sep_conv_5x5~0 sep_conv_5x5~3 sep_conv_5x5~0 skip_connect~1",
    },
    Published {
        name: "FairDARTS_d",
        paper: "FairDARTS d (Chu et al., ECCV 2020)",
        source: "xiaomi-automl/FairDARTS, fairdarts/genotypes.py",
        normal: "sep_conv_3x3~0 sep_conv_5x5~1 dil_conv_3x3~1 max_pool_3x3~0 \
            dil_conv_3x3~0 dil_conv_3x3~1 sep_conv_3x3~0 dil_conv_5x5~1",
        reduce: "max_pool_3x3~0 sep_conv_5x5~1 avg_pool_3x3~0 dil_conv_5x5~2 \
            dil_conv_3x3~3 avg_pool_3x3~0 avg_pool_3x3~0 skip_connect~3",
    },
    Published {
        name: "FairDARTS_e",
        paper: "FairDARTS e (Chu et al., ECCV 2020)",
        source: "xiaomi-automl/FairDARTS, fairdarts/genotypes.py",
        normal: "sep_conv_3x3~2~0 sep_conv_3x3~2~1 dil_conv_3x3~4~1 dil_conv_3x3~4~2 \
            dil_conv_3x3~5~0 dil_conv_5x5~5~1",
        reduce: "max_pool_3x3~1 max_pool_3x3~0 max_pool_3x3~1 max_pool_3x3~0 \
            sep_conv_5x5~1 max_pool_3x3~0 avg_pool_3x3~0 dil_conv_5x5~1",
    },
    Published {
        name: "FairDARTS_f",
        paper: "FairDARTS f (Chu et al., ECCV 2020)",
        source: "xiaomi-automl/FairDARTS, fairdarts/genotypes.py",
        normal: "max_pool_3x3~2~0 sep_conv_3x3~2~1 dil_conv_3x3~3~1 sep_conv_5x5~4~1 \
            sep_conv_3x3~5~0 sep_conv_3x3~5~1",
        reduce: "max_pool_3x3~0 max_pool_3x3~1 max_pool_3x3~0 dil_conv_3x3~1 \
            dil_conv_3x3~2 max_pool_3x3~0 max_pool_3x3~0 sep_conv_3x3~1",
    },
    Published {
        name: "FairDARTS_g",
        paper: "FairDARTS g (Chu et al., ECCV 2020)",
        source: "xiaomi-automl/FairDARTS, fairdarts/genotypes.py",
        normal: "sep_conv_3x3~2~0 sep_conv_3x3~2~1 skip_connect~4~3 sep_conv_5x5~4~1 \
            dil_conv_3x3~5~0 sep_conv_3x3~5~1",
        reduce: "avg_pool_3x3~1 skip_connect~0 skip_connect~2 max_pool_3x3~1 \
            sep_conv_5x5~3 max_pool_3x3~0 dil_conv_3x3~1 dil_conv_3x3~4",
    },
    Published {
        name: "NASNet_A",
        paper: "NASNet-A (Zoph et al., CVPR 2018)",
        source: "quark0/darts, cnn/genotypes.py",
        normal: "sep_conv_5x5~1 sep_conv_3x3~0 sep_conv_5x5~0 sep_conv_3x3~0 avg_pool_3x3~1 skip_connect~0 \
            avg_pool_3x3~0 avg_pool_3x3~0 sep_conv_3x3~1 skip_connect~1 > [2, 3, 4, 5, 6]",
        reduce: "sep_conv_5x5~1 sep_conv_7x7~0 max_pool_3x3~1 sep_conv_7x7~0 avg_pool_3x3~1 sep_conv_5x5~0 \
            skip_connect~3 avg_pool_3x3~2 sep_conv_3x3~2 max_pool_3x3~1 > [4, 5, 6]",
    },
    Published {
        name: "AmoebaNet_A",
        paper: "AmoebaNet-A (Real et al., AAAI 2019)",
        source: "quark0/darts, cnn/genotypes.py",
        normal: "avg_pool_3x3~0 max_pool_3x3~1 sep_conv_3x3~0 sep_conv_5x5~2 sep_conv_3x3~0 avg_pool_3x3~3 \
            sep_conv_3x3~1 skip_connect~1 skip_connect~0 avg_pool_3x3~1 > [4, 5, 6]",
        reduce: "avg_pool_3x3~0 sep_conv_3x3~1 max_pool_3x3~0 sep_conv_7x7~2 sep_conv_7x7~0 avg_pool_3x3~1 \
            max_pool_3x3~0 max_pool_3x3~1 conv_7x1_1x7~0 sep_conv_3x3~5 > [3, 4, 6]",
    },
    Published {
        name: "AmoebaNet_B",
        paper: "AmoebaNet-B (Real et al., AAAI 2019)",
        source: "tensorflow/tpu, models/official/amoeba_net/model_specs.py",
        normal: "nor_conv_1x1~0 max_pool_3x3~0 skip_connect~0 sep_conv_3x3~1 nor_conv_1x1~0 sep_conv_3x3~1 \
            nor_conv_1x1~2 skip_connect~2 avg_pool_3x3~0 nor_conv_1x1~5 > [1, 3, 4, 6]",
        reduce: "max_pool_2x2~1 max_pool_3x3~1 skip_connect~2 bottleneck_3x3~0 sep_conv_5x5~2 max_pool_3x3~2 \
            skip_connect~3 sep_conv_3x3~0 avg_pool_3x3~4 nor_conv_1x1~3 > [5, 6]",
    },
    Published {
        name: "AmoebaNet_C",
        paper: "AmoebaNet-C (Real et al., AAAI 2019)",
        source: "tensorflow/tpu, models/official/amoeba_net/model_specs.py",
        normal: "avg_pool_3x3~1 sep_conv_3x3~1 skip_connect~1 sep_conv_3x3~1 avg_pool_3x3~2 sep_conv_3x3~0 \
            skip_connect~1 sep_conv_3x3~0 avg_pool_3x3~3 sep_conv_3x3~1 > [0, 2, 4, 5, 6]",
        reduce: "max_pool_3x3~1 max_pool_3x3~1 sep_conv_7x7~2 sep_conv_3x3~1 sep_conv_7x7~1 max_pool_3x3~0 \
            sep_conv_5x5~4 sep_conv_5x5~4 max_pool_3x3~0 sep_conv_3x3~0 > [1, 2, 3, 4, 5, 6]",
    },
    Published {
        name: "ENAS",
        paper: "ENAS, micro search (Pham et al., ICML 2018)",
        source: "xiaomi-automl/FairDARTS, fairdarts/genotypes.py",
        normal: "sep_conv_3x3~1 skip_connect~1 sep_conv_5x5~1 skip_connect~0 avg_pool_3x3~0 sep_conv_3x3~1 \
            sep_conv_3x3~0 avg_pool_3x3~1 sep_conv_5x5~1 avg_pool_3x3~0 > [2, 3, 4, 5, 6]",
        reduce: "sep_conv_5x5~0 sep_conv_3x3~1 sep_conv_3x3~1 avg_pool_3x3~1 sep_conv_3x3~1 avg_pool_3x3~1 \
            avg_pool_3x3~1 sep_conv_5x5~4 sep_conv_3x3~5 sep_conv_5x5~0 > [2, 3, 4, 5, 6]",
    },
    Published {
        name: "PNAS",
        paper: "PNAS (Liu et al., ECCV 2018)",
        source: "D-X-Y/AutoDL-Projects, xautodl/nas_infer_model/DXYs/genotypes.py",
        normal: "sep_conv_5x5~0 max_pool_3x3~0 sep_conv_7x7~1 max_pool_3x3~1 sep_conv_5x5~1 sep_conv_3x3~1 \
            sep_conv_3x3~4 max_pool_3x3~1 sep_conv_3x3~0 skip_connect~1 > [2, 3, 4, 5, 6]",
        reduce: "sep_conv_5x5~0 max_pool_3x3~0 sep_conv_7x7~1 max_pool_3x3~1 sep_conv_5x5~1 sep_conv_3x3~1 \
            sep_conv_3x3~4 max_pool_3x3~1 sep_conv_3x3~0 skip_connect~1 > [2, 3, 4, 5, 6]",
    },
    Published {
        name: "DARTS_minus_0",
        paper: "DARTS-, run 0 (Chu et al., ICLR 2021)",
        source: "Meituan-AutoML/DARTS-, src/eval/genotypes.py",
        normal: "sep_conv_3x3~0 sep_conv_5x5~1 sep_conv_3x3~1 dil_conv_3x3~2 \
            skip_connect~1 sep_conv_3x3~0 skip_connect~1 sep_conv_3x3~0",
        reduce: "sep_conv_3x3~0 max_pool_3x3~1 skip_connect~2 max_pool_3x3~0 \
            skip_connect~2 skip_connect~3 skip_connect~2 skip_connect~3",
    },
    Published {
        name: "DARTS_minus_1",
        paper: "DARTS-, run 1 (Chu et al., ICLR 2021)",
        source: "Meituan-AutoML/DARTS-, src/eval/genotypes.py",
        normal: "sep_conv_3x3~0 dil_conv_5x5~1 sep_conv_3x3~0 sep_conv_3x3~1 \
            dil_conv_5x5~1 sep_conv_3x3~0 skip_connect~1 sep_conv_3x3~0",
        reduce: "sep_conv_3x3~1 max_pool_3x3~0 skip_connect~2 max_pool_3x3~1 \
            skip_connect~2 skip_connect~3 skip_connect~2 skip_connect~3",
    },
    Published {
        name: "DARTS_minus_2",
        paper: "DARTS-, run 2 (Chu et al., ICLR 2021)",
        source: "Meituan-AutoML/DARTS-, src/eval/genotypes.py",
        normal: "sep_conv_5x5~1 sep_conv_3x3~0 sep_conv_3x3~0 sep_conv_3x3~1 \
            skip_connect~1 sep_conv_5x5~0 sep_conv_3x3~0 skip_connect~1",
        reduce: "sep_conv_3x3~1 sep_conv_3x3~0 skip_connect~2 max_pool_3x3~1 \
            skip_connect~2 skip_connect~3 skip_connect~2 skip_connect~3",
    },
    Published {
        name: "DARTS_minus_3",
        paper: "DARTS-, run 3 (Chu et al., ICLR 2021)",
        source: "Meituan-AutoML/DARTS-, src/eval/genotypes.py",
        normal: "sep_conv_3x3~0 sep_conv_3x3~1 sep_conv_3x3~0 sep_conv_3x3~1 \
            sep_conv_3x3~0 dil_conv_5x5~1 skip_connect~1 skip_connect~0",
        reduce: "max_pool_3x3~0 max_pool_3x3~1 skip_connect~2 sep_conv_5x5~0 \
            skip_connect~3 skip_connect~2 skip_connect~3 skip_connect~2",
    },
    Published {
        name: "DARTS_minus_4",
        paper: "DARTS-, run 4 (Chu et al., ICLR 2021)",
        source: "Meituan-AutoML/DARTS-, src/eval/genotypes.py",
        normal: "sep_conv_3x3~0 sep_conv_5x5~1 sep_conv_3x3~1 sep_conv_3x3~0 \
            skip_connect~1 dil_conv_3x3~0 skip_connect~1 sep_conv_5x5~0",
        reduce: "max_pool_3x3~0 max_pool_3x3~1 max_pool_3x3~0 skip_connect~2 \
            skip_connect~2 skip_connect~3 skip_connect~2 skip_connect~3",
    },
    Published {
        name: "SDARTS_RS",
        paper: "SDARTS-RS (Chen and Hsieh, ICML 2020)",
        source: "xiangning-chen/SmoothDARTS, sota/cnn/genotypes.py, c10_s5_random",
        normal: "sep_conv_3x3~1 sep_conv_3x3~0 sep_conv_5x5~1 skip_connect~0 \
            sep_conv_3x3~3 skip_connect~1 sep_conv_3x3~1 dil_conv_3x3~2",
        reduce: "max_pool_3x3~0 sep_conv_3x3~1 skip_connect~2 max_pool_3x3~0 \
            dil_conv_5x5~3 max_pool_3x3~0 sep_conv_3x3~2 sep_conv_5x5~3",
    },
    Published {
        name: "SDARTS_ADV",
        paper: "SDARTS-ADV (Chen and Hsieh, ICML 2020)",
        source: "xiangning-chen/SmoothDARTS, sota/cnn/genotypes.py, c10_s5_pgd",
        normal: "sep_conv_3x3~0 sep_conv_3x3~1 sep_conv_3x3~1 skip_connect~0 \
            sep_conv_5x5~0 dil_conv_3x3~3 dil_conv_3x3~4 skip_connect~0",
        reduce: "max_pool_3x3~0 sep_conv_5x5~1 skip_connect~2 max_pool_3x3~0 \
            skip_connect~3 skip_connect~2 skip_connect~2 sep_conv_5x5~4",
    },
    Published {
        name: "DrNAS_cifar10",
        paper: "DrNAS on CIFAR-10 (Chen et al., ICLR 2021)",
        source: "xiangning-chen/DrNAS, DARTS-space/genotypes.py",
        normal: "sep_conv_3x3~0 sep_conv_5x5~1 sep_conv_3x3~1 sep_conv_3x3~2 \
            skip_connect~0 sep_conv_3x3~1 sep_conv_3x3~2 dil_conv_5x5~3",
        reduce: "max_pool_3x3~0 sep_conv_5x5~1 dil_conv_5x5~2 sep_conv_5x5~1 \
            sep_conv_5x5~1 dil_conv_5x5~3 skip_connect~4 sep_conv_5x5~1",
    },
    Published {
        name: "ISDARTS",
        paper: "IS-DARTS (He et al., AAAI 2024)",
        source: "HY-HE/IS-DARTS, xautodl/nas_infer_model/DXYs/genotypes.py",
        normal: "sep_conv_5x5~0 sep_conv_3x3~1 dil_conv_5x5~0 sep_conv_5x5~1 \
            sep_conv_5x5~0 sep_conv_5x5~1 sep_conv_3x3~0 sep_conv_5x5~2",
        reduce: "sep_conv_5x5~0 max_pool_3x3~1 dil_conv_5x5~1 sep_conv_5x5~2 \
            sep_conv_5x5~0 sep_conv_5x5~2 dil_conv_5x5~0 sep_conv_5x5~2",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn every_published_cell_reads_by_its_name_prints_and_draws() {
        for published in LITERATURE {
            let genotype = Genotype::read(&published.name.to_lowercase()).unwrap();
            let drawn = [genotype.draw(), genotype.to_dot(), genotype.to_svg()];
            assert!(drawn.iter().all(|text| text.contains("output")), "{drawn:?}");
            assert_eq!(Genotype::read(&genotype.to_string()).unwrap(), genotype, "{}", published.name);
        }
        let message = Genotype::read("DARTS_V3").unwrap_err().to_string();
        assert!(message.starts_with("unknown genotype `DARTS_V3`, did you mean `DARTS_V"), "{message}");
    }
}
