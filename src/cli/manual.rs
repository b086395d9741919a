//! What the program says of itself: the script manual, man pages.

use super::args::{Args, Format};
use super::print;
use clap::CommandFactory;
use clap_mangen::Man;
use isdarts_host::{Error, Result, files, host};
use std::path::Path;

/// The name that completions and pages are for.
pub const NAME: &str = "isdarts-host";

/// `doc`: an entry, or all.
pub fn doc(name: Option<&str>, format: Format, out: &Path) -> Result<()> {
    match format {
        Format::Text => print(&host::documentation(name)?),
        Format::Markdown => print(&host::markdown(name)?),
        Format::Definitions if name.is_some() => {
            Err(Error::invalid("doc --format definitions", "a name", "none: the files describe everything"))
        }
        Format::Definitions => {
            let paths = host::write_definitions(out)?;
            print(&paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// `man`: the page of the program, or files of it and of every subcommand.
pub fn man(out: Option<&Path>) -> Result<()> {
    let mut command = Args::command().name(NAME);
    command.build();
    let Some(folder) = out else { return print(&page(&command)?) };
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let write = |command: &clap::Command, name: &str| {
        let path = folder.join(format!("{name}.1"));
        files::write(&path, page(command)?.as_bytes())?;
        print(&path.display().to_string())
    };
    write(&command, NAME)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        write(sub, &format!("{NAME}-{}", sub.get_name()))?;
    }
    Ok(())
}

fn page(command: &clap::Command) -> Result<String> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text).map_err(Error::io("write", "the man page"))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
