//! A trained network in one file: safetensors under PyTorch names, and in its metadata what is needed to use it.

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::files;
use crate::net::subnet::{Plan, Subnet, SubnetConfig};
use crate::net::{Mode, sealed};
use crate::streams;
use candle_core::Device;
use safetensors::SafeTensors;
use safetensors::tensor::TensorInfo;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
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
    /// Epochs that it was trained for when these weights were written; not in files of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<usize>,
}

impl About {
    /// What is known of a network and of the images that it learnt from.
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
            epoch: None,
        }
    }
}

/// Write the file, whole or not at all; not at all if a weight is not finite.
pub fn save(path: &Path, net: &Subnet, about: &About) -> Result<()> {
    net.params().check_finite()?;
    let text = serde_json::to_string(about).map_err(|e| Error::invalid("the network", e, "plain data"))?;
    let tensors = net.params().iter().map(|p| (&p.name, p.var.as_tensor()));
    files::replace(path, &sealed::seal(tensors, Some((ENTRY, &text)))?)
}

/// What a file that [`save`] wrote says of its weights. An error for one that is damaged.
pub fn about(path: &Path) -> Result<About> {
    read(path, |about, _| Ok(about))
}

/// What the file says, and its header.
fn read<T>(path: &Path, take: impl FnOnce(About, HashMap<String, &TensorInfo>) -> Result<T>) -> Result<T> {
    let bytes = files::read(path).map_err(Error::io("read", path))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| {
        Error::file(path, format!("{} bytes that do not parse ({e})", bytes.len()), "a safetensors file")
    })?;
    let expected = "weights that train_genotype wrote, which say what network they are of";
    let entry = header.metadata().as_ref().and_then(|m| m.get(ENTRY));
    let text = entry.ok_or_else(|| Error::file(path, format!("no metadata entry `{ENTRY}`"), expected))?;
    sealed::check(path, &bytes)?;
    take(serde_json::from_str(text).map_err(|e| Error::file(path, e, expected))?, header.tensors())
}

/// Make the network of a file that [`save`] wrote.
pub fn open(path: &Path, device: &Device) -> Result<(Subnet, About)> {
    let mut about = read(path, |about, tensors| {
        check(&about, &tensors).map_err(|e| e.at(path.to_string_lossy()))?;
        Ok(about)
    })?;
    about.classes = about.classes.iter().map(|class| streams::name(class)).collect();
    let channels = about.mean.len();
    if channels != 3 || about.std.len() != 3 || about.classes.len() != about.config.classes {
        let got = format!("{channels} channels and {} class names", about.classes.len());
        return Err(Error::file(path, got, format!("3 channels and {} class names", about.config.classes)));
    }
    let net = Subnet::new(about.plan.clone(), about.config, device).map_err(|e| e.at(path.to_string_lossy()))?;
    let (h, w) = about.size;
    net.check_size(h, w, Mode::Eval).map_err(|e| e.at(path.to_string_lossy()))?;
    net.params().load(path)?;
    Ok((net, about))
}

/// Largest side of an image in pixels.
const SIDE: usize = 1 << 16;

/// What the metadata say, held against each other and against the tensors beside them: before anything of that size is made.
fn check(about: &About, tensors: &HashMap<String, &TensorInfo>) -> Result<()> {
    let most = tensors.values().flat_map(|t| &t.shape).copied().max().unwrap_or(0);
    let config = &about.config;
    for (what, size, most) in [
        ("cells", config.cells, tensors.len()),
        ("channels", config.channels, most),
        ("classes", config.classes, most),
        ("height of an image", about.size.0, SIDE),
        ("width of an image", about.size.1, SIDE),
    ] {
        if size == 0 || size > most {
            return Err(Error::invalid(format!("network, {what}"), size, format!("1 to {most}, by its tensors")));
        }
    }
    let numbers = |what: &str, values: &[f32], good: fn(f32) -> bool| match values.iter().find(|v| !good(**v)) {
        Some(bad) => {
            Err(Error::invalid(format!("network, {what} of the pixels"), bad, "a finite number, not below 0 for std"))
        }
        None => Ok(()),
    };
    numbers("mean", &about.mean, f32::is_finite)?;
    numbers("std", &about.std, |v| v.is_finite() && v >= 0.0)?;
    for spec in Subnet::specs(&about.plan, config)? {
        let found = tensors.get(&spec.name).map(|t| &t.shape);
        if found != Some(&spec.shape) {
            let got = found.map_or("no tensor of this name".into(), |shape| format!("{shape:?}"));
            return Err(Error::invalid(format!("parameter `{}`", spec.name), got, format!("{:?}", spec.shape)));
        }
    }
    Ok(())
}
