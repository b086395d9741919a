//! What a batch shows of a network: on the CPU engine in one go for all proxies that are asked for, else by the definition, one by one.

use super::{Images, Proxy, Subject, images, weights};
use crate::error::Result;
use crate::net::Mode;
use crate::net::engine::Want;
use crate::net::graph::{Op, PoolKind};
use crate::net::ids::{ParamId, Table};
use crate::net::look::{Look, Weights};
use crate::search::loss::cross_entropy;
use candle_core::{DType, Tensor, Var};

/// How far the weights are moved for [`Seen::curvature`], as a part of themselves. In f64 the difference is off by its square; in f32,
/// rounding of the gradients' squares divided by it comes on top: up to 1.5e-3 of the value on the recorded cells, where that is a small
/// difference of large terms, and 3e-5 on a cell of C = 16, N = 5 and 64 images.
const STEP: f64 = 3e-3;

/// What is left empty has not been asked for.
#[derive(Default)]
pub struct Seen {
    /// `dL/dw` of the layers that have one.
    pub gradients: Vec<(ParamId, Vec<f32>)>,
    /// Fisher's numbers, layer by layer.
    pub fisher: Table<ParamId, f64>,
    /// The gradients of the sum of the logits with respect to each image, `[b, 3 h w]`, f64.
    pub inputs: Option<Tensor>,
    /// The number of ReLUs that two images agree on, `[b, b]`.
    pub agreed: Vec<f64>,
    /// `-sum w (H g)`
    pub curvature: Option<f64>,
}

impl Seen {
    /// Of what these proxies look at.
    pub fn of(subject: &Subject, images: &Images, proxies: &[Proxy]) -> Result<Self> {
        let look = |look: Look<'_>| on_engine(subject, images, proxies, look);
        match subject.network.look(&images.x, subject.mix.as_ref(), look)? {
            Some(seen) => Ok(seen),
            None => Seen::default().rest(subject, images, proxies),
        }
    }

    /// With what is asked for and not there yet, by the definition.
    fn rest(mut self, subject: &Subject, images: &Images, proxies: &[Proxy]) -> Result<Self> {
        let wants = |of: &[Proxy]| proxies.iter().any(|proxy| of.contains(proxy));
        if wants(&[Proxy::GradNorm, Proxy::Snip, Proxy::Zico]) && self.gradients.is_empty() {
            self.gradients = weights::gradients(subject, images)?;
        }
        if wants(&[Proxy::Fisher]) && self.fisher.is_empty() {
            self.fisher = images::fisher(subject, images)?;
        }
        if wants(&[Proxy::JacobCov]) && self.inputs.is_none() {
            self.inputs = Some(images::inputs(subject, images)?);
        }
        if wants(&[Proxy::Naswot]) && self.agreed.is_empty() {
            self.agreed = images::agreed(subject, images)?;
        }
        if wants(&[Proxy::Grasp]) && self.curvature.is_none() {
            self.curvature = Some(weights::grasp(subject, images)?.iter().sum());
        }
        Ok(self)
    }
}

/// The weights of the network, those of layers times `scale`.
fn scaled(subject: &Subject, scale: f64) -> Result<Weights> {
    let params = subject.network.params();
    let mut weights = params.beside(|i| params.at(i).var.as_detached_tensor());
    if scale != 1.0 {
        for layer in subject.layers() {
            weights[layer.weight] = (&weights[layer.weight] * scale)?;
        }
    }
    Ok(weights)
}

/// The gradient of the mean cross-entropy with respect to the logits.
fn gradient_of_loss(logits: &[f32], images: &Images) -> Result<Vec<f32>> {
    let n = images.x.dim(0)?;
    let logits = Var::from_slice(logits, (n, logits.len() / n), images.x.device())?;
    let gradients = cross_entropy(&logits, &images.y, 0.0)?.backward()?;
    Ok(gradients.get(&logits).map_or_else(|| logits.zeros_like(), |g| Ok(g.clone()))?.flatten_all()?.to_vec1()?)
}

fn on_engine(subject: &Subject, images: &Images, proxies: &[Proxy], mut look: Look<'_>) -> Result<Seen> {
    let wants = |proxy: Proxy| proxies.contains(&proxy);
    // Maxima would have to be held, too.
    let holds = |op: &Op| !matches!(op, Op::Pool { kind: PoolKind::Maximum, .. });
    let grasp = wants(Proxy::Grasp) && subject.network.graph().steps.iter().all(|step| holds(&step.op));
    let fisher = wants(Proxy::Fisher) && look.sees_all();
    let mut seen = Seen::default();
    let (own, n) = (scaled(subject, 1.0)?, images.x.dim(0)?);
    let logits = look.forward(&own, Mode::Batch)?.logits;
    let gates = (wants(Proxy::Naswot) || grasp).then(|| look.gates());
    if let Some(gates) = gates.as_ref().filter(|_| wants(Proxy::Naswot)) {
        seen.agreed = gates.agreed(n).into_iter().map(|units| units as f64).collect();
    }
    if wants(Proxy::JacobCov) {
        let ones = vec![1.0; logits.len()];
        let input = look.backward(&own, &ones, Want { input: true, ..Want::default() })?.input;
        seen.inputs =
            Some(Tensor::from_vec(input, images.x.shape(), images.x.device())?.flatten_from(1)?.to_dtype(DType::F64)?);
    }
    if grasp || fisher || [Proxy::GradNorm, Proxy::Snip, Proxy::Zico].into_iter().any(wants) {
        let gradient = gradient_of_loss(&logits, images)?;
        let mut back = look.backward(&own, &gradient, Want { along: fisher, ..Want::default() })?;
        if fisher {
            seen.fisher = fishers(subject, &back.along, &logits, &gradient, n);
        }
        let layers = subject.layers().into_iter();
        seen.gradients = layers.filter_map(|layer| Some((layer.weight, back.params[layer.weight].take()?))).collect();
    }
    if let Some(gates) = gates.filter(|_| grasp) {
        look.hold(gates);
        // H is symmetric: w (H g) = g (H w), and along w no direction has to be scaled.
        let mut along = |step: f64| -> Result<f64> {
            let weights = scaled(subject, 1.0 + step)?;
            let logits = look.forward(&weights, Mode::Batch)?.logits;
            let back = look.backward(&weights, &gradient_of_loss(&logits, images)?, Want::default())?;
            let dot = |(i, g): &(ParamId, Vec<f32>)| back.params[*i].as_ref().map_or(0.0, |h| dot(g, h));
            Ok(seen.gradients.iter().map(dot).sum())
        };
        seen.curvature = Some(-(along(STEP)? - along(-STEP)?) / (2.0 * STEP));
    }
    drop(look);
    seen.rest(subject, images, proxies)
}

/// In f64 throughout: of two such sums the difference is divided by a small step.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// [`Seen::fisher`], from `sum over pixels of a dL/da` of the convolutions, and logits and their gradients.
fn fishers(
    subject: &Subject,
    along: &Table<ParamId, Vec<f64>>,
    logits: &[f32],
    gradient: &[f32],
    images: usize,
) -> Table<ParamId, f64> {
    let params = subject.network.params();
    let graph = subject.network.graph();
    let mut numbers = params.beside(|_| 0.0);
    for layer in subject.layers() {
        let squares: f64 = match graph.op(layer.step) {
            Op::Linear { .. } => logits.iter().zip(gradient).map(|(a, g)| f64::from(a * g).powi(2)).sum(),
            _ => along[layer.weight].iter().map(|a| a * a).sum(),
        };
        numbers[layer.weight] = images::fisher_of(params, layer.weight, squares, images);
    }
    numbers
}
