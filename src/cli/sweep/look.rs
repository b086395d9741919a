//! How far a sweep is, and what it came to.

use super::args::{self, Format};
use crate::cli::{interrupts, print};
use isdarts_host::sweep::Folder;
use isdarts_host::sweep::status::{self, Standing, State};
use isdarts_host::sweep::table::{self, Asked, Table};
use isdarts_host::{Result, interrupt, streams};
use std::path::Path;
use std::time::Duration;

/// How often a live table is drawn anew.
const TURN: Duration = Duration::from_secs(1);

/// The size of a terminal nobody knows the size of.
const SIZE: (usize, usize) = (80, 24);

/// Print how each point stands; on a terminal again and again, until nothing can change by itself or Ctrl-C.
pub fn status(out: &Path, all: bool, once: bool) -> Result<()> {
    let live = !once && streams::stdout_width().is_some();
    if !live {
        let standings = status::standings(&Folder::open(out)?);
        let lines = status::lines(&chosen(&standings, all), None);
        return print(&[vec![status::summary(&standings)], lines].concat().join("\n"));
    }
    interrupts::install_for_children();
    loop {
        let standings = status::standings(&Folder::open(out)?);
        let (width, height) = terminal_size::terminal_size().map_or(SIZE, |(w, h)| (w.0.into(), h.0.into()));
        let chosen = chosen(&standings, all);
        let mut lines = status::lines(&chosen, Some(width));
        let room = height.saturating_sub(4).max(1);
        if lines.len() > room {
            let hidden = lines.len() - room;
            lines.truncate(room);
            lines.push(format!("        and {hidden} more (--once shows all)"));
        }
        let done = standings.iter().all(|s| matches!(s.state, State::Finished | State::Failed));
        let foot = if done { "" } else { "\nCtrl-C ends this view; the runs go on" };
        // Home, and clear what stood there.
        let lines: Vec<String> = lines.iter().map(|line| streams::name(line)).collect();
        let text = [vec![status::summary(&standings)], lines].concat().join("\n");
        streams::draw(&format!("\x1b[H\x1b[2J{text}{foot}"))?;
        if done || interrupt::requested() {
            return Ok(());
        }
        std::thread::sleep(TURN);
        if interrupt::requested() {
            return Ok(());
        }
    }
}

/// The points that are shown: those that are neither done nor wait, or all.
fn chosen(standings: &[Standing], all: bool) -> Vec<&Standing> {
    standings.iter().filter(|s| all || !matches!(s.state, State::Finished | State::Waiting)).collect()
}

/// Print the table of what is finished.
pub fn table(args: &args::Table) -> Result<()> {
    let folder = Folder::open(&args.out)?;
    let standings = status::standings(&folder);
    let asked = Asked { by: args.by.clone(), columns: args.columns.clone(), runs: args.runs };
    let table = Table::of(&folder, &standings, &asked)?;
    let missing = standings.iter().filter(|s| s.state != State::Finished).count();
    if missing > 0 {
        streams::say(&format!("{missing} of {} runs are not finished", standings.len()));
    }
    print(&table.text(match args.format {
        Format::Text => table::Format::Text(streams::stdout_width()),
        Format::Markdown => table::Format::Markdown,
        Format::Csv => table::Format::Csv,
        Format::Latex => table::Format::Latex,
    })?)
}
