//! A trained network in one file: safetensors under PyTorch names, and in its metadata what is needed to use it.

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::files;
use crate::net::sealed;
use crate::net::subnet::{Plan, Subnet, SubnetConfig};
use crate::streams;
use candle_core::Device;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The metadata entry.
const ENTRY: &str = "isdarts-network";

/// What a network takes and gives, besides its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Its cells as text.
    pub genotype: String,
    /// Its cells, in the order of its parameter names.
    pub plan: Plan,
    /// Its size.
    pub config: SubnetConfig,
    /// Class names, in the order of the logits.
    pub classes: Vec<String>,
    /// Height and width of an image in pixels.
    pub size: (usize, usize),
    /// Per channel, of pixels scaled to 0..1: an image goes in as `(p / 255 - mean) / std`.
    pub mean: Vec<f32>,
    /// See `mean`.
    pub std: Vec<f32>,
}

impl About {
    /// Of a network and the images it learnt from.
    pub fn new(net: &Subnet, data: &Dataset) -> Self {
        let (_, h, w) = data.shape;
        About {
            genotype: net.plan().to_string(),
            plan: net.plan().clone(),
            config: *net.config(),
            classes: data.classes.to_vec(),
            size: (h, w),
            mean: data.mean.clone(),
            std: data.std.clone(),
        }
    }
}

/// Write the file, whole or not at all.
pub fn save(path: &Path, net: &Subnet, about: &About) -> Result<()> {
    let text = serde_json::to_string(about).map_err(|e| Error::invalid("the network", e, "plain data"))?;
    let tensors = net.params().iter().map(|p| (&p.name, p.var.as_tensor()));
    files::replace(path, &sealed::seal(tensors, Some((ENTRY, &text)))?)
}

/// Make the network of a file that [`save`] wrote.
pub fn open(path: &Path, device: &Device) -> Result<(Subnet, About)> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| {
        Error::file(path, format!("{} bytes that do not parse ({e})", bytes.len()), "a safetensors file")
    })?;
    let expected = "weights that train_genotype wrote, which say what network they are of";
    let entry = header.metadata().as_ref().and_then(|m| m.get(ENTRY));
    let text = entry.ok_or_else(|| Error::file(path, format!("no metadata entry `{ENTRY}`"), expected))?;
    sealed::check(path, &bytes)?;
    let mut about: About = serde_json::from_str(text).map_err(|e| Error::file(path, e, expected))?;
    about.classes = about.classes.iter().map(|class| streams::name(class)).collect();
    let channels = about.mean.len();
    if channels != 3 || about.std.len() != 3 || about.classes.len() != about.config.classes {
        let got = format!("{channels} channels and {} class names", about.classes.len());
        return Err(Error::file(path, got, format!("3 channels and {} class names", about.config.classes)));
    }
    let net = Subnet::new(about.plan.clone(), about.config, device).map_err(|e| e.at(path.to_string_lossy()))?;
    net.params().load(path)?;
    Ok((net, about))
}
