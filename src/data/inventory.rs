//! What lies in the folder of a data set: how many files were read, and what was left out, by reason.

use std::path::Path;

/// Why something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// Its name begins with a dot.
    Hidden,
    /// A file of another kind, by its ending.
    Other,
    /// A folder in which there is no picture.
    Empty,
    /// A file beside the folders of classes.
    Outside,
    /// Beside the files or folders that are read.
    Beside,
    /// A pipe, a device, a link to nothing.
    Strange,
}

impl Why {
    fn words(self) -> &'static str {
        match self {
            Why::Hidden => "hidden",
            Why::Other => "no pictures by their names",
            Why::Empty => "folders without pictures",
            Why::Outside => "outside the folders of classes",
            Why::Beside => "beside what is read",
            Why::Strange => "neither files nor folders",
        }
    }
}

/// What was read of one data set's folder, and what was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Files that were read.
    pub read: usize,
    /// What was left out: why, how many, the first of them; in the order of the reasons.
    left_out: Vec<(Why, usize, String)>,
}

impl Inventory {
    /// An inventory of so many files read, with nothing left out.
    pub(super) fn of(read: usize) -> Self {
        Inventory { read, left_out: vec![] }
    }

    /// Note that `path` is left out, and why; messages name it without `root`.
    pub(super) fn leave_out(&mut self, why: Why, root: &Path, path: &Path) {
        match self.left_out.iter_mut().find(|(known, ..)| *known == why) {
            Some((_, n, _)) => *n += 1,
            None => {
                let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
                self.left_out.push((why, 1, name));
                self.left_out.sort();
            }
        }
    }

    /// Note all that is in `dir` besides `files`.
    pub(super) fn besides(&mut self, dir: &Path, files: &[&str]) {
        for (name, path) in entries(dir).unwrap_or_default() {
            match name.starts_with('.') {
                _ if files.contains(&name.as_str()) => {}
                true => self.leave_out(Why::Hidden, dir, &path),
                false => self.leave_out(Why::Beside, dir, &path),
            }
        }
    }

    /// One for each reason: `hidden: 2 (train/.ipynb_checkpoints, ...)`.
    pub fn left_out(&self) -> Vec<String> {
        let line = |(why, n, first): &(Why, usize, String)| {
            let more = if *n > 1 { ", ..." } else { "" };
            format!("{}: {n} ({first}{more})", why.words())
        };
        self.left_out.iter().map(line).collect()
    }

    /// For the end of a line: nothing, or `; left out: ...`.
    pub fn summary(&self) -> String {
        let left_out = self.left_out();
        if left_out.is_empty() { String::new() } else { format!("; left out: {}", left_out.join(", ")) }
    }
}

/// Names and paths in a folder, by name.
pub(super) fn entries(dir: &Path) -> std::io::Result<Vec<(String, std::path::PathBuf)>> {
    let mut all = vec![];
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        all.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    all.sort();
    Ok(all)
}

/// What lies in a folder that is no data set, in words, and which layout is nearest to it.
pub(super) fn describe(dir: &Path) -> (String, Option<String>) {
    let visible = |dir: &Path| -> Vec<(String, std::path::PathBuf)> {
        entries(dir).unwrap_or_default().into_iter().filter(|(name, _)| !name.starts_with('.')).collect()
    };
    let all = visible(dir);
    let (folders, files): (Vec<_>, Vec<_>) = all.iter().partition(|(_, path)| path.is_dir());
    let pictures =
        |list: &[&(String, std::path::PathBuf)]| list.iter().filter(|(_, p)| super::decode::has_ending(p)).count();
    let has_pictures = |dir: &Path| visible(dir).iter().any(|(_, p)| super::decode::has_ending(p));
    let mut parts = vec![];
    let some = |names: &mut dyn Iterator<Item = &str>| {
        let names: Vec<&str> = names.collect();
        let more = if names.len() > 3 { ", ..." } else { "" };
        format!("{}{more}", names[..names.len().min(3)].join(", "))
    };
    if !folders.is_empty() {
        parts.push(format!("folders: {} ({})", folders.len(), some(&mut folders.iter().map(|(n, _)| n.as_str()))));
    }
    if !files.is_empty() {
        parts.push(format!("files: {} ({})", files.len(), some(&mut files.iter().map(|(n, _)| n.as_str()))));
    }
    let got = if parts.is_empty() { "nothing in it".to_string() } else { parts.join(", ") };
    let is = |(name, _): &&&(String, std::path::PathBuf), wanted: &str| name.eq_ignore_ascii_case(wanted);
    let near = if let Some((name, _)) = folders.iter().find(|f| is(f, "train") || is(f, "training")) {
        match name.as_str() {
            "train" => Some("pictures in folders of their classes below train: train/CLASS/*.jpg".to_string()),
            _ => Some(format!("the folder `{name}` under the name train")),
        }
    } else if folders.iter().any(|(_, path)| has_pictures(path)) {
        Some("a folder for each class is divided by the setting split: --set split=0.8 trains on 80 % of each class and tests on the rest".to_string())
    } else if pictures(&files) > 0 {
        Some("pictures in folders of their classes: CLASS/*.jpg and the setting split, or train/CLASS/*.jpg and test/CLASS/*.jpg".to_string())
    } else if let [(_, only)] = folders[..] {
        entries(only).is_ok_and(|e| !e.is_empty()).then(|| format!("perhaps {} itself", only.display()))
    } else {
        None
    };
    (got, near)
}
