//! Reading golden cases, and comparing with them.

mod sketch;

use candle_core::safetensors::load;
use candle_core::{DType, Device, Tensor};
use isdarts_host::data::Batch;
use isdarts_host::net::{Param, Params, SupernetConfig};
use isdarts_host::search::TrainConfig;
use isdarts_host::space::{Mask, PerCandidate};
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::{Path, PathBuf};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Folders with a `case.json`, sorted: below `tests/golden`, and below `$ISDARTS_GOLDEN`.
pub fn case_folders() -> Vec<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders = below(&ours);
    assert!(!folders.is_empty(), "no golden case below {}", ours.display());
    if let Some(theirs) = std::env::var_os("ISDARTS_GOLDEN") {
        let found = below(Path::new(&theirs));
        assert!(!found.is_empty(), "ISDARTS_GOLDEN: no case.json below {}", Path::new(&theirs).display());
        folders.extend(found);
    }
    folders
}

fn below(folder: &Path) -> Vec<PathBuf> {
    if folder.join("case.json").is_file() {
        return vec![folder.to_path_buf()];
    }
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("cannot read {}: {e}", folder.display()));
    let mut inside: Vec<_> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    inside.sort();
    inside.iter().flat_map(|f| below(f)).collect()
}

/// A recorded run.
#[derive(serde::Deserialize)]
pub struct Case {
    pub space: String,
    pub lr: f64,
    pub momentum: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
    pub clip: f64,
    pub shrinks: usize,
    pub steps: usize,
    /// Whether it begins at weights of a formula, and has only sketches of gradients and final tensors.
    #[serde(default)]
    pub sketched: bool,
    #[serde(default)]
    seed: u64,
    /// Size and options of the network, as a checkpoint has them.
    #[serde(flatten)]
    config: SupernetConfig,
    #[serde(skip)]
    pub tensors: HashMap<String, Tensor>,
}

impl Case {
    pub fn load(folder: &Path, device: &Device) -> Outcome<Self> {
        let text = std::fs::read_to_string(folder.join("case.json"))?;
        let tensors = load(folder.join("tensors.safetensors"), device)?;
        Ok(Case { tensors, ..serde_json::from_str(&text)? })
    }

    /// Size and options of the network.
    pub fn config(&self) -> SupernetConfig {
        self.config
    }

    /// Where its tensors are.
    pub fn device(&self) -> &Device {
        self.tensors.values().next().map_or(&Device::Cpu, Tensor::device)
    }

    pub fn get(&self, name: &str) -> Outcome<&Tensor> {
        Ok(self.tensors.get(name).ok_or_else(|| format!("no tensor `{name}` in the case"))?)
    }

    /// The one batch of the recorded run.
    pub fn batch(&self) -> Outcome<Batch> {
        let (x, y) = (self.get("input")?, self.get("target")?);
        let (shape, x) = (x.dims4()?, x.flatten_all()?.to_vec1()?);
        Ok(Batch { x, y: y.to_dtype(DType::U32)?.to_vec1()?, shape, images: vec![], index: 0, total: 1 })
    }

    /// Its training settings: the learning rate stays as it is.
    pub fn settings(&self) -> Outcome<TrainConfig> {
        if !self.nesterov {
            return Err("the case was not recorded with Nesterov momentum".into());
        }
        let Case { lr, momentum, weight_decay, clip, .. } = *self;
        Ok(TrainConfig { epochs: 1, lr, lr_min: lr, momentum, weight_decay, clip, ..TrainConfig::default() })
    }

    /// The weights that it begins with: those of the case, or of its formula.
    pub fn first_weights(&self, params: &Params) -> Outcome<HashMap<String, Tensor>> {
        if !self.sketched {
            return Ok(self.below("init."));
        }
        let tensor = |p: &Param| -> Outcome<(String, Tensor)> {
            let values = first_values(&p.name, p.var.dims(), self.seed);
            Ok((p.name.clone(), Tensor::from_vec(values, p.var.shape(), self.device())?))
        };
        params.iter().map(tensor).collect()
    }

    /// The tensors below a prefix, without it.
    pub fn below(&self, prefix: &str) -> HashMap<String, Tensor> {
        let named = |(name, t): (&String, &Tensor)| Some((name.strip_prefix(prefix)?.to_string(), t.clone()));
        self.tensors.iter().filter_map(named).collect()
    }
}

/// Uniform in +- 1/sqrt(fan in), from SplitMix64 at (hash of the name, position); of batch norms near 1 and 0.
fn first_values(name: &str, shape: &[usize], seed: u64) -> Vec<f32> {
    let fnv = |h: u64, byte: u8| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, fnv);
    let near_one = name.ends_with("running_var") || (name.ends_with("weight") && shape.len() == 1);
    let fan_in = shape[1..].iter().product::<usize>() as f64;
    let scale = if shape.len() > 1 { 1.0 / fan_in.sqrt() } else { 0.1 };
    let uniform =
        |i: usize| (sketch::splitmix(hash.wrapping_add(i as u64)) >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0;
    let value = |i: usize| (uniform(i) * scale + if near_one { 1.0 } else { 0.0 }) as f32;
    (0..shape.iter().product()).map(value).collect()
}

/// Which candidates are alive after a shrink of the recorded run.
pub fn recorded_mask(case: &Case, shrink: usize, types: usize) -> Outcome<Mask> {
    let table = |i| -> Outcome<Vec<Vec<bool>>> {
        let rows = case.get(&format!("shrink.{shrink}.mask.{i}"))?.to_vec2::<f32>()?;
        Ok(rows.into_iter().map(|row| row.into_iter().map(|v| v > 0.).collect()).collect())
    };
    Ok(Mask::from_table(PerCandidate((0..types).map(table).collect::<Outcome<_>>()?)))
}

/// Deviations found, and the largest of each kind.
#[derive(Default)]
pub struct Check {
    pub failures: Vec<String>,
    worst: BTreeMap<&'static str, (f64, String)>,
    compared: usize,
}

impl Check {
    /// Norm of the difference over norm of `want` below `bound`; all zero must be (nearly) all zero. Of a sketch, the largest
    /// difference of its sums counts as the norm.
    pub fn tensor(&mut self, kind: &'static str, what: &str, got: &Tensor, want: &Tensor, bound: f64) -> Outcome<()> {
        if want.dims() == [3] && got.dims() != [3] {
            let values: Vec<f64> = got.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
            let (got, want) = (sketch::sketch(&values), want.to_dtype(DType::F64)?.to_vec1::<f64>()?);
            let difference = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let error = if want[0] < 1e-7 && difference < 1e-6 { 0. } else { difference / want[0] };
            self.judge(kind, what, error, bound, format!("norm {:e}, expected {:e}", got[0], want[0]));
            return Ok(());
        }
        if got.dims() != want.dims() {
            self.failures.push(format!("{what}: got {:?}, expected {:?}", got.dims(), want.dims()));
            return Ok(());
        }
        let values = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
        let (got, want) = (values(got)?, values(want)?);
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
        let difference = norm(&mut got.iter().zip(&want).map(|(a, b)| a - b));
        let size = norm(&mut want.iter().copied());
        let error = if size == 0. && difference < 1e-7 { 0. } else { difference / size };
        self.judge(kind, what, error, bound, format!("norm {:e}, expected {size:e}", norm(&mut got.iter().copied())));
        Ok(())
    }

    /// Relative difference below `bound`; infinity must be infinity.
    pub fn number(&mut self, kind: &'static str, what: &str, got: f64, want: f64, bound: f64) {
        let error = if got == want { 0. } else { (got - want).abs() / want.abs() };
        self.judge(kind, what, error, bound, format!("{got:e}, expected {want:e}"));
    }

    fn judge(&mut self, kind: &'static str, what: &str, error: f64, bound: f64, text: String) {
        self.compared += 1;
        let worst = self.worst.entry(kind).or_default();
        if error.is_nan() || error > worst.0 {
            *worst = (if error.is_nan() { f64::INFINITY } else { error }, what.to_string());
        }
        if error.is_nan() || error >= bound {
            self.failures.push(format!("{what}: got {text}; relative error {error:e}, allowed {bound:e}"));
        }
    }

    /// One line: how much was compared and the largest relative error of each kind.
    pub fn summary(&self) -> String {
        let one = |(kind, (error, what)): (&&str, &(f64, String))| format!("{kind} {error:.1e} ({what})");
        let worst: Vec<String> = self.worst.iter().map(one).collect();
        format!("{} comparisons, {} deviations; worst: {}", self.compared, self.failures.len(), worst.join(", "))
    }
}
