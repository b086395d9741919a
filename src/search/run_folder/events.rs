//! Points and texts for TensorBoard: an event file, which is records of `Event` messages (tensorflow/core/util/event.proto,
//! summary.proto), each between its length and sums (tensorflow/core/lib/io/record_writer.cc).

use super::log::Log;
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// An event file. Of each tag steps only grow: readers drop a point whose step does not.
pub(super) struct Events {
    log: Log,
    /// The last step of each tag.
    steps: Map<String, Value>,
}

impl Events {
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        Ok(Events { log: Log::open(path, &[])?, steps: Map::new() })
    }

    /// Points of tags at a step, or at the next one of the tag where that is past.
    pub(super) fn scalars(&mut self, step: usize, points: &[(String, f64)]) -> Result<()> {
        let values = |events: &mut Self| -> Vec<u8> {
            let point = |(tag, value): &(String, f64)| {
                let mut simple = text(1, tag);
                simple.push(2 << 3 | 5);
                simple.extend((*value as f32).to_le_bytes());
                (events.next(tag, step), simple)
            };
            points
                .iter()
                .map(point)
                .flat_map(|(step, value)| record(&event(step, &message(5, &message(1, &value)))))
                .collect()
        };
        self.write(values)
    }

    /// A text, as Markdown.
    pub(super) fn text(&mut self, step: usize, tag: &str, markdown: &str) -> Result<()> {
        self.write(|events| {
            let plugin = message(9, &message(1, &text(1, "text")));
            let shape = message(2, &message(2, &number(1, 1)));
            // A tensor of one string (DT_STRING).
            let tensor = message(8, &[number(1, 7), shape, text(8, markdown)].concat());
            let value = message(1, &[text(1, tag), plugin, tensor].concat());
            record(&event(events.next(tag, step), &message(5, &value)))
        })
    }

    /// Whether something was written under `tag`.
    pub(super) fn has(&self, tag: &str) -> bool {
        self.steps.contains_key(tag)
    }

    fn next(&mut self, tag: &str, step: usize) -> usize {
        let last = self.steps.get(tag).and_then(Value::as_u64);
        let step = last.map_or(step, |last| step.max(last as usize + 1));
        self.steps.insert(tag.to_string(), step.into());
        step
    }

    fn write(&mut self, records: impl FnOnce(&mut Self) -> Vec<u8>) -> Result<()> {
        let head = if self.log.is_empty() { record(&event(0, &text(3, "brain.Event:2"))) } else { vec![] };
        let records = records(self);
        self.log.grow(&[head, records].concat())
    }

    /// Length, sum and steps for the checkpoint.
    pub(super) fn state(&self) -> Result<Value> {
        let mut state = self.log.state()?;
        state["steps"] = json!(self.steps);
        Ok(state)
    }

    /// Cut back to what it was at a checkpoint (`null`: to nothing): what came after will be written again.
    pub(super) fn restore(&mut self, state: &Value) -> Result<()> {
        self.log.restore(state)?;
        let bad = |e| Error::invalid("event file in the checkpoint", e, "steps by tag");
        self.steps = match state {
            Value::Null => Map::new(),
            _ => serde_json::from_value(state["steps"].clone()).map_err(bad)?,
        };
        Ok(())
    }

    pub(super) fn check(&self) -> Result<()> {
        self.log.check()
    }
}

/// An `Event` now: wall_time = 1, step = 2, and what is given.
fn event(step: usize, what: &[u8]) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
    let mut bytes = vec![1 << 3 | 1];
    bytes.extend(now.to_le_bytes());
    [bytes, number(2, step as u64), what.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = vec![];
    while value > 127 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn number(field: u8, value: u64) -> Vec<u8> {
    [vec![field << 3], varint(value)].concat()
}

fn message(field: u8, inside: &[u8]) -> Vec<u8> {
    [vec![field << 3 | 2], varint(inside.len() as u64), inside.to_vec()].concat()
}

fn text(field: u8, text: &str) -> Vec<u8> {
    message(field, text.as_bytes())
}

/// Length, its sum, the bytes, their sum.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), bytes, &masked(bytes).to_le_bytes()].concat()
}

/// CRC-32C, rotated, and a constant more, as records have it.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit from the lowest.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let (mut value, mut bit) = (i as u32, 0);
            while bit < 8 {
                value = value >> 1 ^ if value & 1 == 1 { 0x82f6_3b78 } else { 0 };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |sum, byte| TABLE[(sum as u8 ^ byte) as usize] ^ sum >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_standard_and_of_tensorflow() {
        // RFC 3720, B.4, and the check value of the catalogue of CRCs.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        // The head of every file that TensorFlow writes with a first event of 24 bytes.
        assert_eq!(masked(&24u64.to_le_bytes()).to_le_bytes(), [0xa3, 0x7f, 0x4b, 0x22]);
    }

    #[test]
    fn numbers_are_written_in_groups_of_seven_bits() {
        for (value, bytes) in [(0, &[0][..]), (127, &[127]), (128, &[128, 1]), (300, &[172, 2])] {
            assert_eq!(varint(value), bytes);
        }
    }

    #[test]
    fn a_file_that_is_cut_back_grows_to_the_same_steps_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = Events::open(dir.path().join("e")).unwrap();
        events.scalars(1, &[("a".into(), 0.5), ("b".into(), 1.0)]).unwrap();
        events.scalars(1, &[("a".into(), 0.25)]).unwrap();
        let state = events.state().unwrap();
        assert_eq!(state["steps"], json!({"a": 2, "b": 1}));
        let whole = |events: &mut Events| {
            events.text(3, "t", "*x*").unwrap();
            std::fs::read(dir.path().join("e")).unwrap().len()
        };
        let once = whole(&mut events);
        events.restore(&state).unwrap();
        assert!(!events.has("t"));
        assert_eq!(whole(&mut events), once);
        assert_eq!(events.state().unwrap()["steps"], json!({"a": 2, "b": 1, "t": 3}));
    }
}
