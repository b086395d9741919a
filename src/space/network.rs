//! The skeletons that found cells go into, and their sizes.

use super::Topology;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which skeleton the cells go into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// DARTS cells behind a 3x3 stem: images of 32x32.
    Cifar,
    /// DARTS cells behind a stem of stride 8: images of 224x224.
    ImageNet,
    /// NAS-Bench-201 cells in that benchmark's skeleton.
    #[serde(rename = "nas-bench-201")]
    NasBench201,
}

impl Family {
    /// The names in settings.
    pub const NAMES: [(&'static str, Family); 3] =
        [("cifar", Family::Cifar), ("imagenet", Family::ImageNet), ("nas-bench-201", Family::NasBench201)];

    /// By name.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, f)| *f).ok_or_else(|| Error::unknown_name("network", name, Self::NAMES.map(|(n, _)| n)))
    }

    /// The name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, f)| *f == self).map_or("", |(n, _)| n)
    }

    /// The wiring of its cells.
    pub fn topology(self) -> Topology {
        match self {
            Family::Cifar | Family::ImageNet => Topology::Darts,
            Family::NasBench201 => Topology::NasBench201,
        }
    }

    /// The skeleton in which a wiring is judged by CIFAR-10.
    pub fn of(topology: Topology) -> Self {
        match topology {
            Topology::Darts => Family::Cifar,
            Topology::NasBench201 => Family::NasBench201,
        }
    }

    /// An error for cells of another wiring, or an auxiliary head where there is none.
    pub fn check(self, topology: Topology, auxiliary: bool) -> Result<()> {
        if topology != self.topology() {
            let expected = format!("cells of {:?}, as the network `{}` takes", self.topology(), self.name());
            return Err(Error::invalid("evaluation network", format!("cells of {topology:?}"), expected));
        }
        if auxiliary && self == Family::NasBench201 {
            return Err(Error::invalid("evaluation network `nas-bench-201`", "an auxiliary head", "none"));
        }
        Ok(())
    }
}

/// Size of a network of found cells, for images of 3 channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkShape {
    /// The skeleton.
    pub family: Family,
    /// Channels of the first stage, C.
    pub channels: u64,
    /// NAS-Bench-201: cells a stage, N (three stages). DARTS: cells in all, of which those at 1/3 and 2/3 reduce.
    pub cells: u64,
    /// Classes.
    pub classes: u64,
    /// Height and width of an image, in pixels.
    pub size: u64,
    /// Whether the auxiliary head behind the second reduction is counted.
    pub auxiliary: bool,
}

impl NetworkShape {
    /// What the literature counts, without an auxiliary head: CIFAR-10 C=36, 20 cells; ImageNet C=48, 14 cells;
    /// NAS-Bench-201 C=16, N=5.
    pub fn usual(family: Family) -> Self {
        let (channels, cells, classes, size) = match family {
            Family::Cifar => (36, 20, 10, 32),
            Family::ImageNet => (48, 14, 1000, 224),
            Family::NasBench201 => (16, 5, 10, 32),
        };
        NetworkShape { family, channels, cells, classes, size, auxiliary: false }
    }

    /// What the spaces are judged by on CIFAR-10.
    pub fn cifar10(topology: Topology) -> Self {
        Self::usual(Family::of(topology))
    }
}
