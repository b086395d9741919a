//! The cells that a run found, read from its folder.

use super::GENOTYPES;
use crate::error::{Error, Result};
use crate::files;
use std::io::ErrorKind;
use std::path::Path;

/// The text of the cell that `DIR` or `DIR#LABEL` names, from genotype.txt; nothing if that is no folder.
///
/// # Errors
/// A folder in which no cell stands, several where none is chosen, none of this label.
pub fn found(name: &str) -> Option<Result<String>> {
    // A folder may have the sign in its name.
    let (folder, label) = match name.rsplit_once('#').filter(|_| !Path::new(name).is_dir()) {
        Some((folder, label)) => (folder, Some(label)),
        None => (name, None),
    };
    Path::new(folder).is_dir().then(|| chosen(folder, label))
}

fn chosen(folder: &str, label: Option<&str>) -> Result<String> {
    let path = Path::new(folder).join(GENOTYPES);
    let text = files::read_plain_text(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::file(
            folder,
            format!("no {GENOTYPES}"),
            "the folder of a run that has found cells and ended, or reported them",
        ),
        _ => Error::io("read", &path)(error),
    })?;
    let lines: Vec<(&str, &str)> = text.lines().map(|l| l.split_once('\t').unwrap_or(("", l))).collect();
    match (label, &lines[..]) {
        (None, [(_, only)]) => Ok(only.to_string()),
        (None, _) => {
            let names: Vec<&str> = lines.iter().map(|(label, _)| *label).collect();
            let expected = format!("one of them, as {folder}#LABEL: {}", names.join(", "));
            Err(Error::file(&path, format!("{} genotypes", lines.len()), expected))
        }
        (Some(label), _) => match lines.iter().find(|(known, _)| *known == label) {
            Some((_, text)) => Ok(text.to_string()),
            None => Err(Error::unknown_name("search in genotype.txt", label, lines.iter().map(|(l, _)| *l))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_found_in_a_run_folder_by_its_label_or_if_it_is_the_only_one() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().to_str().unwrap();
        let found = |name: &str| found(name).map(|found| found.map_err(|error| error.to_string()));
        assert!(found(name).unwrap().unwrap_err().contains("got no genotype.txt"));
        std::fs::write(dir.path().join("genotype.txt"), "one\n").unwrap();
        assert_eq!(found(name), Some(Ok("one".into())));
        std::fs::write(dir.path().join("genotype.txt"), "a/0\tone\na/1\ttwo\n").unwrap();
        assert_eq!(found(&format!("{name}#a/1")), Some(Ok("two".into())));
        assert!(found(name).unwrap().unwrap_err().contains("#LABEL: a/0, a/1"));
        assert!(found(&format!("{name}#a/2")).unwrap().unwrap_err().contains("did you mean `a/0`?"));
        assert_eq!(found("DARTS_V2"), None);
    }
}
