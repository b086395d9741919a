//! `predict` and `export`: what becomes of trained weights.

use super::args::{Export, Predict};
use super::{device, interrupts, print};
use candle_core::{D, Device, Tensor};
use isdarts_host::data::picture;
use isdarts_host::files;
use isdarts_host::net::{Mode, onnx};
use isdarts_host::ops::finite::not_finite;
use isdarts_host::search::weights_file;
use isdarts_host::{Error, Result, interrupt, memory, streams};

/// Pictures that go through the network at once.
const BATCH: usize = 32;

/// The likeliest classes of each picture, one line a picture: path, then class and probability by turns, tab-separated.
pub fn predict(args: &Predict) -> Result<()> {
    interrupts::install(None);
    device::threads(args.threads)?;
    let device = device::open(&args.device)?;
    let (net, about) = weights_file::open(&args.weights, &device)?;
    let (side, other) = about.size;
    if side != other {
        let got = format!("a network for images of {side}x{other}");
        return Err(Error::file(&args.weights, got, "one for square images"));
    }
    let bytes = memory::product(&[BATCH.min(args.images.len()), 3, side, side]).map(|n| 4 * n as u128);
    memory::check(&args.weights.to_string_lossy(), bytes, "the number of pictures").map_err(|e| e.at("predict"))?;
    for paths in args.images.chunks(BATCH) {
        interrupt::check()?;
        let mut x = vec![];
        for path in paths {
            x.extend(picture::read(path, side, &about.mean, &about.std)?);
        }
        let x = Tensor::from_vec(x, (paths.len(), 3, side, side), &device)?;
        let logits = net.forward(&x, Mode::Eval, None)?.logits;
        if let Some(value) = not_finite(&logits)? {
            return Err(Error::file(&args.weights, format!("logits of {value}"), "weights that give finite ones"));
        }
        for (path, row) in paths.iter().zip(candle_nn::ops::softmax(&logits, D::Minus1)?.to_vec2::<f32>()?) {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            let found = order.iter().take(args.top.into()).map(|&i| format!("{}\t{:.4}", about.classes[i], row[i]));
            print(&format!(
                "{}\t{}",
                streams::name(&path.display().to_string()),
                found.collect::<Vec<_>>().join("\t")
            ))?;
        }
    }
    Ok(())
}

/// Write an ONNX file.
pub fn export(args: &Export) -> Result<()> {
    let (net, about) = weights_file::open(&args.weights, &Device::Cpu)?;
    let numbers = |v: &[f32]| v.iter().map(f32::to_string).collect::<Vec<_>>().join(" ");
    let notes = [
        ("genotype", about.genotype.clone()),
        ("classes", about.classes.join("\n")),
        ("mean", numbers(&about.mean)),
        ("std", numbers(&about.std)),
    ];
    files::write(&args.onnx, &onnx::export(&net, about.size, args.fold, &notes)?)
}
