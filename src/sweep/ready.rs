//! Sweeps and scripts that the program brings along.

use super::file::Sweep;
use crate::error::Result;
use crate::host::script::bundled;

/// A script of the program's own by its name: `search`.
pub fn script(name: &str) -> Option<&'static str> {
    bundled::find(name).filter(|(known, _)| *known == name).map(|(_, text)| text)
}

/// Tables of the IS-DARTS paper: the name, what is searched in seconds, what the paper searched.
pub const TABLES: [(&str, &str, &str); 3] = [
    ("table-1", include_str!("ready/table-1.toml"), include_str!("ready/table-1-paper.toml")),
    ("table-a1", include_str!("ready/table-a1.toml"), include_str!("ready/table-a1-paper.toml")),
    ("table-a2", include_str!("ready/table-a2.toml"), include_str!("ready/table-a2-paper.toml")),
];

/// A ready sweep by its name, at the paper's scale or reduced.
///
/// # Errors
/// None: the texts are the program's own, and a test reads them all.
pub fn sweep(name: &str, paper: bool) -> Option<Result<Sweep>> {
    let (_, reduced, whole) = TABLES.iter().find(|(known, ..)| *known == name)?;
    Some(Sweep::parse(if paper { whole } else { reduced }, name))
}

/// The names of ready sweeps.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(name, ..)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::nas_bench::PAPER;

    /// The module of a method of the paper.
    fn module(method: &str) -> String {
        method.to_lowercase().replace("darts-", "darts_minus").replace('-', "_")
    }

    #[test]
    fn every_ready_sweep_has_points_and_a_folder_of_its_own() {
        let mut folders = Vec::new();
        for name in names() {
            for paper in [false, true] {
                let found = sweep(name, paper).unwrap().unwrap();
                assert!(found.points().unwrap().len() > 5 && script(&found.script).is_some(), "{name}");
                assert!(!found.beside.is_empty() && !folders.contains(&found.out), "{name}");
                folders.push(found.out);
            }
        }
        assert!(sweep("table-9", false).is_none());
    }

    #[test]
    fn figures_beside_ours_are_those_of_the_paper() {
        let columns =
            ["cifar10_valid", "cifar10_test", "cifar100_valid", "cifar100_test", "imagenet16_valid", "imagenet16_test"];
        for (name, paper, rows) in
            [("table-1", true, 10), ("table-1", false, 10), ("table-a1", true, 3), ("table-a1", false, 3)]
        {
            let beside = sweep(name, paper).unwrap().unwrap().beside;
            assert_eq!(beside.len(), rows);
            for row in beside {
                let known = PAPER.iter().find(|known| module(known.method) == row["method"].as_str().unwrap()).unwrap();
                let found = columns.map(|column| row.get(column).and_then(serde_json::Value::as_f64));
                assert_eq!(found, known.accuracies, "{name}: {}", known.method);
            }
        }
    }
}
