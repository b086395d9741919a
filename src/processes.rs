//! Child processes of this program, so many at a time. Ctrl-C is passed on to them, and none outlives its parent.

use crate::error::{Error, Result};
use crate::interrupt;
use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Exit code where another process works in the run folder: "try again later" (`EX_TEMPFAIL` of sysexits.h).
pub const IN_USE: i32 = 75;

/// Exit code of work that Ctrl-C ended, as shells have it.
pub const INTERRUPTED: i32 = 130;

/// The variable in which a child finds the number of the process that started it: once that is gone, it ends.
pub const PARENT: &str = "ISDARTS_PARENT";

/// How often the parent looks whether it was interrupted.
const LOOK: Duration = Duration::from_millis(100);

/// How long a folder is left alone that another process works in: one whose parent was killed needs a second to end.
const PAUSE: Duration = Duration::from_secs(2);

/// So often a job is tried again whose folder is in use.
const TRIES: usize = 5;

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With an exit code.
    Code(i32),
    /// Killed, as for want of memory.
    Killed,
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        status.code().map_or(Ended::Killed, Ended::Code)
    }
}

impl Ended {
    /// In words, for a log.
    pub fn shown(self) -> String {
        match self {
            Ended::Code(0) => "finished".into(),
            Ended::Code(INTERRUPTED) => "interrupted".into(),
            Ended::Code(IN_USE) => "another process works on it".into(),
            Ended::Code(code) => format!("failed with exit code {code}"),
            Ended::Killed => "killed".into(),
        }
    }
}

/// A job that waits: which, how often it was tried, and from when on it may begin.
struct Waiting {
    job: usize,
    tries: usize,
    from: Instant,
}

/// Run jobs 0 .. `jobs`, `slots` at a time. `command` makes the command of a job for a slot; `ended` hears how each ended. A job
/// whose folder is in use is tried again a little later.
///
/// # Errors
/// [`Error::Interrupted`] after Ctrl-C, when all children have ended; a command that cannot be started, likewise.
pub fn run(
    jobs: usize,
    slots: usize,
    command: &dyn Fn(usize, usize) -> Result<Command>,
    ended: &mut dyn FnMut(usize, Ended) -> Result<()>,
) -> Result<()> {
    let now = Instant::now();
    let mut waiting: Vec<Waiting> = (0..jobs).rev().map(|job| Waiting { job, tries: 0, from: now }).collect();
    let mut free: Vec<usize> = (0..slots.max(1)).rev().collect();
    let (send, receive) = channel();
    let mut running: Vec<(usize, u32)> = Vec::new();
    let (mut told, mut failure) = (false, None);
    loop {
        let stopping = interrupt::requested() || failure.is_some();
        if stopping && !told {
            running.iter().for_each(|(_, process)| stop(*process));
            told = true;
        }
        while let (false, Some(slot)) = (stopping, free.last().copied()) {
            let Some(at) = waiting.iter().rposition(|job| job.from <= Instant::now()) else { break };
            let Waiting { job, tries, .. } = waiting.remove(at);
            match command(job, slot).and_then(|command| start(command, (job, tries, slot), send.clone())) {
                Ok(process) => running.push((job, process)),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
            free.pop();
        }
        if running.is_empty() && (waiting.is_empty() || interrupt::requested() || failure.is_some()) {
            break;
        }
        let Ok(((job, tries, slot), status)) = receive.recv_timeout(LOOK) else { continue };
        running.retain(|(own, _)| *own != job);
        free.push(slot);
        let end = Ended::from(status);
        if end == Ended::Code(IN_USE) && tries < TRIES && !stopping {
            waiting.insert(0, Waiting { job, tries: tries + 1, from: Instant::now() + PAUSE });
        } else if let Err(error) = ended(job, end) {
            failure.get_or_insert(error);
        }
    }
    failure.map_or_else(interrupt::check, Err)
}

/// A command that reads nothing, and whose output goes to the end of the file `log`.
///
/// # Errors
/// A file that cannot be written.
pub fn logged(program: impl AsRef<OsStr>, log: &Path) -> Result<Command> {
    let file = File::options().create(true).append(true).open(log).map_err(Error::io("write", log))?;
    let other = file.try_clone().map_err(Error::io("write", log))?;
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(file).stderr(other);
    Ok(command)
}

/// What a program of an engine answers to these words. `asked`: what asks for it.
///
/// # Errors
/// No such program; what it says where it fails.
pub fn answer(words: &[String], asked: &str) -> Result<String> {
    let answer = Command::new(&words[0]).args(&words[1..]).output().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            let expected = format!("a machine that has it; there: {}", words.join(" "));
            Error::invalid(asked, format!("no program {}", words[0]), expected)
        }
        _ => Error::io("start", &words[0])(e),
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    match answer.status.success() {
        true => Ok(text(&answer.stdout)),
        false => Err(Error::invalid(words.join(" "), text(&answer.stderr), "a submitted job")),
    }
}

/// What is said of a child when it ends: job, tries, slot; and how.
type Word = ((usize, usize, usize), ExitStatus);

/// Start a child; a thread waits for its end. Its process number.
fn start(mut command: Command, job: (usize, usize, usize), tell: Sender<Word>) -> Result<u32> {
    command.env(PARENT, std::process::id().to_string());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // Ctrl-C at the terminal is for the parent, which passes it on.
        command.process_group(0);
    }
    let program = command.get_program().to_os_string();
    let mut child: Child = command.spawn().map_err(Error::io("start", program))?;
    let process = child.id();
    std::thread::spawn(move || {
        // Nobody else waits for it.
        if let Ok(status) = child.wait() {
            tell.send((job, status)).ok();
        }
    });
    Ok(process)
}

/// Ask a child to stop.
fn stop(process: u32) {
    #[cfg(unix)]
    {
        use nix::sys::signal::{Signal, kill};
        if let Ok(process) = process.try_into() {
            // It may have ended by itself.
            kill(nix::unistd::Pid::from_raw(process), Signal::SIGTERM).ok();
        }
    }
    #[cfg(not(unix))]
    let _ = process;
}

/// Call `gone` from a thread once the process that started this one, if it said so, has ended.
pub fn watch_parent(gone: impl FnOnce() + Send + 'static) {
    #[cfg(unix)]
    {
        let parent = std::env::var(PARENT).ok().and_then(|text| text.parse::<u32>().ok());
        let Some(parent) = parent else { return };
        std::thread::spawn(move || {
            while std::os::unix::process::parent_id() == parent {
                std::thread::sleep(Duration::from_millis(250));
            }
            gone();
        });
    }
    #[cfg(not(unix))]
    drop(gone);
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn shell(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }

    #[test]
    fn each_job_runs_once_in_a_free_slot_and_its_end_is_told() {
        let (slots, mut ends) = (RefCell::new(Vec::new()), Vec::new());
        let command = |job: usize, slot: usize| {
            slots.borrow_mut().push(slot);
            Ok(shell(if job == 3 {
                "kill -9 $$"
            } else if job == 4 {
                "exit 3"
            } else {
                "sleep 0.05"
            }))
        };
        let mut told = |job, end| {
            ends.push((job, end));
            Ok(())
        };
        run(6, 2, &command, &mut told).unwrap();
        ends.sort_by_key(|(job, _)| *job);
        let expected = [0, 0, 0, -1, 3, 0].map(|code| if code < 0 { Ended::Killed } else { Ended::Code(code) });
        assert_eq!(ends, expected.into_iter().enumerate().collect::<Vec<_>>());
        assert!(slots.borrow().iter().all(|slot| *slot < 2) && slots.borrow().len() == 6);
    }

    #[test]
    fn a_command_that_cannot_be_started_ends_all_with_its_name() {
        let error = run(2, 1, &|_, _| Ok(Command::new("/no/such/program")), &mut |_, _| Ok(())).unwrap_err();
        assert!(error.to_string().contains("cannot start /no/such/program"), "{error}");
    }
}
