//! `for epoch in epochs(n)`: the loop that saves after every turn, and starts where a resumed run stopped.
//!
//! Loops are numbered in the order in which they start; loop k saves to `checkpoint/loop-00k`. A resumed run walks
//! through the script from its top: a loop that was finished takes its end state back and yields nothing, one that was
//! under way takes its last state back and yields what is left. The checkpoint saved last (largest `serial`) ends the
//! walk: from there on logs are written again. A turn left by `break` is not saved: resuming repeats it, and breaks again.

use super::loops::get;
use super::manifest;
use super::random::Stream;
use super::shared::Run;
use crate::error::{Error, Result};
use crate::files;
use crate::host::script::errors::{Fallible, raise};
use crate::interrupt;
use crate::search::run_folder::CHECKPOINTS;
use crate::search::{State, checkpoint};
use rhai::INT;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::rc::Rc;

fn folder_of(host: &Run, number: usize) -> Option<PathBuf> {
    host.folder.borrow().as_ref().map(|f| f.path().join(CHECKPOINTS).join(format!("loop-{number:03}")))
}

/// `epochs(n)`: 1, 2, ..., n.
#[derive(Clone)]
pub struct Epochs {
    /// Shared by all.
    pub host: Rc<Run>,
    /// The last epoch.
    pub n: usize,
}

impl IntoIterator for Epochs {
    type Item = Fallible<INT>;
    type IntoIter = Turns;

    fn into_iter(self) -> Turns {
        Turns { host: self.host, n: self.n, number: 0, depth: 0, known: Vec::new(), place: Place::Before }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Before,
    In(usize),
    Over,
}

/// A loop under way.
pub struct Turns {
    host: Rc<Run>,
    n: usize,
    number: usize,
    depth: usize,
    known: Vec<u64>,
    place: Place,
}

impl Iterator for Turns {
    type Item = Fallible<INT>;

    fn next(&mut self) -> Option<Self::Item> {
        let turn = match self.place {
            Place::Over => return None,
            Place::Before => self.start(),
            Place::In(epoch) => self.end(epoch).map(|()| epoch + 1),
        };
        let turn = turn.and_then(|epoch| interrupt::check().map(|()| epoch));
        match turn {
            Ok(epoch) if epoch <= self.n => {
                self.place = Place::In(epoch);
                self.host.loops.borrow_mut().owner = Some(self.number);
                self.host.live.learners().iter().for_each(|(_, learner)| learner.borrow_mut().begin_epoch(epoch));
                Some(Ok(epoch as INT))
            }
            Ok(_) => {
                self.place = Place::Over;
                None
            }
            Err(error) => {
                self.place = Place::Over;
                Some(Err(raise(error)))
            }
        }
    }
}

impl Turns {
    /// Number the loop, take a saved state back; the first epoch to do.
    fn start(&mut self) -> Result<usize> {
        self.host.settings.end_of_probe()?;
        let saved = {
            let mut loops = self.host.loops.borrow_mut();
            self.number = loops.started;
            loops.started += 1;
            self.depth = loops.open.len();
            loops.open.push(self.number);
            if loops.replaying() { loops.saved.remove(&self.number) } else { None }
        };
        self.known = self.host.live.ids();
        match saved {
            Some((states, meta)) => self.restore(states, &meta),
            None => Ok(1),
        }
    }

    fn restore(&self, states: Vec<(String, State)>, meta: &Value) -> Result<usize> {
        let host = &self.host;
        if get(meta, "epochs")? != self.n as u64 {
            return Err(self.changed(format!("epochs({})", self.n)));
        }
        for (name, state) in states {
            let (id, kind) = name.split_once(' ').ok_or_else(|| self.changed(format!("a value named `{name}`")))?;
            let id = id.parse().map_err(|_| self.changed(format!("a value named `{name}`")))?;
            if !host.live.restore(id, kind, state)? {
                return Err(self.changed(format!("no {kind} (value {id}) before the loop")));
            }
        }
        *host.stream.borrow_mut() = Stream::from_json(&meta["stream"])?;
        host.live.set_made(get(meta, "made")?);
        host.clock.go_on(
            meta["seconds"]
                .as_f64()
                .ok_or_else(|| Error::invalid("checkpoint, `seconds`", &meta["seconds"], "a number"))?,
            meta["cpu_seconds"].as_f64(),
        );
        let mut loops = host.loops.borrow_mut();
        loops.started = get(meta, "started")? as usize;
        loops.owner = Some(self.number);
        if loops.last == Some(self.number) {
            loops.last = None;
            loops.saved.clear();
            if let Some(folder) = host.folder.borrow_mut().as_mut() {
                folder.restore_logs(&meta["logs"])?;
            }
            // One of before there were results has none: those that the walk found stand.
            if !meta["results"].is_null() {
                host.results.restore(&meta["results"])?;
            }
        }
        let epoch = get(meta, "epoch")? as usize;
        if !loops.replaying() && epoch < self.n {
            host.note(&format!("resumed after epoch {epoch} of {}", self.n));
        }
        Ok(epoch + 1)
    }

    fn changed(&self, got: String) -> Error {
        Error::invalid(format!("resuming loop {}", self.number), got, "the script and settings that the run began with")
    }

    /// A turn is over: log and save it.
    fn end(&mut self, epoch: usize) -> Result<()> {
        let host = &self.host;
        if host.loops.borrow().replaying() {
            return Err(self.changed(format!("a loop that went on after turn {epoch}, where it had been left")));
        }
        self.host.settle();
        self.log(epoch)?;
        for (_, learner) in host.live.learners() {
            learner.borrow_mut().leave_epoch();
            let learner = learner.borrow();
            learner.trace.weights(&learner.net)?;
        }
        let Some(folder) = folder_of(host, self.number) else { return Ok(()) };
        let states = host.live.states()?;
        if let Some((_, kind, _)) = states.iter().find(|(id, _, _)| !self.known.contains(id)) {
            return Err(Error::invalid(
                "epochs loop",
                format!("a {kind} made inside the loop that outlives its turn"),
                "state that lives across turns to be made before the loop, so that it can be saved and resumed",
            ));
        }
        let states: Vec<(String, State)> =
            states.into_iter().map(|(id, kind, state)| (format!("{id} {kind}"), state)).collect();
        let mut loops = host.loops.borrow_mut();
        loops.serial += 1;
        let logs = host.folder.borrow().as_ref().map(|f| f.log_state()).transpose()?;
        let meta = json!({
            "run": host.origin.id,
            "made_of": host.origin.made_of()?,
            "epoch": epoch,
            "epochs": self.n,
            "serial": loops.serial,
            "started": loops.started,
            "made": host.live.made(),
            "seconds": host.clock.seconds(),
            "cpu_seconds": host.clock.cpu_seconds(),
            "stream": host.stream.borrow().to_json()?,
            "logs": logs,
            "results": host.results.state(),
        });
        if let Some(run) = host.folder.borrow().as_ref() {
            files::folder_below(run.path(), folder.strip_prefix(run.path()).unwrap_or(&folder))?;
        }
        checkpoint::save(&folder, &states, &meta)?;
        manifest::under_way(host)?;
        self.forget_inner_loops(loops.started);
        Ok(())
    }

    /// Loops that ran inside the turn just saved will not be entered again.
    fn forget_inner_loops(&self, started: usize) {
        for number in self.number + 1..started {
            if let Some(folder) = folder_of(&self.host, number) {
                // what stays behind on an error is never read: its number is below `started`
                std::fs::remove_dir_all(folder).ok();
            }
        }
    }

    /// A row for every learner that was trained in this turn (and not in a loop inside it, which has its own rows).
    fn log(&self, epoch: usize) -> Result<()> {
        if self.host.loops.borrow().owner != Some(self.number) {
            return Ok(());
        }
        for (net, (_, learner)) in self.host.live.learners().iter().enumerate() {
            let stats = learner.borrow().stats();
            if stats.images > 0 {
                if net == 0 {
                    self.host.curve.borrow_mut().push([stats.loss, stats.accuracy]);
                }
                self.host.log_settings()?;
                let (learner, host) = (learner.borrow(), &self.host);
                host.logs(|folder, label| folder.log_epoch(label, epoch, net, &stats))?;
                let (space, mask) = (learner.net.space(), learner.net.mask());
                host.logs(|folder, label| folder.log_alive(label, epoch, net, space, mask))?;
            }
        }
        Ok(())
    }
}

impl Drop for Turns {
    /// The loop was left by `break`, `return`, or an error.
    fn drop(&mut self) {
        if let Place::In(epoch) = self.place {
            // best effort: there is nobody to tell
            self.log(epoch).ok();
            for (_, learner) in self.host.live.learners() {
                // One that is borrowed is in use.
                learner.try_borrow_mut().map(|mut learner| learner.leave_epoch()).ok();
            }
        }
        if self.place != Place::Before {
            self.host.loops.borrow_mut().open.truncate(self.depth);
        }
    }
}
