//! Sizes of networks.

use crate::space::{Family, NetworkShape};

/// Size of a supernet, and what its authors have otherwise. What a checkpoint of an earlier version does not say is the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct SupernetConfig {
    /// Channels of the first stage, C.
    pub channels: usize,
    /// Cells a stage, N (NAS-Bench-201: 3 N + 2 blocks; DARTS: N = 2 gives the usual 8 cells).
    pub cells: usize,
    /// Classes.
    pub classes: usize,
    /// Seed of the initial weights.
    pub seed: u64,
    /// Direct convolutions only (no Winograd).
    pub strict: bool,
    /// Batch norm without affine part behind the pools of candidates, as in quark0/darts; the authors of IS-DARTS have none.
    pub pool_norm: bool,
    /// Batch norm without affine part between a node and the candidates that read it (iDARTS, Wang et al., 2021); the inputs of DARTS cells
    /// have one anyway.
    pub node_norm: bool,
    /// Batch norm and ReLU before the head, as the authors of IS-DARTS have; quark0/darts has neither.
    pub head_norm: bool,
    /// K: candidates get 1/K of the channels, the others go past them (PC-DARTS); 1: candidates get all.
    pub partial: usize,
    /// A skip connection beside the candidates of every edge, with a weight and a factorised reduction of its own (DARTS-).
    pub auxiliary_skip: bool,
    /// Whether `cells` are all cells, of which those at 1/3 and 2/3 reduce (DARTS cells only), and not those of a stage.
    pub in_all: bool,
}

impl SupernetConfig {
    /// Mixing weights that an edge has besides those of its candidates: of the auxiliary skip, then of the channels that go past.
    pub fn edge_weights(&self) -> usize {
        usize::from(self.auxiliary_skip) + usize::from(self.partial > 1)
    }
}

impl Default for SupernetConfig {
    fn default() -> Self {
        SupernetConfig {
            channels: 16,
            cells: 5,
            classes: 10,
            seed: 0,
            strict: false,
            pool_norm: false,
            node_norm: false,
            head_norm: true,
            partial: 1,
            auxiliary_skip: false,
            in_all: false,
        }
    }
}

/// Size of an evaluation network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SubnetConfig {
    /// The skeleton.
    pub family: Family,
    /// Channels of the first stage, C.
    pub channels: usize,
    /// DARTS cells in all, of which those at 1/3 and 2/3 reduce; NAS-Bench-201: cells a stage, N.
    pub cells: usize,
    /// Classes.
    pub classes: usize,
    /// Whether there is an auxiliary head behind the second reduction (DARTS cells only).
    pub auxiliary: bool,
    /// Seed of the initial weights.
    pub seed: u64,
    /// Whether a skip stands beside each op (DARTS cells only).
    #[serde(default)]
    pub auxiliary_skip: bool,
    /// Whether an affine batch norm stands behind each pool (DARTS cells only), as in ConfigurableOptimizer; quark0/darts has none.
    #[serde(default)]
    pub pool_norm: bool,
}

impl SubnetConfig {
    /// What the literature trains: CIFAR C=36, 20 cells; ImageNet C=48, 14 cells; NAS-Bench-201 C=16, N=5.
    pub fn usual(family: Family, classes: usize, seed: u64) -> Self {
        let NetworkShape { channels, cells, .. } = NetworkShape::usual(family);
        let (channels, cells) = (channels as usize, cells as usize);
        let auxiliary = family != Family::NasBench201;
        SubnetConfig { family, channels, cells, classes, auxiliary, seed, auxiliary_skip: false, pool_norm: false }
    }
}
