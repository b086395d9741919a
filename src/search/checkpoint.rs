//! State that survives: what is saved after every epoch, atomically, and how it comes back.
//!
//! One file a checkpoint, `state.safetensors`, which other programs can read: the tensors of state `i` under `i/name`, and
//! one metadata entry, `isdarts-checkpoint`: a checksum (XXH3, 64 bits, of everything) and a JSON text with the rest.

use crate::error::{Error, Result};
use crate::files;
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

const FILE: &str = "state.safetensors";
const ENTRY: &str = "isdarts-checkpoint";
const VERSION: u64 = 1;
/// Stands where the checksum will.
const BLANK: &str = "----------------";

/// The whole state of one value: tensors and plain data.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Named tensors.
    pub tensors: BTreeMap<String, Tensor>,
    /// Everything else of the state.
    pub json: Value,
}

/// A value that can be saved and restored to the same bits.
pub trait Stateful {
    /// "supernet", "arch", "run_state", ...: checked on restore.
    fn kind(&self) -> &'static str;
    /// Its state now.
    fn state(&self) -> Result<State>;
    /// Take a state back; an error if it does not fit.
    fn restore(&mut self, state: State) -> Result<()>;
}

/// Write `states` (and `meta`) to the folder `dir`, atomically: temporary file, fsync, rename. After a crash at any
/// moment the folder holds the old checkpoint or the new one. Tensors keep their bits.
pub fn save(dir: &Path, states: &[(String, State)], meta: &Value) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    let tensors = states.iter().enumerate().flat_map(|(i, (_, state))| {
        state.tensors.iter().map(move |(name, tensor)| (format!("{i}/{name}"), tensor.clone()))
    });
    let tensors: BTreeMap<String, Tensor> = tensors.collect();
    let plain: Vec<Value> = states.iter().map(|(name, s)| serde_json::json!({"name": name, "json": s.json})).collect();
    let text = serde_json::json!({"version": VERSION, "states": plain, "meta": meta}).to_string();

    let bad = |e: String| Error::invalid("the checkpoint", e, "tensors that safetensors can hold");
    let entry = HashMap::from([(ENTRY.to_string(), format!("{BLANK} {text}"))]);
    let mut bytes = safetensors::serialize(&tensors, Some(entry)).map_err(|e| bad(e.to_string()))?;
    let sum = checksum(&text, &SafeTensors::deserialize(&bytes).map_err(|e| bad(e.to_string()))?);
    // The checksum is part of what it is the sum of the rest of: it takes its place last.
    let mark = format!("\"{ENTRY}\":\"{BLANK}");
    let place = bytes.windows(mark.len()).position(|window| window == mark.as_bytes());
    let place = place.ok_or_else(|| bad("a header without its checksum".into()))? + mark.len() - BLANK.len();
    bytes[place..place + BLANK.len()].copy_from_slice(format!("{sum:016x}").as_bytes());
    files::replace(&dir.join(FILE), &bytes)
}

/// Read it back; `None` if there is none. A damaged one is an error that names the file.
#[allow(clippy::type_complexity)]
pub fn load(dir: &Path) -> Result<Option<(Vec<(String, State)>, Value)>> {
    let path = dir.join(FILE);
    let bytes = match files::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(Error::io("read", &path))?,
    };
    let size = bytes.len();
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| damaged(&path, format!("{size} bytes that do not parse ({e})")))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(&path, e))?;
    let entry = header.metadata().as_ref().and_then(|m| m.get(ENTRY));
    let Some((sum, text)) = entry.and_then(|e| e.split_once(' ')) else {
        return Err(damaged(&path, format!("no metadata entry `{ENTRY}`")));
    };
    let found = format!("{:016x}", checksum(text, &file));
    if found != sum {
        return Err(damaged(&path, format!("{size} bytes with checksum {found} where {sum} was written")));
    }
    let plain: Value = serde_json::from_str(text).map_err(|e| damaged(&path, e))?;
    if plain["version"] != VERSION {
        let expected = format!("version {VERSION}; resume it with the program that wrote it, or start anew");
        return Err(Error::file(&path, format!("a checkpoint of version {}", plain["version"]), expected));
    }
    let mut states: Vec<(String, State)> = vec![];
    for entry in plain["states"].as_array().into_iter().flatten() {
        let name = entry["name"].as_str().unwrap_or_default().to_string();
        states.push((name, State { tensors: BTreeMap::new(), json: entry["json"].clone() }));
    }
    for (name, view) in file.tensors() {
        let place = name.split_once('/').and_then(|(i, rest)| Some((i.parse::<usize>().ok()?, rest)));
        let Some((state, name)) = place.and_then(|(i, rest)| Some((states.get_mut(i)?, rest))) else {
            return Err(damaged(&path, format!("a tensor `{name}` of no state")));
        };
        state.1.tensors.insert(name.to_string(), view.load(&Device::Cpu)?);
    }
    Ok(Some((states, plain["meta"].clone())))
}

/// The checksum of the text and, in the order of their names, of all tensors: name, type, shape, bytes.
fn checksum(text: &str, file: &SafeTensors<'_>) -> u64 {
    let mut sum = Xxh3::new();
    sum.update(text.as_bytes());
    let mut tensors = file.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, view) in tensors {
        sum.update(format!("\n{name} {:?} {:?}\n", view.dtype(), view.shape()).as_bytes());
        sum.update(view.data());
    }
    sum.digest()
}

fn damaged(path: &Path, got: impl ToString) -> Error {
    let expected = "a whole checkpoint; it is damaged: put back a copy, or delete it to begin this search again";
    Error::file(path, got, expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn example(value: f32) -> Vec<(String, State)> {
        let nan = f32::from_bits(0x7fc1_2345);
        let t = Tensor::new(&[[value, nan], [-0.0, f32::INFINITY]], &Device::Cpu).unwrap();
        let n = Tensor::new(&[1u32, u32::MAX], &Device::Cpu).unwrap();
        let first = State { tensors: [("w".into(), t), ("a/b".into(), n)].into(), json: json!({"epoch": 3}) };
        let second = State { tensors: BTreeMap::new(), json: json!([0.1, -1e-300]) };
        vec![("0 supernet".into(), first), ("1 run_state".into(), second)]
    }

    #[test]
    fn what_is_saved_comes_back_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(dir.path()).unwrap().is_none());
        save(&dir.path().join("new"), &example(1.5), &json!({"epoch": 3})).unwrap();
        let (states, meta) = load(&dir.path().join("new")).unwrap().unwrap();
        assert_eq!(meta, json!({"epoch": 3}));
        for ((name, state), (name_then, then)) in states.iter().zip(example(1.5)) {
            assert_eq!((name, &state.json), (&name_then, &then.json));
            assert_eq!(state.tensors.keys().collect::<Vec<_>>(), then.tensors.keys().collect::<Vec<_>>());
        }
        let bits =
            |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect();
        let bits: Vec<Vec<u32>> = [&states, &example(1.5)].map(|s| bits(&s[0].1.tensors["w"])).into();
        assert_eq!(bits[0], bits[1]);
        assert_eq!(states[0].1.tensors["a/b"].to_vec1::<u32>().unwrap(), [1, u32::MAX]);
    }

    #[test]
    fn the_same_state_gives_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| {
            save(&dir.path().join(name), &example(2.0), &json!(1)).unwrap();
            std::fs::read(dir.path().join(name).join(FILE)).unwrap()
        });
        assert_eq!(a, b);
    }

    #[test]
    fn every_single_damaged_byte_and_every_cut_is_found() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &example(1.5), &json!({"epoch": 3})).unwrap();
        let path = dir.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        let text_at = String::from_utf8_lossy(&whole).find(ENTRY).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            // Spaces that pad the header do not matter.
            assert!(load(dir.path()).is_err() || whole[at] == b' ', "byte {at} of {}, entry at {text_at}", whole.len());
            std::fs::write(&path, &whole[..at]).unwrap();
            let error = load(dir.path()).unwrap_err().to_string();
            assert!(error.contains(FILE) && error.contains("damaged"), "{error}");
        }
    }

    #[test]
    fn an_unfinished_write_leaves_the_old_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &example(1.0), &json!("old")).unwrap();
        // What a kill in the middle of the next save leaves.
        std::fs::write(dir.path().join(".isdarts-0123456789abcdef.tmp"), b"half of it").unwrap();
        assert_eq!(load(dir.path()).unwrap().unwrap().1, json!("old"));
        save(dir.path(), &example(2.0), &json!("new")).unwrap();
        assert_eq!(load(dir.path()).unwrap().unwrap().1, json!("new"));
        files::sweep(dir.path());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let error = save(&dir.path().join("file/sub"), &[], &json!(null)).unwrap_err().to_string();
        assert!(error.starts_with("cannot create ") && error.contains("file/sub"), "{error}");
    }
}
