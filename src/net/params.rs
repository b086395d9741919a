//! Named weights and buffers, under the names of the authors' PyTorch state dict.

use super::graph::{Init, ParamSpec, Role};
use super::ids::{ParamId, Table};
use super::sealed;
use crate::error::{Error, Result};
use crate::files;
use crate::ops::finite::not_finite;
use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use std::collections::HashMap;
use std::path::Path;

/// A named tensor.
#[derive(Clone, Debug)]
pub struct Param {
    /// As in the authors' state dict: `cells.0.edges.1<-0.3.op.1.weight`.
    pub name: String,
    /// Its value, f32.
    pub var: Var,
    /// Trained or kept.
    pub role: Role,
}

/// All weights and buffers of a network, in state-dict order.
pub struct Params {
    list: Table<ParamId, Param>,
    index: HashMap<String, ParamId>,
}

impl Params {
    /// The parameters of `specs`, initialised as PyTorch does (uniform in +-1/sqrt(fan_in); batch norm 1, 0; running 0, 1), by `seed`.
    pub fn of_specs(specs: Table<ParamId, ParamSpec>, seed: u64, device: &Device) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let list: Result<Table<ParamId, Param>> = specs
            .into_iter()
            .map(|spec| {
                let values = initial_values(&spec, &mut random);
                let var = Var::from_vec(values, spec.shape, device)?;
                Ok(Param { name: spec.name, var, role: spec.role })
            })
            .collect();
        let list = list?;
        let index = list.ids().map(|i| (list[i].name.clone(), i)).collect();
        Ok(Params { list, index })
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.list.iter()
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The indices in order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = ParamId> + use<> {
        self.list.ids()
    }

    /// A list beside this one, with something for each parameter.
    pub fn beside<T>(&self, f: impl FnMut(ParamId) -> T) -> Table<ParamId, T> {
        self.list.beside(f)
    }

    /// The index of a name; unknown names are an error with the nearest.
    pub fn position(&self, name: &str) -> Result<ParamId> {
        self.find(name).ok_or_else(|| {
            // A network has hundreds of names: show those that look like this one.
            let mut names: Vec<&str> = self.iter().map(|p| p.name.as_str()).collect();
            names.sort_by_key(|known| strsim::damerau_levenshtein(name, known));
            names.truncate(5);
            Error::unknown_name("parameter", name, names)
        })
    }

    /// The index of a name, if it is one.
    pub fn find(&self, name: &str) -> Option<ParamId> {
        self.index.get(name).copied()
    }

    /// By index.
    pub fn at(&self, id: ParamId) -> &Param {
        &self.list[id]
    }

    /// By name.
    pub fn get(&self, name: &str) -> Result<&Param> {
        Ok(self.at(self.position(name)?))
    }

    /// Copy values in from named tensors; `num_batches_tracked` is ignored; a missing, extra or misshaped one is an error,
    /// and then nothing has been copied.
    pub fn assign(&self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        self.check(tensors.iter().map(|(name, t)| (name.as_str(), t.dims())))?;
        for param in self.iter() {
            param.var.set(&tensors[&param.name].to_dtype(DType::F32)?.to_device(param.var.device())?)?;
        }
        Ok(())
    }

    /// All as named tensors: copies, which later training does not change.
    pub fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        self.iter().map(|p| Ok((p.name.clone(), p.var.as_tensor().copy()?.detach()))).collect()
    }

    /// An error that names the first parameter with a number that is not finite.
    pub fn check_finite(&self) -> Result<()> {
        for param in self.iter() {
            if let Some(value) = not_finite(&param.var)? {
                return Err(Error::invalid(format!("parameter `{}`", param.name), value, "finite numbers"));
            }
        }
        Ok(())
    }

    /// Write a safetensors file. An error, and no file, if a weight is not finite.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.check_finite()?;
        files::replace(path, &sealed::seal(self.iter().map(|p| (&p.name, p.var.as_tensor())), None)?)
    }

    /// Read a safetensors file. An error (also for numbers that are not finite) leaves the weights as they were.
    pub fn load(&self, path: &Path) -> Result<()> {
        let bytes = files::read(path).map_err(Error::io("read", path))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| {
            Error::file(path, format!("{} bytes that do not parse ({e})", bytes.len()), "a safetensors file")
        })?;
        sealed::check(path, &bytes)?;
        let views = file.tensors();
        self.check(views.iter().map(|(name, view)| (name.as_str(), view.shape()))).map_err(|e| match e {
            Error::Invalid { what, got, expected } => Error::file(path, format!("{what}: {got}"), expected),
            other => other,
        })?;
        let tensors: Result<HashMap<String, Tensor>> = views
            .iter()
            .filter(|(name, _)| !is_counter(name))
            .map(|(name, view)| Ok((name.clone(), view.load(&Device::Cpu)?)))
            .collect();
        let tensors = tensors?;
        for param in self.iter() {
            if let Some(value) = not_finite(&tensors[&param.name])? {
                return Err(Error::file(path, format!("parameter `{}`: {value}", param.name), "finite numbers"));
            }
        }
        self.assign(&tensors)
    }

    /// Whether names and shapes are exactly those of this network.
    fn check<'a>(&self, tensors: impl Iterator<Item = (&'a str, &'a [usize])>) -> Result<()> {
        let found: HashMap<&str, &[usize]> = tensors.filter(|(name, _)| !is_counter(name)).collect();
        for param in self.iter() {
            let what = || format!("parameter `{}`", param.name);
            match found.get(param.name.as_str()) {
                None => {
                    return Err(Error::invalid(what(), "no tensor of this name", format!("{:?}", param.var.dims())));
                }
                Some(&shape) if shape != param.var.dims() => {
                    return Err(Error::invalid(what(), format!("{shape:?}"), format!("{:?}", param.var.dims())));
                }
                Some(_) => {}
            }
        }
        if let Some(extra) = found.keys().filter(|name| !self.index.contains_key(**name)).min() {
            let expected = format!("only the {} tensors of this network", self.list.len());
            return Err(Error::invalid(
                format!("parameter `{extra}`"),
                "a tensor that the network does not have",
                expected,
            ));
        }
        Ok(())
    }
}

/// PyTorch's count of batches, which nothing here reads.
fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked")
}

fn initial_values(spec: &ParamSpec, random: &mut ChaCha8Rng) -> Vec<f32> {
    let n = spec.shape.iter().product();
    match spec.init {
        Init::Constant(value) => vec![value; n],
        Init::Uniform { fan_in } => {
            let bound = 1. / (fan_in as f32).sqrt();
            (0..n).map(|_| random.random_range(-bound..bound)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::SupernetConfig;
    use crate::net::graph::supernet;
    use crate::space::SearchSpace;

    fn params(channels: usize, seed: u64) -> Params {
        let (space, config) =
            (SearchSpace::nas_bench_201(), SupernetConfig { channels, cells: 1, ..Default::default() });
        let graph = supernet::graph(&space, &config, &space.full_mask());
        Params::of_specs(graph.params, seed, &Device::Cpu).unwrap()
    }

    fn bits(params: &Params) -> Vec<u32> {
        let values = |p: &Param| p.var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        params.iter().flat_map(values).map(f32::to_bits).collect()
    }

    #[test]
    fn the_seed_decides_the_initial_bits() {
        assert_eq!(bits(&params(4, 7)), bits(&params(4, 7)));
        assert_ne!(bits(&params(4, 7)), bits(&params(4, 8)));
    }

    #[test]
    fn weights_start_uniform_in_plus_minus_one_over_root_fan_in() {
        let params = params(16, 3);
        for (name, fan_in) in
            [("cells.4.edges.1<-0.3.op.1.weight", 9. * 64.), ("classifier.weight", 64.), ("stem.0.weight", 27.)]
        {
            let values = params.get(name).unwrap().var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let (n, bound) = (values.len() as f32, 1. / f32::sqrt(fan_in));
            assert!(values.iter().all(|v| v.abs() <= bound), "{name}");
            // A uniform variable has mean 0 and variance bound^2 / 3; four standard deviations of slack.
            let (mean, square) = (values.iter().sum::<f32>() / n, values.iter().map(|v| v * v).sum::<f32>() / n);
            assert!(mean.abs() < 4. * bound / (3. * n).sqrt(), "{name}: mean {mean}");
            assert!((3. * square / bound.powi(2) - 1.).abs() < 4. / n.sqrt(), "{name}: mean square {square}");
        }
        for (name, value) in [("stem.1.weight", 1.), ("stem.1.bias", 0.), ("lastact.0.running_mean", 0.)] {
            let values = params.get(name).unwrap().var.to_vec1::<f32>().unwrap();
            assert!(values.iter().all(|&v| v == value), "{name}");
        }
    }

    #[test]
    fn a_snapshot_does_not_move_with_the_weights() {
        let params = params(4, 1);
        let before = bits(&params);
        let snapshot = params.tensors().unwrap();
        for p in params.iter() {
            p.var.set(&p.var.zeros_like().unwrap()).unwrap();
        }
        params.assign(&snapshot).unwrap();
        assert_eq!(bits(&params), before);
    }

    #[test]
    fn an_unknown_name_is_an_error_with_the_nearest() {
        let error = params(4, 1).get("classifier.weigth").unwrap_err().to_string();
        assert!(error.contains("unknown parameter `classifier.weigth`, did you mean `classifier.weight`?"), "{error}");
    }

    /// Every wrong file is refused by name, with what was got and expected, and leaves the weights as they were.
    #[test]
    fn wrong_weight_files_are_refused_in_words() {
        let (ours, folder) = (params(4, 1), tempfile::tempdir().unwrap());
        let write = |name: &str, change: &dyn Fn(&mut HashMap<String, Tensor>)| {
            let (mut tensors, path) = (params(4, 2).tensors().unwrap(), folder.path().join(name));
            change(&mut tensors);
            candle_core::safetensors::save(&tensors, &path).unwrap();
            path
        };
        let vector = |n: usize| Tensor::zeros(n, DType::F32, &Device::Cpu).unwrap();
        let good = write("good", &|_| {});
        let bytes = std::fs::read(&good).unwrap();
        let cut = folder.path().join("cut");
        std::fs::write(&cut, &bytes[..bytes.len() - 5]).unwrap();
        let text = folder.path().join("text");
        std::fs::write(&text, "not weights").unwrap();
        let shape = write("shape", &|t| drop(t.insert("stem.1.bias".into(), vector(5))));
        let missing = write("missing", &|t| drop(t.remove("classifier.bias")));
        let extra = write("extra", &|t| drop(t.insert("cells.0.alpha".into(), vector(1))));
        let before = bits(&ours);
        for (path, parts) in [
            (shape, vec!["parameter `stem.1.bias`", "got", "[5]", "expected [4]"]),
            (missing, vec!["parameter `classifier.bias`", "no tensor of this name", "expected [10]"]),
            (extra, vec!["parameter `cells.0.alpha`", "does not have"]),
            (cut, vec!["bytes that do not parse", "expected a safetensors file"]),
            (text, vec!["11 bytes that do not parse", "expected a safetensors file"]),
            (folder.path().join("absent"), vec!["cannot read"]),
        ] {
            let error = ours.load(&path).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()), "{error}");
            for part in parts {
                assert!(error.contains(part), "{part}: {error}");
            }
            assert_eq!(bits(&ours), before, "{error}");
        }
        ours.load(&good).unwrap();
        assert_eq!(bits(&ours), bits(&params(4, 2)));
    }
}
