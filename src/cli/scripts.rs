//! The scripts inside the binary: listed, printed, copied out; and what a word that is no script and no command may have meant.

use super::args::Args;
use super::print;
use clap::CommandFactory;
use isdarts_host::host::bundled;
use isdarts_host::search::RunFolder;
use isdarts_host::{Error, Result, files};
use std::path::{Path, PathBuf};

/// `scripts`: a line each, or the text of one; with `out`, files in that folder.
pub fn scripts(name: Option<&str>, out: Option<&Path>) -> Result<()> {
    let one = |name: &str| match bundled::find(name) {
        Some((name, text)) => Ok((name, text)),
        None => Err(Error::unknown_name("script", name, bundled::SCRIPTS.iter().map(|(name, _)| *name))),
    };
    let chosen = name.map(one).transpose()?;
    let Some(folder) = out else {
        return match chosen {
            Some((_, text)) => print(text),
            None => print(&list()),
        };
    };
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let chosen: Vec<(&str, &str)> = chosen.map_or_else(|| bundled::SCRIPTS.to_vec(), |one| vec![one]);
    let paths: Vec<_> = chosen.iter().map(|(name, _)| folder.join(format!("{name}.rhai"))).collect();
    if let Some(there) = paths.iter().find(|path| path.exists()) {
        return Err(Error::file(
            there,
            "a file that is there already",
            "a folder without it: it may have been changed",
        ));
    }
    for (path, (_, text)) in paths.iter().zip(chosen) {
        files::write(path, text.as_bytes())?;
        print(&path.display().to_string())?;
    }
    Ok(())
}

fn list() -> String {
    let width = bundled::SCRIPTS.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let room = 79 - width - 2;
    let line = |(name, text): &(&str, &str)| {
        let about = bundled::about(text);
        let cut = about.chars().count() > room;
        let about = if cut { about.chars().take(room - 3).collect::<String>() + "..." } else { about };
        format!("{name:width$}  {about}")
    };
    let lines: Vec<String> = bundled::SCRIPTS.iter().map(line).collect();
    format!(
        "{}\n\nisdarts-host NAME runs one; isdarts-host scripts NAME prints it; with --out DIR\nit is copied there, or all are: to read, to change, to begin from.",
        lines.join("\n")
    )
}

/// What a word may have meant that is neither a file, nor a script of the binary, nor a command.
pub fn guess(word: &str) -> String {
    if let Some(file) = bundled::file_meant(word) {
        return format!("did you mean the file `{file}`?");
    }
    let commands = Args::command();
    let commands: Vec<&str> = commands.get_subcommands().map(|command| command.get_name()).collect();
    let near = |known: Vec<&str>| {
        let stem = Path::new(word).file_stem().map_or(word.to_string(), |stem| stem.to_string_lossy().into());
        let distances = known.into_iter().map(|name| (strsim::damerau_levenshtein(&stem, name), name.to_string()));
        distances.filter(|(distance, name)| *distance <= 1.max(name.len() / 3)).min()
    };
    let command = near(commands).map(|(distance, name)| (distance, format!("the command `{name}`")));
    let script = near(bundled::SCRIPTS.iter().map(|(name, _)| *name).collect());
    let script = script.map(|(distance, name)| (distance, format!("the script `{name}`")));
    let mut found: Vec<(usize, String)> = command.into_iter().chain(script).collect();
    found.sort();
    let meant: Vec<String> = found.into_iter().map(|(_, name)| name).collect();
    match meant.as_slice() {
        [] => "isdarts-host scripts lists those inside the program, isdarts-host --help the commands".into(),
        meant => format!("did you mean {}?", meant.join(", or ")),
    }
}

/// Whether there is something to run under this name.
pub fn exists(script: &Path) -> bool {
    script.exists() || script.to_str().is_some_and(|name| bundled::find(name).is_some())
}

/// The files that `paths` name: a folder stands for all scripts under it, in order of their names, but for those of hidden folders
/// and of run folders, which keep copies.
pub fn named(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        if !path.is_dir() {
            files.push(path.clone());
        } else {
            walk(path, &mut files)?;
            if files.len() == before {
                return Err(Error::file(path, "a folder without scripts", "a script, or a folder with .rhai files"));
            }
        }
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let mut entries = entries.map_err(Error::io("read", folder))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::io("read", &path))?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if kind.is_dir() && !hidden && !RunFolder::has_manifest(&path) {
            walk(&path, files)?;
        } else if !kind.is_dir() && path.extension().is_some_and(|ending| ending == "rhai") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_scripts_but_not_for_the_copies_of_runs() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["b", ".git", "run/script", "none"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        for file in
            ["b/two.rhai", "one.rhai", "b/notes.md", ".git/three.rhai", "run/manifest.json", "run/script/four.rhai"]
        {
            std::fs::write(at(file), "").unwrap();
        }
        let found = named(&[at("b/notes.md"), dir.path().into()]).unwrap();
        assert_eq!(found, ["b/notes.md", "b/two.rhai", "one.rhai"].map(at));
        let error = named(&[at("none")]).unwrap_err().to_string();
        assert!(error.contains("got a folder without scripts, expected a script, or a folder"), "{error}");
    }

    #[test]
    fn a_word_that_is_nothing_finds_the_nearest_command_and_script() {
        for (word, meant) in [
            ("quer", "did you mean the command `query`?"),
            ("is_dart", "did you mean the script `is_darts`?"),
            ("scripts/is_dart.rhai", "did you mean the script `is_darts`?"),
            ("script", "did you mean the command `scripts`?"),
            ("something", "isdarts-host scripts lists those inside the program, isdarts-host --help the commands"),
        ] {
            assert_eq!(guess(word), meant, "{word}");
        }
        assert!(exists(Path::new("is_darts")) && exists(Path::new("Cargo.toml")) && !exists(Path::new("is_dart")));
    }
}
