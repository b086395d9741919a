//! The completion script for a shell: the words of the command line, and what can stand behind an option or in the place of a
//! name as far as the program knows it.

use super::args::Args;
use super::manual::NAME;
use super::print;
use clap::builder::PossibleValuesParser;
use clap::{CommandFactory, ValueHint};
use clap_complete::Shell;
use isdarts_host::Result;
use isdarts_host::data::{download, formats};
use isdarts_host::host::{self, bundled};
use isdarts_host::space::literature::LITERATURE;
use isdarts_host::space::{Family, SearchSpace};

/// `completions`: the script for a shell.
pub fn completions(shell: Shell) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut with_values()?, NAME, &mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    print(&if shell == Shell::Bash { mended(&text) } else { text })
}

/// clap_complete 4.6 writes a name with a hyphen in two ways, so that no subcommand of it is found (clap issue 6421).
fn mended(bash: &str) -> String {
    bash.replace(&NAME.replace('-', "__subcmd__"), &NAME.replace('-', "__"))
}

/// The command line with the values that are known. It is for writing completions only: what it lists is not all that there may be.
fn with_values() -> Result<clap::Command> {
    let sets: Vec<String> = formats::FORMATS.iter().map(|format| format.name.to_string()).collect();
    let keys = host::setting_names().iter().map(|key| format!("{key}=")).collect();
    let devices: Vec<String> = ["cpu", "cuda", "auto"].map(String::from).to_vec();
    let cells = LITERATURE.iter().map(|published| published.name.to_string()).collect();
    let scripts: Vec<String> = bundled::SCRIPTS.iter().map(|(name, _)| name.to_string()).collect();
    let values = |id: &'static str, values: Vec<String>| {
        // clap keeps texts that last; the program writes one such script and ends.
        let values = values.into_iter().map(|value| -> &'static str { value.leak() });
        move |command: clap::Command| command.mut_arg(id, |arg| arg.value_parser(PossibleValuesParser::new(values)))
    };
    let command = Args::command()
        .mut_arg("sets", |arg| arg.value_hint(ValueHint::Other))
        .mut_subcommand("scripts", values("name", scripts.clone()))
        .mut_subcommand("doc", values("name", host::manual_names()?))
        .mut_subcommand("data", |command| {
            let data = || values("data", sets.clone());
            let get = values("name", download::names().map(String::from).collect());
            command.mut_subcommand("info", data()).mut_subcommand("check", data()).mut_subcommand("get", get)
        })
        .mut_subcommand("bench", |command| {
            let spaces = SearchSpace::NAMES.map(String::from).to_vec();
            let networks = Family::NAMES.map(|(name, _)| name.to_string()).to_vec();
            let step = |c| values("device", devices.clone())(values("space", spaces)(c));
            let train =
                |c| values("device", devices.clone())(values("genotype", cells)(values("network", networks)(c)));
            command.mut_subcommand("step", step).mut_subcommand("train", train)
        })
        .mut_subcommand("predict", values("device", devices.clone()));
    let top = [("sets", keys), ("data", sets.clone()), ("device", devices.clone()), ("script", scripts)];
    Ok(top.into_iter().fold(command, |command, (id, names)| values(id, names)(command)))
}
