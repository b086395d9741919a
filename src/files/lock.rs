//! One process at a time in a folder.
//!
//! The operating system holds the lock as long as the process lives, so that a killed one leaves none behind; what stands in
//! the file says who it is. The file of a process on another machine counts as held as long as it says so: not every network
//! file system tells machines of each other's locks. Where Slurm, which runs a job once at a time, began the same job again,
//! that process is gone, as when its machine went down.

use super::place::open_plain;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

/// A lock that this process holds; dropping it lets go.
#[derive(Debug)]
pub struct Lock(File);

/// Who has a lock, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// No process that lives.
    Nobody,
    /// A process of this machine.
    Here,
    /// A process of another machine, by its name and number there; whether it lives cannot be seen from here.
    Elsewhere(String, u32),
}

/// How often, and how long in between, a lock is tried for that somebody has only to look at it, or to write his name.
const TRIES: (usize, Duration) = (10, Duration::from_millis(20));

/// Who wrote a lock.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    host: String,
    process: u32,
    job: Option<Job>,
}

/// A job of Slurm, which runs it once at a time, and begins it again, under the same name, when it was lost.
#[derive(Debug, PartialEq, Eq)]
struct Job {
    name: String,
    /// Grows with each beginning.
    start: u32,
}

impl Job {
    /// The job that this process belongs to, by its variables: a task of an array has a number of its own.
    fn from(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let word = |name: &str| variable(name).filter(|value| value.split_whitespace().count() == 1);
        let (cluster, job) = (word("SLURM_CLUSTER_NAME").unwrap_or_default(), word("SLURM_JOB_ID")?);
        let start = word("SLURM_RESTART_COUNT").and_then(|start| start.parse().ok()).unwrap_or(0);
        Some(Job { name: format!("slurm:{cluster}:{job}"), start })
    }

    /// Whether Slurm began this after it had lost `other`.
    fn follows(&self, other: &Job) -> bool {
        self.name == other.name && self.start > other.start
    }
}

impl Owner {
    fn this() -> Self {
        let job = Job::from(|name| std::env::var(name).ok());
        Owner { host: host_name(), process: std::process::id(), job }
    }

    /// `host NAME process N`, and `job NAME start N` behind it in a job of Slurm; nothing if that is not what stands
    /// there, as after an orderly end.
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let ["host", host, "process", process, ref job @ ..] = words[..] else { return None };
        let job = match *job {
            [] => None,
            ["job", name, "start", start] => Some(Job { name: name.into(), start: start.parse().ok()? }),
            _ => return None,
        };
        Some(Owner { host: host.into(), process: process.parse().ok()?, job })
    }

    fn text(&self) -> String {
        let job = self.job.as_ref().map(|job| format!(" job {} start {}", job.name, job.start)).unwrap_or_default();
        format!("host {} process {}{job}\n", self.host, self.process)
    }

    /// Whether `self`, on another machine, is what Slurm lost before it began `this`.
    fn was_lost_before(&self, this: &Owner) -> bool {
        self.job.as_ref().zip(this.job.as_ref()).is_some_and(|(lost, now)| now.follows(lost))
    }
}

impl Lock {
    /// Take the lock `path`.
    ///
    /// # Errors
    /// [`Error::InUse`] while another process has it; a file that cannot be made or is a link.
    pub fn take(path: &Path) -> Result<Self> {
        let this = Owner::this();
        let once = || -> Result<_> {
            let file = open_plain(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
            // Of a file that is no text there is no owner to read.
            Ok((file.try_lock(), text_of(path).and_then(|text| Owner::parse(&text)), file))
        };
        let (mut taken, mut owner, mut file) = once()?;
        for _ in 0..TRIES.0 {
            // A file that was removed until it was locked is no lock.
            let passing = match &taken {
                Ok(()) => !is_at(&file, path),
                Err(TryLockError::WouldBlock) => {
                    owner.as_ref().is_none_or(|owner| owner.host == this.host && !lives(owner.process))
                }
                Err(TryLockError::Error(_)) => false,
            };
            if !passing {
                break;
            }
            std::thread::sleep(TRIES.1);
            (taken, owner, file) = once()?;
        }
        let far = owner.as_ref().is_some_and(|owner| owner.host != this.host && !owner.was_lost_before(&this));
        let held = match &taken {
            Ok(()) => far,
            Err(TryLockError::WouldBlock) => true,
            // A file system without locks: all there is to go by is what stands in the file.
            Err(TryLockError::Error(_)) => far || owner.as_ref().is_some_and(|owner| lives(owner.process)),
        };
        if held {
            return Err(in_use(path, owner, taken.is_ok()));
        }
        let lock = Lock(file);
        lock.write(&this.text()).map_err(Error::io("write", path))?;
        Ok(lock)
    }

    /// Who has the lock `path`. Nothing is written there.
    pub fn holder(path: &Path) -> Holder {
        let Some(owner) = text_of(path).and_then(|text| Owner::parse(&text)) else { return Holder::Nobody };
        if owner.host != host_name() {
            return Holder::Elsewhere(owner.host, owner.process);
        }
        let tried = open_plain(path, OpenOptions::new().read(true)).ok().map(|file| file.try_lock_shared());
        match tried {
            None | Some(Ok(())) => Holder::Nobody,
            Some(Err(TryLockError::WouldBlock)) => Holder::Here,
            Some(Err(TryLockError::Error(_))) if lives(owner.process) => Holder::Here,
            Some(Err(TryLockError::Error(_))) => Holder::Nobody,
        }
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        let mut file = &self.0;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(text.as_bytes())
    }

    /// Whether `path` is a lock, held or not, and no file of somebody else's.
    pub fn is_one(path: &Path) -> bool {
        text_of(path).is_some_and(|text| text.is_empty() || Owner::parse(&text).is_some())
    }

    /// Whether this process holds `path`, by what stands in it.
    pub fn is_of_this_process(path: &Path) -> bool {
        text_of(path).and_then(|text| Owner::parse(&text)) == Some(Owner::this())
    }

    /// Let go of a lock of this process from another thread, when the process ends without ceremony.
    pub fn abandon(path: &Path) {
        if Self::is_of_this_process(path)
            && let Ok(file) = open_plain(path, OpenOptions::new().write(true))
        {
            // What stays says a process that is gone.
            file.set_len(0).ok();
        }
    }
}

impl Drop for Lock {
    /// The file stays: another process may have it open already, and wait to lock it.
    fn drop(&mut self) {
        // What stays says a process that is gone.
        self.write("").ok();
        self.0.unlock().ok();
    }
}

fn in_use(path: &Path, owner: Option<Owner>, far: bool) -> Error {
    let folder = path.parent().unwrap_or(path).to_path_buf();
    let by = owner.as_ref().map_or("another process".into(), |o| format!("process {} on {}", o.process, o.host));
    let advice = match owner.filter(|_| far) {
        None => "wait for it to end, or end it".into(),
        // Only there it can be seen whether it lives.
        Some(Owner { host, process, .. }) => format!(
            "look on {host} (ps -p {process}); if it runs there no more, as after a crash, remove its lock (rm '{}') and try again",
            path.display()
        ),
    };
    Error::InUse { folder, by, advice }
}

fn text_of(path: &Path) -> Option<String> {
    let (file, mut text) = (open_plain(path, OpenOptions::new().read(true)).ok()?, String::new());
    file.take(1024).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Whether `file` is what stands at `path` now.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (own, there) = (file.metadata(), std::fs::symlink_metadata(path));
        own.ok().zip(there.ok()).is_some_and(|(own, there)| own.dev() == there.dev() && own.ino() == there.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

/// The name of this machine, in one word.
pub fn host_name() -> String {
    #[cfg(unix)]
    let name = nix::unistd::gethostname().ok().map(|name| name.to_string_lossy().into_owned());
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").ok();
    let name = name.unwrap_or_default().split_whitespace().collect::<String>();
    if name.is_empty() { "localhost".into() } else { name }
}

/// Whether a process of this machine lives.
fn lives(process: u32) -> bool {
    #[cfg(unix)]
    {
        use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
        let answer = kill(Pid::from_raw(process.try_into().unwrap_or(0)), None);
        process != 0 && answer != Err(Errno::ESRCH)
    }
    #[cfg(not(unix))]
    {
        process != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_says_by_whom() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = Lock::take(&path).unwrap();
        assert_eq!(Lock::holder(&path), Holder::Here);
        let error = Lock::take(&path).unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{error}");
        assert!(error.to_string().contains(&format!("process {} on {}", std::process::id(), host_name())), "{error}");
        drop(lock);
        assert_eq!(Lock::holder(&path), Holder::Nobody);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        Lock::take(&path).unwrap();
    }

    #[test]
    fn a_lock_whose_process_is_gone_is_taken_and_one_of_another_machine_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        for stale in [format!("host {} process 999999999\n", host_name()), "\u{fffd}".into(), String::new()] {
            std::fs::write(&path, stale).unwrap();
            assert_eq!(Lock::holder(&path), Holder::Nobody);
            Lock::take(&path).unwrap();
        }
        std::fs::write(&path, "host far.example process 1\n").unwrap();
        assert_eq!(Lock::holder(&path), Holder::Elsewhere("far.example".into(), 1));
        let error = Lock::take(&path).unwrap_err().to_string();
        for part in ["process 1 on far.example", "look on far.example (ps -p 1)", "lock') and try again"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "host far.example process 1\n");
        std::fs::remove_file(&path).unwrap();
        Lock::take(&path).unwrap();
    }

    #[test]
    fn a_job_that_slurm_began_again_has_lost_the_process_before_it() {
        let slurm = |job: &str, restarts: &str| {
            let owned = [("SLURM_JOB_ID", job.to_string()), ("SLURM_RESTART_COUNT", restarts.to_string())];
            let job = Job::from(|name| owned.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()));
            Owner { host: "far".into(), process: 1, job }
        };
        let lost = slurm("7", "");
        assert_eq!(lost.text(), "host far process 1 job slurm::7 start 0\n");
        assert_eq!(Owner::parse(&lost.text()).as_ref(), Some(&lost));
        let outside = Owner { host: "far".into(), process: 1, job: None };
        for (this, follows) in [
            (slurm("7", "1"), true),
            (slurm("7", "0"), false),
            (slurm("8", "1"), false),
            (slurm("7 8", "1"), false),
            (outside, false),
        ] {
            assert_eq!(lost.was_lost_before(&this), follows, "{this:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_link_in_place_of_the_lock_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("precious"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("precious"), dir.path().join("lock")).unwrap();
        assert!(Lock::take(&dir.path().join("lock")).is_err());
        assert_eq!(std::fs::read_to_string(dir.path().join("precious")).unwrap(), "x");
    }
}
