//! Gradients of the engine, weights and mixing weights, against central differences of the definition in f64.
//!
//! The loss of the definition is good to 1e-15, and it is divided by a step of 1e-6: the rounding of a difference is below
//! 1e-8. The weights are f32, so what they moved by is measured. A ReLU or a maximum that turns over within the step costs the
//! share of its own gradient: about the step over the spread of its input, so that the error falls with the step (measured: up
//! to 2e-3 of what is compared at 1e-5, 2e-4 at 1e-6). The engine computes in f32 and keeps to its definition within 2e-4
//! (`tests/engine.rs`). [`TOLERANCE`] leaves a factor of ten above that and a factor of five below 1 %: each test shows too that
//! gradients which are 1 % too large are refused.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use candle_core::{DType, Device, Tensor, Var};
use isdarts_host::Result;
use isdarts_host::net::definition::{self, How};
use isdarts_host::net::graph::supernet;
use isdarts_host::net::ids::{ParamId, Table};
use isdarts_host::net::{Drops, Mode, Params, Pass, Paths, Role, Supernet, SupernetConfig};
use isdarts_host::search::loss::cross_entropy;
use isdarts_host::space::{Mask, Primitive, SearchSpace, Topology};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

const STEP: f64 = 1e-6;
const TOLERANCE: f64 = 2e-3;
const CLASSES: usize = 7;

struct Case {
    space: SearchSpace,
    channels: usize,
    batch: usize,
    size: usize,
    mode: Mode,
    /// Of the weights and of the mixing weights, every so many are looked at alone.
    every: (usize, usize),
}

/// A network with weights away from their initial values, a batch, and free mixing weights.
struct Setup {
    case: Case,
    config: SupernetConfig,
    mask: Mask,
    params: Params,
    x: Tensor,
    y: Tensor,
    mixing: Vec<Tensor>,
}

/// What is moved by the step times these numbers.
enum Along {
    /// Weights.
    Weights(Vec<(ParamId, Vec<f64>)>),
    /// One entry: cell type, and place in `[edges, ops]`.
    Mix(usize, usize),
}

/// Of weights, and `mix[cell type]` of mixing weights.
struct Gradient {
    by: Table<ParamId, Vec<f64>>,
    mix: Vec<Vec<f64>>,
}

fn wide(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

impl Setup {
    fn new(case: Case, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = |len: usize, low: f32| (0..len).map(|_| rng.random_range(low..1.0)).collect::<Vec<f32>>();
        let config = SupernetConfig { channels: case.channels, cells: 1, classes: CLASSES, seed, ..Default::default() };
        let graph = supernet::graph(&case.space, &config, &case.space.full_mask());
        let params = Params::of_specs(graph.params, config.seed, &Device::Cpu).unwrap();
        for p in params.iter() {
            let shaken = Tensor::from_vec(uniform(p.var.elem_count(), 0.0), p.var.shape(), &Device::Cpu).unwrap();
            p.var.set(&(p.var.as_tensor() + (shaken * 0.2).unwrap()).unwrap()).unwrap();
        }
        let shape = (case.batch, 3, case.size, case.size);
        let x = Tensor::from_vec(uniform(case.batch * 3 * case.size * case.size, -1.0), shape, &Device::Cpu).unwrap();
        let y: Vec<u32> = (0..case.batch).map(|i| (i * 3 % CLASSES) as u32).collect();
        let (edges, ops) = (case.space.n_edges(), case.space.ops().len());
        let mut mix = |_: &_| Tensor::from_vec(uniform(edges * ops, 0.1), (edges, ops), &Device::Cpu).unwrap();
        Setup {
            config,
            mask: case.space.full_mask(),
            params,
            x,
            y: Tensor::from_vec(y, case.batch, &Device::Cpu).unwrap(),
            mixing: case.space.cell_types().iter().map(&mut mix).collect(),
            case,
        }
    }

    /// By the engine.
    fn gradient(&self, strict: bool) -> Result<Gradient> {
        let config = SupernetConfig { strict, ..self.config };
        let net = Supernet::new(self.case.space.clone(), config, &Device::Cpu)?;
        net.params().assign(&self.params.tensors()?)?;
        let mixing: Vec<Var> = self.mixing.iter().map(Var::from_tensor).collect::<candle_core::Result<_>>()?;
        let tensors: Vec<Tensor> = mixing.iter().map(|v| v.as_tensor().clone()).collect();
        let loss = cross_entropy(&net.forward(&self.x, &tensors, self.case.mode)?, &self.y, 0.0)?;
        let gradients = net.backward(&loss)?;
        let weights = net.params().iter().zip(&gradients.params);
        Ok(Gradient {
            by: weights.map(|(p, g)| g.as_ref().map_or(vec![0.0; p.var.elem_count()], wide)).collect(),
            mix: mixing.iter().map(|v| wide(gradients.graph.get(v).unwrap())).collect(),
        })
    }

    /// The loss by the definition in f64, moved by `step`, and what the weights moved by: they are f32.
    fn loss(&self, along: &Along, step: f64) -> Result<(f64, Vec<(ParamId, Vec<f64>)>)> {
        // A copy: differences are taken side by side, and a pass in train mode moves running statistics.
        let graph = supernet::graph(&self.case.space, &self.config, &self.mask);
        let params = Params::of_specs(graph.params.clone(), self.config.seed, &Device::Cpu)?;
        params.assign(&self.params.tensors()?)?;
        let mut mixing: Vec<Tensor> =
            self.mixing.iter().map(|m| m.to_dtype(DType::F64)).collect::<candle_core::Result<_>>()?;
        let mut moved = vec![];
        match along {
            &Along::Mix(cell_type, entry) => {
                let mut values = wide(&mixing[cell_type]);
                values[entry] += step;
                mixing[cell_type] = Tensor::from_vec(values, mixing[cell_type].shape(), &Device::Cpu)?;
            }
            Along::Weights(weights) => {
                for (id, direction) in weights {
                    let var = &params.at(*id).var;
                    let old = wide(var);
                    let new: Vec<f32> = old.iter().zip(direction).map(|(w, d)| (w + step * d) as f32).collect();
                    moved.push((*id, new.iter().zip(old).map(|(&n, o)| f64::from(n) - o).collect()));
                    var.set(&Tensor::from_vec(new, var.shape(), &Device::Cpu)?)?;
                }
            }
        }
        let pass = Pass { mode: self.case.mode, paths: Paths::All };
        let how = How { pass, drops: Drops::default(), auxiliary: false, track: false, dtype: DType::F64, seed: 0 };
        let flat: Vec<Tensor> = mixing.iter().map(Tensor::flatten_all).collect::<candle_core::Result<_>>()?;
        let (logits, _) = definition::forward(&graph, &params, &self.x, &Tensor::cat(&flat, 0)?, how, None)?;
        let loss = cross_entropy(&logits, &self.y, 0.0)?;
        Ok((loss.to_scalar()?, moved))
    }

    /// The difference of the loss, and what the weights moved by from one side to the other.
    fn difference(&self, along: &Along) -> Result<(f64, Vec<(ParamId, Vec<f64>)>)> {
        let ((high, up), (low, down)) = (self.loss(along, STEP)?, self.loss(along, -STEP)?);
        let minus = |((id, up), (_, down)): ((ParamId, Vec<f64>), (ParamId, Vec<f64>))| {
            (id, up.iter().zip(down).map(|(u, d)| (u - d) / (2.0 * STEP)).collect())
        };
        Ok(((high - low) / (2.0 * STEP), up.into_iter().zip(down).map(minus).collect()))
    }

    /// Each weight in a random direction, and in one that its gradient does not cancel in; all at once; mixing weights one by one.
    fn directions(&self, gradient: &Gradient, rng: &mut impl Rng) -> Vec<Along> {
        let specs = supernet::graph(&self.case.space, &self.config, &self.mask).params;
        let learnt: Vec<ParamId> =
            specs.ids().filter(|&i| specs[i].role == Role::Weight && !specs[i].cancelled).collect();
        let mut random = |i: ParamId, signed: bool| {
            let one = |g: &f64| {
                rng.random_range(0.5..1.5) * if signed { g.signum() } else { [-1.0, 1.0][rng.random_range(0..2)] }
            };
            (i, gradient.by[i].iter().map(one).collect::<Vec<f64>>())
        };
        let mut all = vec![Along::Weights(learnt.iter().map(|&i| random(i, true)).collect())];
        for &i in learnt.iter().step_by(self.case.every.0) {
            all.extend([true, false].map(|signed| Along::Weights(vec![random(i, signed)])));
        }
        let entries = (0..self.mixing.len()).flat_map(|t| (0..self.mixing[t].elem_count()).map(move |e| (t, e)));
        all.extend(entries.step_by(self.case.every.1).map(|(t, e)| Along::Mix(t, e)));
        all
    }
}

/// How far `gradient`, `factor` times as large, is from each difference, in tolerances.
fn errors(gradient: &Gradient, found: &[(Along, (f64, Vec<(ParamId, Vec<f64>)>))], factor: f64) -> Vec<f64> {
    // A gradient that is nothing but rounding (of what batch norm cancels) has no direction.
    let floor = 1e-3 * norm(&gradient.by.items().concat());
    let one = |(along, (difference, moved)): &(Along, (f64, Vec<(ParamId, Vec<f64>)>))| {
        let (got, spread) = match along {
            &Along::Mix(cell_type, entry) => {
                let all = &gradient.mix[cell_type];
                (all[entry], 0.1 * norm(all) / (all.len() as f64).sqrt())
            }
            Along::Weights(_) => {
                let terms = moved.iter().flat_map(|(i, d)| d.iter().zip(&gradient.by[*i]).map(|(d, g)| d * g));
                let terms: Vec<f64> = terms.collect();
                (terms.iter().sum(), norm(&terms).max(floor))
            }
        };
        (factor * got - difference).abs() / (TOLERANCE * spread.max(difference.abs()))
    };
    found.iter().map(one).collect()
}

fn check(case: Case, seed: u64) {
    let setup = Setup::new(case, seed);
    let gradients = [false, true].map(|strict| setup.gradient(strict).unwrap());
    let directions = setup.directions(&gradients[0], &mut ChaCha8Rng::seed_from_u64(seed + 1));
    let found: Vec<_> = directions
        .into_par_iter()
        .map(|along| {
            let difference = setup.difference(&along).unwrap();
            (along, difference)
        })
        .collect();
    for (gradient, name) in gradients.iter().zip(["default", "strict"]) {
        for ((along, (difference, _)), error) in found.iter().zip(errors(gradient, &found, 1.0)) {
            let what = match along {
                Along::Mix(cell_type, entry) => format!("mixing weight {entry} of cell type {cell_type}"),
                Along::Weights(w) if w.len() == 1 => setup.params.at(w[0].0).name.clone(),
                Along::Weights(_) => "all weights".to_string(),
            };
            assert!(error < 1.0, "{what} ({name}): {error} tolerances from the difference {difference}");
        }
        let worst = errors(gradient, &found, 1.0).into_iter().fold(0.0, f64::max);
        println!("{name}: {} differences, the worst {:.1e} away", found.len(), worst * TOLERANCE);
        let refused = errors(gradient, &found, 1.01).into_iter().filter(|e| *e > 1.0).count();
        assert!(refused * 2 > found.len(), "of gradients 1 % too large, {refused} of {} are refused", found.len());
    }
}

#[test]
fn gradients_of_nas_bench_201_are_those_of_finite_differences() {
    let space = SearchSpace::nas_bench_201();
    check(Case { space, channels: 5, batch: 3, size: 8, mode: Mode::Train, every: (1, 1) }, 1);
}

#[test]
fn gradients_in_eval_mode_are_those_of_finite_differences() {
    let space = SearchSpace::nas_bench_201();
    check(Case { space, channels: 3, batch: 5, size: 8, mode: Mode::Eval, every: (3, 2) }, 2);
}

/// Large enough for Winograd.
#[test]
fn gradients_of_large_layers_are_those_of_finite_differences() {
    let space = SearchSpace::nas_bench_201();
    check(Case { space, channels: 11, batch: 5, size: 32, mode: Mode::Train, every: (7, 3) }, 3);
}

#[test]
fn gradients_of_the_darts_space_are_those_of_finite_differences() {
    let space = SearchSpace::custom("two nodes", Topology::Darts, 2, SearchSpace::darts().ops()).unwrap();
    check(Case { space, channels: 3, batch: 3, size: 8, mode: Mode::Train, every: (5, 1) }, 4);
}

/// Large enough for sums in f32.
#[test]
fn gradients_of_large_separable_convolutions_are_those_of_finite_differences() {
    let ops = [Primitive::DilConv5x5, Primitive::MaxPool3x3];
    let space = SearchSpace::custom("few ops", Topology::Darts, 1, &ops).unwrap();
    check(Case { space, channels: 15, batch: 7, size: 32, mode: Mode::Train, every: (11, 4) }, 5);
}
