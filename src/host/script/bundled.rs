//! The scripts of `scripts/`, inside the binary: they run by their name from any folder, and can be copied out.

/// Name and text of each.
pub const SCRIPTS: [(&str, &str); 20] = [
    ("ablation", include_str!("../../../scripts/ablation.rhai")),
    ("bench_suite", include_str!("../../../scripts/bench_suite.rhai")),
    ("compare", include_str!("../../../scripts/compare.rhai")),
    ("compare_methods", include_str!("../../../scripts/compare_methods.rhai")),
    ("correlation", include_str!("../../../scripts/correlation.rhai")),
    ("darts", include_str!("../../../scripts/darts.rhai")),
    ("darts_search", include_str!("../../../scripts/darts_search.rhai")),
    ("evaluate", include_str!("../../../scripts/evaluate.rhai")),
    ("i_darts", include_str!("../../../scripts/i_darts.rhai")),
    ("importance", include_str!("../../../scripts/importance.rhai")),
    ("is_darts", include_str!("../../../scripts/is_darts.rhai")),
    ("measures", include_str!("../../../scripts/measures.rhai")),
    ("proxies", include_str!("../../../scripts/proxies.rhai")),
    ("random", include_str!("../../../scripts/random.rhai")),
    ("replacement", include_str!("../../../scripts/replacement.rhai")),
    ("s_darts", include_str!("../../../scripts/s_darts.rhai")),
    ("search", include_str!("../../../scripts/search.rhai")),
    ("shrink_rates", include_str!("../../../scripts/shrink_rates.rhai")),
    ("stability", include_str!("../../../scripts/stability.rhai")),
    ("train_genotype", include_str!("../../../scripts/train_genotype.rhai")),
];

/// The script of this name: `is_darts`, or `scripts/is_darts.rhai` as the README writes it.
pub fn find(name: &str) -> Option<(&'static str, &'static str)> {
    let file = name.strip_prefix("scripts/").and_then(|name| name.strip_suffix(".rhai"));
    SCRIPTS.into_iter().find(|(known, _)| *known == file.unwrap_or(name))
}

/// The file that a word names without its ending: `mine`, where mine.rhai is.
pub fn file_meant(word: &str) -> Option<String> {
    Some(format!("{word}.rhai")).filter(|file| std::path::Path::new(file).is_file())
}

/// What a script is for: the first sentence of its `//!` lines.
pub fn about(text: &str) -> String {
    let header: Vec<&str> = text.lines().map_while(|l| l.strip_prefix("//!")).map(str::trim).collect();
    header.join(" ").split_inclusive(". ").next().unwrap_or_default().trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_of_the_folder_is_inside() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".rhai")?.to_string()))
            .collect();
        files.sort();
        assert_eq!(SCRIPTS.map(|(name, _)| name.to_string()).to_vec(), files, "SCRIPTS is the list of scripts/");
        for (name, text) in SCRIPTS {
            assert!(about(text).ends_with('.') && about(text).len() < 300, "{name}: {}", about(text));
        }
    }
}
