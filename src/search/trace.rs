//! `--trace DIR`: what a run drew, saw and did, in order, so that it can be replayed in another program and compared.
//!
//! `trace.jsonl` holds one event a line, a map whose `event` is its kind; weights and images, which are long, lie beside it in
//! the safetensors file that the event names as `file`. What goes in: `data` and `split` (which images of the training set a
//! part has), `supernet` and its first weights under the authors' names, `architecture` (first values, settings of Adam), every
//! `draw`, every `batch` (what for, which images, labels, pixels as they were seen). What comes out: the loss of that batch,
//! `sgd` and `adam` (one step, its settings), `variable` (what a step made of one), `weights` after a turn or an epoch of training that moved them, `iim`,
//! `evaluation`, `drop`, `genotype`. Numbers are exact; those that are not finite are texts.

use super::{ArchConfig, EpochStats, TrainConfig};
use crate::data::{Batch, Dataset, Splits};
use crate::error::{Error, Result};
use crate::net::Supernet;
use crate::space::{Candidate, Iim};
use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Where one value of a run (or the run itself) writes its events; without `--trace` nowhere, at no cost. Clones write to the
/// same file.
#[derive(Clone, Default)]
pub struct Trace {
    to: Option<Rc<RefCell<Writer>>>,
    /// The number of the value among all that the run made; 0: the run itself.
    value: u64,
}

struct Writer {
    folder: PathBuf,
    lines: File,
    files: usize,
    /// Supernets whose weights have moved since they were last written.
    moved: BTreeSet<u64>,
}

impl Trace {
    /// To a folder that is absent or empty.
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        if std::fs::read_dir(folder).map_err(Error::io("read", folder))?.next().is_some() {
            return Err(Error::file(folder, "a folder with files in it", "an empty or absent folder (--trace)"));
        }
        let path = folder.join("trace.jsonl");
        let lines = File::create(&path).map_err(Error::io("write", &path))?;
        let writer = Writer { folder: folder.to_path_buf(), lines, files: 0, moved: BTreeSet::new() };
        Ok(Trace { to: Some(Rc::new(RefCell::new(writer))), value: 0 })
    }

    /// The same for the value of this number.
    pub fn of(&self, value: u64) -> Self {
        Trace { to: self.to.clone(), value }
    }

    /// Write what `fields` gives, with tensors in a file of their own.
    fn event(&self, kind: &str, fields: impl FnOnce() -> Result<(Value, Vec<(String, Tensor)>)>) -> Result<()> {
        let Some(writer) = &self.to else { return Ok(()) };
        let (fields, tensors) = fields()?;
        let mut line = json!({ "event": kind });
        if self.value > 0 {
            line["value"] = self.value.into();
        }
        fields.as_object().into_iter().flatten().for_each(|(key, value)| line[key] = value.clone());
        let writer = &mut *writer.borrow_mut();
        if !tensors.is_empty() {
            writer.files += 1;
            let name = format!("{:06}.safetensors", writer.files);
            let path = writer.folder.join(&name);
            safetensors::serialize_to_file(tensors, None, &path).map_err(|e| Error::file(&path, e, "a tensor file"))?;
            line["file"] = name.into();
        }
        writeln!(writer.lines, "{line}").map_err(Error::io("write", writer.folder.join("trace.jsonl")))
    }

    fn plain(&self, kind: &str, fields: impl FnOnce() -> Result<Value>) -> Result<()> {
        self.event(kind, || Ok((fields()?, vec![])))
    }

    /// Data opened.
    pub fn data(&self, data: &Splits) -> Result<()> {
        self.plain("data", || {
            let (name, print) = (&data.train.name, &data.fingerprint);
            let (mean, std) = (&data.train.mean, &data.train.std);
            let labels = |set: &Dataset| -> Vec<u32> { (0..set.len()).map(|i| set.label(i)).collect() };
            let sets = (labels(&data.train), labels(&data.test));
            Ok(json!({ "name": name, "fingerprint": print, "mean": mean, "std": std, "train": sets.0, "test": sets.1 }))
        })
    }

    /// Data split, or part of it taken: which images of the store each part has.
    pub fn split(&self, parts: &[&Dataset]) -> Result<()> {
        self.plain("split", || Ok(json!({ "parts": parts.iter().map(|p| &*p.indices).collect::<Vec<_>>() })))
    }

    /// A supernet made.
    pub fn supernet(&self, net: &Supernet) -> Result<()> {
        self.event("supernet", || {
            let space = net.space();
            let line = json!({
                "space": space.name(),
                "topology": format!("{:?}", space.topology()),
                "ops": space.ops().iter().map(|op| op.name()).collect::<Vec<_>>(),
                "edges": space.edges().iter().map(|e| [e.to, e.from]).collect::<Vec<_>>(),
                "candidates": places(space.candidates()),
                "config": serde_json::to_value(net.config()).map_err(plain)?,
            });
            Ok((line, named(net)?))
        })
    }

    /// Architecture parameters made.
    pub fn architecture(&self, config: &ArchConfig, values: &[candle_core::Var]) -> Result<()> {
        self.plain("architecture", || {
            Ok(json!({ "config": serde_json::to_value(config).map_err(plain)?, "values": tables(values)? }))
        })
    }

    /// Random numbers drawn.
    pub fn draw(&self, kind: &str, drawn: impl FnOnce() -> Result<Value>) -> Result<()> {
        self.plain("draw", || Ok(json!({ "kind": kind, "drawn": drawn()? })))
    }

    /// Random numbers drawn in the shape of a tensor.
    pub fn draw_tensor(&self, kind: &str, t: &Tensor) -> Result<()> {
        self.draw(kind, || Ok(json!({ "shape": t.dims(), "values": t.flatten_all()?.to_vec1::<f32>()? })))
    }

    /// A batch seen: `what` for; what came of it.
    pub fn batch(&self, what: &str, epoch: usize, batch: &Batch, loss: Option<&Tensor>) -> Result<()> {
        self.event(what, || {
            let line = json!({
                "epoch": epoch,
                "index": batch.index,
                "total": batch.total,
                "images": batch.images,
                "labels": batch.y,
                "loss": loss.map(|l| Ok::<_, Error>(number(f64::from(l.to_scalar::<f32>()?)))).transpose()?,
            });
            Ok((line, vec![("x".into(), Tensor::from_slice(&batch.x, batch.shape, &Device::Cpu)?)]))
        })
    }

    /// One step of the weights, with its own learning rate.
    pub fn sgd(&self, lr: f64, cfg: &TrainConfig) -> Result<()> {
        self.moved();
        self.plain("sgd", || {
            let settings = TrainConfig { lr, ..cfg.clone() };
            Ok(json!({ "settings": serde_json::to_value(settings).map_err(plain)? }))
        })
    }

    /// Weights moved other than by a step: the next [`Trace::weights`] writes them.
    pub fn moved(&self) {
        if let Some(writer) = &self.to {
            writer.borrow_mut().moved.insert(self.value);
        }
    }

    /// One step of architecture parameters.
    pub fn adam(&self, values: &[candle_core::Var]) -> Result<()> {
        self.plain("adam", || Ok(json!({ "values": tables(values)? })))
    }

    /// One step of variables: their values under their numbers, `0` the first.
    pub fn variable(&self, values: &[candle_core::Var]) -> Result<()> {
        let named = |(i, v): (usize, &candle_core::Var)| Ok((i.to_string(), v.as_tensor().to_device(&Device::Cpu)?));
        self.event("variable", || Ok((json!({}), values.iter().enumerate().map(named).collect::<Result<_>>()?)))
    }

    /// Weights and running statistics, if they have moved.
    pub fn weights(&self, net: &Supernet) -> Result<()> {
        let moved = self.to.as_ref().is_some_and(|writer| writer.borrow_mut().moved.remove(&self.value));
        if moved { self.event("weights", || Ok((json!({}), named(net)?))) } else { Ok(()) }
    }

    /// IIM measured.
    pub fn iim(&self, iim: &Iim) -> Result<()> {
        self.plain("iim", || {
            let rows = |rows: &Vec<Vec<f64>>| -> Vec<Vec<Value>> {
                rows.iter().map(|row| row.iter().map(|v| number(*v)).collect()).collect()
            };
            Ok(json!({ "scores": iim.score.0.iter().map(rows).collect::<Vec<_>>() }))
        })
    }

    /// Loss and accuracy of a data set.
    pub fn evaluation(&self, stats: &EpochStats) -> Result<()> {
        self.plain("evaluation", || {
            Ok(json!({ "loss": number(stats.loss), "accuracy": stats.accuracy, "images": stats.images }))
        })
    }

    /// Candidates dropped: `[cell type, edge, op]`.
    pub fn drop(&self, dropped: impl IntoIterator<Item = Candidate>) -> Result<()> {
        self.plain("drop", || Ok(json!({ "candidates": places(dropped) })))
    }

    /// A genotype read off.
    pub fn genotype(&self, genotype: &crate::space::Genotype) -> Result<()> {
        self.plain("genotype", || Ok(json!({ "text": genotype.to_string() })))
    }
}

fn places(candidates: impl IntoIterator<Item = Candidate>) -> Vec<[usize; 3]> {
    candidates.into_iter().map(|c| [c.cell_type, c.edge, c.op]).collect()
}

fn named(net: &Supernet) -> Result<Vec<(String, Tensor)>> {
    net.params().iter().map(|p| Ok((p.name.clone(), p.var.as_tensor().to_device(&Device::Cpu)?))).collect()
}

fn tables(values: &[candle_core::Var]) -> Result<Vec<Vec<Vec<f32>>>> {
    values.iter().map(|v| Ok(v.to_vec2::<f32>()?)).collect()
}

/// JSON has no infinity.
fn number(v: f64) -> Value {
    if v.is_finite() { v.into() } else { v.to_string().into() }
}

fn plain(e: serde_json::Error) -> Error {
    Error::invalid("the trace", e, "plain data")
}
