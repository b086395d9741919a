//! result.json: what a run came to, for programs that read it. It is there exactly when the run is finished. What stands in it,
//! key by key: `docs/reference.md`.

use super::options::device_name;
use super::results::Results;
use super::shared::Run;
use crate::error::Result;
use crate::ops::simd::Level;
use crate::search::RunFolder;
use serde_json::{Map, Value, json};

/// The version of what stands in result.json: one more where a key changes its meaning or goes.
const FORMAT: u32 = 1;

/// Write the result of a run that is finished.
pub fn write(host: &Run) -> Result<()> {
    let folder = host.folder.borrow();
    let Some(folder) = folder.as_ref() else { return Ok(()) };
    add_metrics(&host.results, folder)?;
    let options = &host.options;
    folder.write_result(&json!({
        "format": FORMAT,
        "id": host.origin.id,
        "version": env!("CARGO_PKG_VERSION"),
        "script": options.script.as_ref().map(|path| path.to_string_lossy()),
        "args": options.args,
        "data": options.data,
        "seed": options.seed,
        "device": device_name(&options.device),
        "instructions": instructions(),
        "threads": options.threads,
        "set": options.sets.iter().cloned().collect::<Map<_, _>>(),
        "settings": *host.settings.effective.borrow(),
        "seconds": host.clock.seconds(),
        "cpu_seconds": host.clock.cpu_seconds(),
        "searches": host.results.state(),
    }))
}

/// Of each network of each search: how many epochs there are of it in metrics.csv, the last, and the one of the highest accuracy.
fn add_metrics(results: &Results, folder: &RunFolder) -> Result<()> {
    let rows = RunFolder::read_metrics(folder.path())?;
    let mut nets: Vec<(&str, usize)> = Vec::new();
    for row in &rows {
        if !nets.contains(&(&row.search, row.net)) {
            nets.push((&row.search, row.net));
        }
    }
    let mut first: Vec<&str> = Vec::new();
    for (search, net) in nets {
        let own: Vec<_> = rows.iter().filter(|row| row.search == search && row.net == net).collect();
        let best = own.iter().rev().max_by(|a, b| a.accuracy.total_cmp(&b.accuracy));
        let what = json!({
            "net": net,
            "epochs": own.len(),
            "seconds": own.iter().map(|row| row.seconds).sum::<f64>(),
            "last": own.last().map(|row| row.numbers()),
            "best": best.map(|row| row.numbers()),
        });
        let begin = !first.contains(&search);
        first.push(search);
        results.with(search, None, |entry| match entry.get_mut("metrics") {
            Some(Value::Array(all)) if !begin => all.push(what),
            _ => drop(entry.insert("metrics".into(), json!([what]))),
        });
    }
    Ok(())
}

/// The instruction set of the processor's kernels that are in use: `avx512`, `avx2`, `portable`.
pub fn instructions() -> String {
    format!("{:?}", Level::best()).to_lowercase()
}
