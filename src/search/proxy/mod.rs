//! Zero-cost proxies: what a few batches say of a network before it is trained.
//!
//! Each is that of its authors' code, to the detail: batch norms go by the batch (and no running statistics move), the loss is
//! the mean cross-entropy, and where weights count these are the weights of convolutions and of the classifier, neither biases
//! nor batch norms. The tests hold them to values that this code gave on the same weights and images (`tests/proxies`).
//!
//! [`weights`] has those made of gradients of weights, [`images`] those that look at images inside the network, [`seen`] the passes
//! that they share.

mod images;
mod seen;
mod spectrum;
mod weights;

use crate::data::Batch;
use crate::error::{Error, Result};
use crate::net::graph::{Op, Value};
use crate::net::ids::{ParamId, Table};
use crate::net::network::{Learns, Network};
use crate::net::{Subnet, Supernet};
use crate::ops::finite::not_finite;
use crate::space::PerCandidate;
use candle_core::Tensor;
use seen::Seen;

/// A proxy. In all formulas L is the mean cross-entropy of the batch, w runs over the weights of convolutions and classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// `sum over layers of |dL/dw|_2` (Abdelfattah et al., ICLR 2021; zero-cost-nas `grad_norm.py`).
    GradNorm,
    /// `sum |w dL/dw|` (Lee et al., ICLR 2019; zero-cost-nas `snip.py`).
    Snip,
    /// `-sum w (H g)`, g = dL/dw, H the Hessian (Wang et al., ICLR 2020; zero-cost-nas `grasp.py`, whose sign this is).
    Grasp,
    /// `sum over channels of |w of the channel| / 2 * mean over images of (sum over pixels a dL/da)^2`, a the output of a convolution
    /// or of the classifier (Turner et al., ICLR 2020; zero-cost-nas `fisher.py`, which counts a channel once a weight).
    Fisher,
    /// `sum |w dR/dw|`, R the sum of the logits of an image of ones, all weights absolute, without batch norm (Tanaka et al.,
    /// NeurIPS 2020; zero-cost-nas `synflow.py`; NAS-Bench-Suite-Zero lists its logarithm).
    Synflow,
    /// `-sum_i log(v_i + k) + 1 / (v_i + k)`, v the eigenvalues of the correlations between the images' gradients of the sum of
    /// the logits, k = 1e-5 (Mellor et al., first version; zero-cost-nas `jacob_cov.py`).
    JacobCov,
    /// `log |det K|`, K_ij the number of ReLUs that images i and j agree on (Mellor et al., ICML 2021; NASLib `nwot.py`).
    Naswot,
    /// `log mean_images |f(x) - f(x + 0.01 x')|_1 + sum over batch norms of log sqrt(mean running variance)`: x, x' and all
    /// weights standard normal, f the features before the pool (Lin et al., ICCV 2021; ZenNAS `compute_zen_score.py`).
    Zen,
    /// `sum over layers of log sum_w mean |g| / std g` over batches, weights of no deviation left out (Li et al., ICLR 2023; ZiCo
    /// `compute_zico.py`). Two batches or more.
    Zico,
}

impl Proxy {
    /// All, with their names.
    pub const ALL: [(&'static str, Proxy); 9] = [
        ("grad_norm", Proxy::GradNorm),
        ("snip", Proxy::Snip),
        ("grasp", Proxy::Grasp),
        ("fisher", Proxy::Fisher),
        ("synflow", Proxy::Synflow),
        ("jacob_cov", Proxy::JacobCov),
        ("naswot", Proxy::Naswot),
        ("zen", Proxy::Zen),
        ("zico", Proxy::Zico),
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, proxy)| *proxy == self).map_or("", |(name, _)| name)
    }
}

impl Proxy {
    /// Whether it sees nothing of a batch but its shape.
    fn is_blind(self) -> bool {
        matches!(self, Proxy::Synflow | Proxy::Zen)
    }

    /// An error for too few batches, or images in one.
    fn check_numbers(self, batches: &[&Batch]) -> Result<()> {
        let what = || format!("proxy {}", self.name());
        match self {
            Proxy::Zico if batches.len() < 2 => {
                let expected = "two or more: it holds their gradients against each other";
                Err(Error::invalid(what(), "1 batch", expected))
            }
            Proxy::JacobCov | Proxy::Naswot if batches.iter().any(|batch| batch.y.len() < 2) => {
                Err(Error::invalid(what(), "a batch of 1 image", "two or more: it compares them"))
            }
            _ => Ok(()),
        }
    }
}

/// A network whose proxies are asked for.
pub struct Subject<'a> {
    network: &'a Network,
    /// The mixing weights, of a supernet.
    mix: Option<Tensor>,
}

/// A batch as tensors.
struct Images {
    x: Tensor,
    y: Tensor,
}

impl<'a> From<&'a Subnet> for Subject<'a> {
    fn from(net: &'a Subnet) -> Self {
        Subject { network: net.network(), mix: None }
    }
}

/// The proxy of a network: [`scores`] of one.
///
/// # Errors
/// As there.
pub fn score(net: &Subnet, proxy: Proxy, batches: &[&Batch], seed: u64) -> Result<f64> {
    Ok(scores(net, &[proxy], batches, seed)?[0])
}

/// Proxies of a network, in their order. Of several batches: the mean of each alone, but for [`Proxy::Zico`]. `seed`: of what
/// [`Proxy::Zen`] draws. Passes that several look at are made once: asking for all at once is much faster than one by one, and gives
/// the same numbers.
///
/// # Errors
/// No batch, an empty one, one whose labels the network does not have; a number among weights, images or in a result that is not
/// finite; a network of which no path goes from images to logits; one batch for ZiCo, one image where images are compared.
pub fn scores(net: &Subnet, proxies: &[Proxy], batches: &[&Batch], seed: u64) -> Result<Vec<f64>> {
    let subject = Subject::from(net);
    let names: Vec<&str> = proxies.iter().map(|proxy| proxy.name()).collect();
    let images = subject.checked(&names.join(", "), batches)?;
    for proxy in proxies {
        proxy.check_numbers(batches)?;
    }
    let seen = images.iter().map(|images| Seen::of(&subject, images, proxies)).collect::<Result<Vec<Seen>>>()?;
    let score = |&proxy: &Proxy| {
        let of = |(images, seen): (&Images, &Seen)| subject.number(proxy, images, seen, seed);
        // What sees nothing of a batch but its shape is the same in those of one shape.
        let alike = proxy.is_blind() && batches.iter().all(|batch| batch.shape == batches[0].shape);
        let n = if alike { 1 } else { images.len() };
        let value = match proxy {
            Proxy::Zico => weights::zico(&seen)?,
            _ => images.iter().zip(&seen).take(n).map(of).sum::<Result<f64>>()? / n as f64,
        };
        match value.is_finite() {
            true => Ok(value),
            false => {
                Err(Error::invalid(format!("proxy {}", proxy.name()), value, "a finite number: it says nothing here"))
            }
        }
    };
    proxies.iter().map(score).collect()
}

/// The saliency of each live candidate of a supernet under its mask, summed over its weights and the cells of its type; a candidate
/// without weights has 0. A mean over the batches.
pub fn per_candidate(net: &Supernet, proxy: Proxy, batches: &[&Batch]) -> Result<PerCandidate<f64>> {
    let subject = Subject { network: net.network(), mix: Some(net.flat_mixing()?) };
    let images = subject.checked(proxy.name(), batches)?;
    let mut sums = net.params().beside(|_| 0.0);
    // What needs the saliencies of grasp needs more than its sum.
    let look = if proxy == Proxy::Grasp { vec![] } else { vec![proxy] };
    for images in &images {
        let saliencies = subject.saliencies(proxy, images, &Seen::of(&subject, images, &look)?)?;
        sums.ids().for_each(|i| sums[i] += saliencies[i] / batches.len() as f64);
    }
    if let Some(i) = sums.ids().find(|i| !sums[*i].is_finite()) {
        let what = format!("{} of `{}`", proxy.name(), net.params().at(i).name);
        return Err(Error::invalid(what, sums[i], "a finite number"));
    }
    Ok(net.per_candidate(&sums))
}

/// Weights of each live candidate, of one cell of its type after the other.
pub fn weights_per_candidate(net: &Supernet) -> PerCandidate<f64> {
    let mut counts = net.params().beside(|_| 0.0);
    for Layer { weight, .. } in (Subject { network: net.network(), mix: None }).layers() {
        counts[weight] = net.params().at(weight).var.elem_count() as f64;
    }
    net.per_candidate(&counts)
}

/// A step with weights that count.
struct Layer {
    /// The step.
    step: Value,
    /// Its weights.
    weight: ParamId,
}

impl Subject<'_> {
    /// The convolutions and the classifier, in order.
    fn layers(&self) -> Vec<Layer> {
        let steps = self.network.graph().steps.iter().enumerate();
        let layer = |(step, s): (usize, &crate::net::graph::Step)| match s.op {
            Op::Conv { weight, .. } | Op::Linear { weight, .. } => Some(Layer { step: Value(step), weight }),
            _ => None,
        };
        steps.filter_map(layer).collect()
    }

    /// Of one batch; the sum of saliencies, where there are some.
    fn number(&self, proxy: Proxy, images: &Images, seen: &Seen, seed: u64) -> Result<f64> {
        match proxy {
            Proxy::Grasp => Ok(seen.curvature.unwrap_or(0.0)),
            Proxy::JacobCov => seen.inputs.as_ref().map_or(Ok(0.0), images::jacob_cov),
            Proxy::Naswot => images::naswot(&seen.agreed, images.x.dim(0)?),
            Proxy::Zen => images::zen(self, images, &images::Draws::of(self, images, seed)?),
            _ => Ok(self.saliencies(proxy, images, seen)?.iter().sum()),
        }
    }

    /// Of each parameter; those that are no layer's have 0.
    fn saliencies(&self, proxy: Proxy, images: &Images, seen: &Seen) -> Result<Table<ParamId, f64>> {
        match proxy {
            Proxy::GradNorm => Ok(weights::grad_norm(self, &seen.gradients)),
            Proxy::Snip => weights::snip(self, &seen.gradients),
            Proxy::Grasp => weights::grasp(self, images),
            Proxy::Fisher => Ok(seen.fisher.clone()),
            Proxy::Synflow => weights::synflow(self, images),
            Proxy::JacobCov | Proxy::Naswot | Proxy::Zen | Proxy::Zico => {
                let expected = "grad_norm, snip, grasp, fisher or synflow";
                Err(Error::invalid(
                    "proxy of candidates",
                    format!("{}, which weights have no part in", proxy.name()),
                    expected,
                ))
            }
        }
    }

    /// The batches as tensors, if `proxy` can be asked of them.
    fn checked(&self, proxy: &str, batches: &[&Batch]) -> Result<Vec<Images>> {
        let what = || format!("proxy {proxy}");
        if batches.is_empty() || batches.iter().any(|batch| batch.y.is_empty()) {
            let got = if batches.is_empty() { "no batch" } else { "an empty batch" };
            return Err(Error::invalid(what(), got, "images"));
        }
        if !self.has_path() {
            let got = "a network in which every way from the images to the logits goes through `none`";
            return Err(Error::invalid(what(), got, "a cell with a path"));
        }
        self.network.params().check_finite()?;
        batches.iter().map(|batch| self.images(proxy, batch)).collect()
    }

    fn images(&self, proxy: &str, batch: &Batch) -> Result<Images> {
        let device = self.network.device();
        let graph = self.network.graph();
        let classes = graph.steps[graph.logits.0].channels;
        if let Some(class) = batch.y.iter().find(|y| **y as usize >= classes) {
            let expected = format!("0 to {}: the network has {classes} classes", classes - 1);
            return Err(Error::invalid("label of a batch", class, expected));
        }
        let x = Tensor::from_slice(&batch.x, batch.shape, device)?;
        match not_finite(&x)? {
            Some(value) => Err(Error::invalid(format!("images of proxy {proxy}"), value, "finite numbers")),
            None => Ok(Images { x, y: Tensor::from_slice(&batch.y, batch.y.len(), device)? }),
        }
    }

    /// Whether what the logits are made of is made of the images, not of zeros or noise alone.
    fn has_path(&self) -> bool {
        let graph = self.network.graph();
        let mut reached = vec![false; graph.steps.len()];
        for (i, step) in graph.steps.iter().enumerate() {
            reached[i] = match &step.op {
                Op::Input => true,
                Op::Zero { .. } | Op::Noise { .. } => false,
                op => op.inputs().iter().any(|x| reached[x.0]),
            };
        }
        reached[graph.logits.0]
    }
}

#[cfg(test)]
mod tests;
