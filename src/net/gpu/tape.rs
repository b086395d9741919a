//! Tables and buffers on a device, and the launches that use them: what a plan is written with. It uses `ops::gpu`.
//!
//! A plan is made once for a program and a batch size. Everything in it is at a fixed address, so its launches can be one graph. It
//! is written twice: the first time nothing is allocated, and what is learnt is how long each buffer is needed; then all of them
//! have their places in one piece of memory. The emulator has each of them by itself, between its guards.

use super::arena::{ALWAYS, Life, place};
use crate::error::{Error, Result};
use crate::ops::gpu::jobs::{Address, Job, SideBySide};
use crate::ops::gpu::{Gpu, Launch, Memory};
use bytemuck::Pod;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a piece of memory that tables are put into.
const CHUNK: usize = 1 << 20;
/// Tables and buffers begin at multiples of this.
const ALIGNED: usize = 256;

/// Writes launches, and hands out memory for what they use.
pub struct Tape {
    gpu: Arc<dyn Gpu>,
    /// Tables, with what they are to hold.
    tables: Vec<(Memory, Vec<u8>)>,
    buffers: Vec<Memory>,
    room: Room,
    launches: Vec<Launch>,
}

/// Where buffers come from.
enum Room {
    /// Each by itself.
    Apart {
        /// Bytes of buffers that can be used again, and where: what was written before is read by then.
        free: BTreeMap<usize, Vec<Address>>,
        sizes: BTreeMap<Address, usize>,
    },
    /// Nowhere yet: their addresses are numbers from 1.
    Measured { lives: Vec<Life>, now: usize },
    /// All in one, one after the other at these addresses.
    Placed { addresses: std::vec::IntoIter<Address> },
}

/// What a launch is of.
struct Side {
    jobs: Address,
    work: Address,
    blocks: u32,
    shared: u32,
}

impl Tape {
    /// An empty one, with buffers apart.
    pub fn new(gpu: Arc<dyn Gpu>) -> Self {
        Self::of(gpu, Room::Apart { free: BTreeMap::new(), sizes: BTreeMap::new() })
    }

    /// Where the buffers would lie that `write` takes, and the bytes of all.
    pub fn measured<T>(gpu: Arc<dyn Gpu>, write: impl FnOnce(&mut Tape) -> Result<T>) -> Result<(Vec<usize>, usize)> {
        let mut tape = Tape::of(gpu, Room::Measured { lives: vec![], now: 0 });
        write(&mut tape)?;
        match tape.room {
            Room::Measured { lives, .. } => Ok(place(&lives)),
            _ => unreachable!("made above"),
        }
    }

    fn of(gpu: Arc<dyn Gpu>, room: Room) -> Self {
        let (tables, buffers, launches) = Default::default();
        Tape { gpu, tables, buffers, room, launches }
    }

    /// One for what `write` will write into it again: it has all the buffers that this takes.
    pub fn for_all<T>(gpu: Arc<dyn Gpu>, write: impl FnOnce(&mut Tape) -> Result<T>) -> Result<Self> {
        if gpu.guards() {
            return Ok(Tape::new(gpu));
        }
        let (offsets, bytes) = Tape::measured(gpu.clone(), write)?;
        let memory = gpu.alloc("images, gradients and packed weights of a pass", bytes)?;
        let addresses: Vec<Address> = offsets.into_iter().map(|offset| memory.address() + offset as u64).collect();
        let mut tape = Tape::of(gpu, Room::Placed { addresses: addresses.into_iter() });
        tape.buffers.push(memory);
        Ok(tape)
    }

    /// Puts a table on the device; where it stands. An empty one stands nowhere.
    pub fn table<T: Pod>(&mut self, items: &[T]) -> Result<Address> {
        let bytes: &[u8] = bytemuck::cast_slice(items);
        if bytes.is_empty() {
            return Ok(0);
        }
        if let Room::Measured { .. } = self.room {
            return Ok(1);
        }
        let fits = |(memory, held): &(Memory, Vec<u8>)| held.len() + bytes.len() <= memory.len();
        if !self.tables.last().is_some_and(fits) {
            let memory = self.gpu.alloc("tables of jobs", bytes.len().max(CHUNK))?;
            self.tables.push((memory, Vec::new()));
        }
        let Some((memory, held)) = self.tables.last_mut() else { unreachable!("pushed above") };
        let address = memory.address() + held.len() as u64;
        held.extend_from_slice(bytes);
        held.resize(held.len().next_multiple_of(ALIGNED).min(memory.len()), 0);
        Ok(address)
    }

    /// Counters that are zero between launches.
    pub fn counters(&mut self, n: usize) -> Result<Address> {
        self.table(&vec![0i32; n])
    }

    /// A buffer for `what`, of so many bytes; what it holds is arbitrary.
    pub fn take(&mut self, what: &str, bytes: usize) -> Result<Address> {
        let bytes = bytes.next_multiple_of(ALIGNED).max(ALIGNED);
        match &mut self.room {
            Room::Apart { free, sizes } => {
                // The smallest that is large enough, but no giant for a dwarf.
                let found = free.range_mut(bytes..=4 * bytes).find(|(_, list)| !list.is_empty());
                if let Some(address) = found.and_then(|(_, list)| list.pop()) {
                    return Ok(address);
                }
                let memory = self.gpu.alloc(what, bytes)?;
                let address = memory.address();
                sizes.insert(address, bytes);
                self.buffers.push(memory);
                Ok(address)
            }
            Room::Measured { lives, now } => {
                lives.push(Life { bytes, from: *now, until: ALWAYS });
                *now += 1;
                Ok(lives.len() as Address)
            }
            Room::Placed { addresses } => addresses.next().ok_or_else(|| {
                Error::invalid(
                    "plan of a pass",
                    format!("another buffer for {what}"),
                    "those that it was measured with",
                )
            }),
        }
    }

    /// The same, of so many f32.
    pub fn floats(&mut self, what: &str, n: usize) -> Result<Address> {
        self.take(what, 4 * n)
    }

    /// The same, of so many f64.
    pub fn doubles(&mut self, what: &str, n: usize) -> Result<Address> {
        self.take(what, 8 * n)
    }

    /// Launches written after this may use the buffer for something else.
    pub fn give(&mut self, address: Address) {
        match &mut self.room {
            Room::Apart { free, sizes } => {
                if let Some(&bytes) = sizes.get(&address) {
                    free.entry(bytes).or_default().push(address);
                }
            }
            Room::Measured { lives, now } => {
                if let Some(life) = (address as usize).checked_sub(1).and_then(|i| lives.get_mut(i)) {
                    life.until = *now;
                    *now += 1;
                }
            }
            Room::Placed { .. } => {}
        }
    }

    /// Writes one launch of all these jobs side by side; none, no launch.
    pub fn launch<J: Job>(&mut self, jobs: &[J]) -> Result<()> {
        self.launch_as(J::KERNEL, jobs)
    }

    /// The same, of another kernel that takes these jobs.
    pub fn launch_as<J: Job>(&mut self, kernel: &'static str, jobs: &[J]) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let Side { jobs, work, blocks, shared } = self.side(jobs)?;
        self.launches.push(Launch { kernel, jobs, work, blocks, shared });
        Ok(())
    }

    /// Writes both as one launch of `kernel`, which takes [`SideBySide`]; where one is empty, a launch of the other.
    pub fn launch_both<A: Job, B: Job>(&mut self, kernel: &'static str, first: &[A], second: &[B]) -> Result<()> {
        if first.is_empty() || second.is_empty() {
            self.launch(first)?;
            return self.launch(second);
        }
        let (first, second) = (self.side(first)?, self.side(second)?);
        self.launch_as(
            kernel,
            &[SideBySide {
                first: first.jobs,
                first_work: first.work,
                second: second.jobs,
                second_work: second.work,
                n_first: first.blocks as i32,
                blocks: (first.blocks + second.blocks) as i32,
                shared: first.shared.max(second.shared) as i32,
                unused: 0,
            }],
        )
    }

    fn side<J: Job>(&mut self, jobs: &[J]) -> Result<Side> {
        let work: Vec<[i32; 2]> =
            jobs.iter().enumerate().flat_map(|(j, job)| (0..job.blocks()).map(move |b| [j as i32, b as i32])).collect();
        Ok(Side {
            blocks: work.len() as u32,
            shared: jobs.iter().map(|job| job.shared(self.gpu.arithmetic())).max().unwrap_or(0),
            jobs: self.table(jobs)?,
            work: self.table(&work)?,
        })
    }

    /// The launches written since the last call.
    pub fn part(&mut self) -> Vec<Launch> {
        std::mem::take(&mut self.launches)
    }

    /// Brings the tables to the device. The memory stays for as long as what this returns.
    pub fn finish(self) -> Result<Vec<Memory>> {
        for (memory, held) in &self.tables {
            self.gpu.upload(memory.address(), held)?;
        }
        Ok(self.tables.into_iter().map(|(memory, _)| memory).chain(self.buffers).collect())
    }
}
