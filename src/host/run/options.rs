//! What a run is asked to do: the command line, parsed and resolved.

use candle_core::{Device, DeviceLocation};
use std::path::PathBuf;

/// A run of a script (or an expression, or the REPL), with every default resolved but the script's own settings.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The script; `None` for `-e` and the REPL.
    pub script: Option<PathBuf>,
    /// What stood after `--`, for the script.
    pub args: Vec<String>,
    /// `--set KEY=VALUE`, in order: they override the script's settings after its defaults. A value is a whole number,
    /// a number, a bool, a list, or else text.
    pub sets: Vec<(String, serde_json::Value)>,
    /// `digits`, `cifar10`, ... or a folder.
    pub data: String,
    /// Where networks live.
    pub device: Device,
    /// Threads of the rayon pool (already built); for the manifest.
    pub threads: usize,
    /// The seed that all random streams of the run derive from.
    pub seed: u64,
    /// The run folder; `None` writes none (REPL, `-e`, tests). The host opens it before any work.
    pub folder: Option<PathBuf>,
    /// Where to write what the run draws and does, for replaying it elsewhere; an absent or empty folder.
    pub trace: Option<PathBuf>,
    /// Whether the folder holds an interrupted run that goes on.
    pub resume: bool,
    /// Whether a resumed run takes what has changed since it began.
    pub accept_changes: bool,
    /// Whether a script runs without being looked over before.
    pub unchecked: bool,
    /// No progress, no notes.
    pub quiet: bool,
    /// Whether the run ends where its settings are known, before any work.
    pub probe: bool,
    /// The program isdarts-host, if that is what runs here: searches of a script may be child processes of it.
    pub program: Option<PathBuf>,
}

impl Default for RunOptions {
    /// The embedded data on the CPU, seed 0, no run folder.
    fn default() -> Self {
        RunOptions {
            script: None,
            args: vec![],
            sets: vec![],
            data: "digits".into(),
            device: Device::Cpu,
            threads: rayon::current_num_threads(),
            seed: 0,
            folder: None,
            trace: None,
            resume: false,
            accept_changes: false,
            unchecked: false,
            quiet: false,
            probe: false,
            program: None,
        }
    }
}

impl RunOptions {
    /// The part that a resumed run must repeat, as it stands in `manifest.json` under `run`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "script": self.script.as_ref().map(|path| path.to_string_lossy()),
            // A resumed run finds what was named from here.
            "folder": std::env::current_dir().ok().and_then(|path| path.to_str().map(str::to_string)),
            "args": self.args,
            "set": self.sets.iter().cloned().collect::<serde_json::Map<_, _>>(),
            "data": self.data,
            "device": device_name(&self.device),
            "threads": self.threads,
            "seed": self.seed,
        })
    }
}

/// `cpu`, `cuda:0`, ...
pub fn device_name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".into(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}
