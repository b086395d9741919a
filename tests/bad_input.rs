//! Bad input, through the binary: every kind ends with a failing exit code and a message that says what was got and
//! what was expected.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use assert_cmd::Command;
use std::fs;
use std::path::Path;

/// Run in `folder`; stderr, after checking that the exit code is that of a failure and stdout stays empty.
fn refused(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::cargo_bin("isdarts-host").unwrap();
    let output = command.current_dir(folder).env("ISDARTS_DATA", folder).arg("--quiet").args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn expect(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "expected `{part}` in\n{message}");
    }
}

const SEARCH: &str = "import \"nas/is_darts\" as method;\n\
    let cfg = settings(method::defaults() + #{ channels: 2, cells: 1, epochs: 3, shrink_steps: 2, shrink_every: 1, \
    iim_samples: 8 });\n\
    report(method::search(space(\"nas-bench-201\"), data(#{ limit: 8 }), cfg));\n";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

#[test]
fn an_unknown_setting_names_the_nearest() {
    let dir = folder(&[("s.rhai", SEARCH)]);
    let message = refused(dir.path(), &["s.rhai", "--set", "epocs=3"]);
    expect(&message, &["s.rhai:2:11: unknown setting `epocs`, did you mean `epochs`?"]);
}

#[test]
fn a_setting_of_train_genotype_is_refused_by_a_search_and_by_what_trains_nothing() {
    let dir = folder(&[("s.rhai", SEARCH), ("r.rhai", "let cfg = settings(#{ epochs: 1 });")]);
    for set in ["warmup=1", "auxiliary=0.4", "label_smoothing=0.1"] {
        let key = set.split('=').next().unwrap();
        let message = refused(dir.path(), &["s.rhai", "--set", set]);
        expect(&message, &[&format!("got `{key}`, which is a setting of train_genotype; supernet training has none")]);
        let message = refused(dir.path(), &["r.rhai", "--set", set]);
        expect(&message, &[&format!("--set: got `{key}`, which this script does not read")]);
    }
    let message = refused(dir.path(), &["s.rhai", "--set", "dropblock=0.1"]);
    expect(&message, &["unknown setting `dropblock`"]);
}

#[test]
fn a_setting_of_a_method_that_means_nothing_is_refused_before_it_is_searched_with() {
    let dir = folder(&[]);
    for (method, set, words) in [
        ("gdas", "tau=-1", "setting tau: got -1.0, expected more than 0"),
        ("gdas", "tau_min=0", "setting tau_min: got 0.0, expected more than 0"),
        ("snas", "tau=-1", "setting tau: got -1.0, expected more than 0"),
        ("sp_darts", "tau_last=0", "setting tau_last: got 0.0, expected more than 0"),
        ("sdarts_rs", "epsilon=-0.1", "setting epsilon: got -0.1, expected at least 0"),
        ("sdarts_adv", "attack_steps=-1", "setting attack_steps: got -1, expected at least 0"),
        ("beta_darts", "beta_weight=-1", "setting beta_weight: got -1.0, expected at least 0"),
        ("fair_darts", "zero_one=-1", "setting zero_one: got -1.0, expected at least 0"),
        ("shapley_nas", "orders=0", "setting orders: got 0, expected at least 1"),
        ("p_darts", "ops_2=-1", "setting ops_2: got -1, expected at least 1"),
        ("opp_darts", "add_every=0", "setting add_every: got 0, expected at least 1"),
        ("spos", "population=0", "setting population: got 0, expected at least 1"),
        ("r_darts", "window=0", "setting window: got 0, expected at least 1"),
        ("enas", "temperature=-1", "setting temperature: got -1.0, expected more than 0"),
    ] {
        let message = refused(dir.path(), &["search", "--set", &format!("method={method}"), "--set", set]);
        expect(&message, &[words]);
    }
}

#[test]
fn a_setting_of_the_wrong_type_names_got_and_expected() {
    let dir = folder(&[("s.rhai", SEARCH)]);
    let message = refused(dir.path(), &["s.rhai", "--set", "epochs=many"]);
    expect(&message, &["s.rhai:2:11: setting `epochs`: got string \"many\", expected an integer"]);
}

#[test]
fn a_setting_that_the_script_does_not_read_is_an_error() {
    let dir = folder(&[("s.rhai", "let x = 1;")]);
    expect(
        &refused(dir.path(), &["s.rhai", "--set", "epochs=3"]),
        &["--set: got `epochs`, which this script does not read"],
    );
}

#[test]
fn an_unknown_op_names_the_nearest() {
    let dir = folder(&[("s.rhai", "let s = space(\"nas-bench-201\");\ns.candidate(0, \"nor_conv_5x5\");")]);
    let message = refused(dir.path(), &["s.rhai"]);
    expect(&message, &["s.rhai:2:3: unknown op `nor_conv_5x5`, did you mean `nor_conv_"]);
}

#[test]
fn an_unknown_data_set_names_the_nearest() {
    let dir = folder(&[("s.rhai", SEARCH)]);
    let message = refused(dir.path(), &["s.rhai", "--data", "cifra10"]);
    expect(&message, &["s.rhai:3:47: unknown data set", "`cifra10`, did you mean `cifar10`?"]);
}

#[test]
fn a_missing_data_folder_is_named() {
    let dir = folder(&[("s.rhai", SEARCH)]);
    let message = refused(dir.path(), &["s.rhai", "--data", "./nothing/here"]);
    expect(&message, &["nothing/here", "got no such folder", "expected a folder of"]);
}

#[test]
fn a_truncated_batch_file_is_named_with_its_bytes() {
    let dir = folder(&[("s.rhai", SEARCH)]);
    let cifar = dir.path().join("cifar-10-batches-bin");
    fs::create_dir(&cifar).unwrap();
    for batch in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        let bytes = if batch == "data_batch_1" { 3073 * 100 - 1 } else { 3073 * 10000 };
        fs::File::create(cifar.join(format!("{batch}.bin"))).unwrap().set_len(bytes).unwrap();
    }
    let message = refused(dir.path(), &["s.rhai", "--data", "cifar-10-batches-bin"]);
    expect(&message, &["data_batch_1.bin", "got 307299 bytes", "expected 30730000 bytes"]);
}

#[test]
fn a_syntax_error_names_file_line_and_column() {
    for (text, message) in [
        ("let x = 1;\nlet y = (x + ;\n", "s.rhai:2:14: syntax error: got `;`, expected an expression"),
        ("let x = [1, 2", "s.rhai:1:14: syntax error: got something else or the end, expected `]`"),
        ("for i in 0..3 {\n", "s.rhai:2:1: syntax error: got"),
    ] {
        let dir = folder(&[("s.rhai", text)]);
        expect(&refused(dir.path(), &["s.rhai"]), &[message]);
    }
}

#[test]
fn an_error_in_an_imported_module_names_the_modules_file() {
    let main = "import \"own\" as own;\n\nown::search(7);";
    for (own, parts) in [
        (
            "fn search(n) {\n    let s = space(\"dartz\");\n    s\n}",
            &["own.rhai:2:13: unknown search space `dartz`, did you mean `darts`?", "in `search` called at s.rhai:3:6"]
                [..],
        ),
        ("fn search(n) {\n    n +\n}", &["own.rhai:3:1: syntax error", "in module `own` imported at s.rhai:1:8"][..]),
        ("let a = 1;\na.foo = 3;\nfn search(n) { n }", &["own.rhai:2", "in module `own` imported at s.rhai:1:8"][..]),
    ] {
        let dir = folder(&[("s.rhai", main), ("own.rhai", own)]);
        expect(&refused(dir.path(), &["s.rhai"]), parts);
    }
}

#[test]
fn a_closure_that_reads_what_its_method_is_called_on_is_named_with_its_place() {
    let own = "fn above(xs) {\n    xs.filter(|x| x > xs.len())\n}";
    for (script, parts) in [
        (
            "let counts = [3, 1, 2];\nprint(counts.map(|c| c * counts.len()));",
            &["s.rhai:2:14: `counts` is in use by map: take what you need of it before, as in `let n = counts.len();`"]
                [..],
        ),
        (
            "let a = [1];\nlet b = [2];\nb.map(|x| x);\na.sort(|x, y| x - a.len());",
            &["s.rhai:4:3: `a` is in use by sort"],
        ),
        ("let a = [1];\nif true { a.for_each(|x| a.push(x)); }", &["s.rhai:2:13: `a` is in use by for_each"]),
        ("let a = [1];\na.filter(|x| x > 0)\n.map(|x| x + a.len());", &["s.rhai:3:2: `a` is in use by map"]),
        ("let m = #{ a: [1] };\nm.a.map(|x| x + m.a.len());", &["s.rhai:2:5: `m` is in use by map"]),
        ("let a = [1];\nlet f = |x| x + a.len();\na.map(f);", &["s.rhai:3:3: `a` is in use by map"]),
        (
            "fn f(a) {\n    a.map(|x| a.len())\n}\nf([1]);",
            &["s.rhai:2:7: `a` is in use by map", "in `f` called at s.rhai:4:1"],
        ),
        ("import \"own\" as own;\nown::above([1]);", &["own.rhai:2:8: `xs` is in use by filter", "s.rhai:2:6"]),
    ] {
        let dir = folder(&[("own.rhai", own), ("s.rhai", script)]);
        expect(&refused(dir.path(), &["s.rhai"]), parts);
    }
}

#[test]
fn an_unknown_module_names_those_that_there_are() {
    let dir = folder(&[("s.rhai", "import \"nas/is_dart\" as m;")]);
    expect(
        &refused(dir.path(), &["s.rhai"]),
        &["s.rhai:1:8: unknown module `nas/is_dart`, did you mean `nas/is_darts`?"],
    );
}

/// Modules come from the folder of the script and from below it; what would never end is not waited for.
#[cfg(unix)]
#[test]
fn a_module_from_elsewhere_or_that_is_no_file_is_refused() {
    use std::os::unix::fs::symlink;
    let dir = folder(&[("own.rhai", "fn one() { 1 }")]);
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("run")).unwrap();
    symlink(at("own.rhai"), at("run/linked.rhai")).unwrap();
    symlink("/dev/zero", at("run/zero.rhai")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("run/pipe.rhai")).status().unwrap().success());
    fs::File::create(at("run/huge.rhai")).unwrap().set_len(1 << 34).unwrap();
    let absolute = at("own").display().to_string();
    for (module, says) in [
        (absolute.as_str(), "got a file outside the folder of the script"),
        ("../own", "got a file outside the folder of the script"),
        ("linked", "got a file outside the folder of the script"),
        ("zero", "it is a pipe or a device, not a file"),
        ("pipe", "it is a pipe or a device, not a file"),
        ("huge", "it has more than 16 MiB"),
    ] {
        fs::write(at("run/s.rhai"), format!("import \"{module}\" as m;\nm::one();")).unwrap();
        expect(&refused(&at("run"), &["s.rhai"]), &["s.rhai:1:8", says]);
    }
    fs::create_dir(at("run/genotypes")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("run/genotypes/genotype.txt")).status().unwrap().success());
    fs::write(at("run/s.rhai"), "train_genotype(\"genotypes\", data(), #{});").unwrap();
    expect(&refused(&at("run"), &["s.rhai"]), &["genotypes/genotype.txt: it is a pipe or a device, not a file"]);
}

#[test]
fn an_argument_of_the_wrong_type_shows_the_signature() {
    for (text, parts) in [
        (
            "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\nnet.measure_iim(\"digits\", 200);",
            &["s.rhai:2:5: measure_iim: got (string, integer), expected net.measure_iim(data, samples)"][..],
        ),
        ("supernet(\"darts\");", &["s.rhai:1:1: supernet: got (string), expected supernet(space, cfg)"][..]),
        ("supernet(3, #{});", &["s.rhai:1:1: space: got integer 3, expected a Space, or the name of one"][..]),
        ("spase(\"darts\");", &["s.rhai:1:1: unknown function `spase(string)`, did you mean `space`?"][..]),
        ("space(\"darts\").opps;", &["s.rhai:1:16: a Space has no property `opps`, did you mean `ops`?"][..]),
    ] {
        let dir = folder(&[("s.rhai", text)]);
        expect(&refused(dir.path(), &["s.rhai"]), parts);
    }
}

#[test]
fn a_genotype_an_edge_an_op_or_a_space_that_is_none_is_refused_in_words() {
    let spaces = "let n = space(\"nas-bench-201\"); let d = space(\"darts\");";
    let nets = "let net = supernet(n, #{ channels: 2, cells: 1 }); let wide = supernet(d, #{ channels: 2, cells: 1 });";
    for (line, message) in [
        ("genotype(\"\");", "genotype text, character 1: got the end, expected `|op~0|+"),
        ("genotype(\"|none~0|+\");", "character 10: got the end, expected `|` and the ops into the next node"),
        (
            "genotype(\"|none~0|+|none~0|none~2|\");",
            "character 22: got `~2|`, expected `~1|` after the op of edge 2<-1",
        ),
        ("genotype(\"|nor_conv_9x9~0|\");", "character 2: unknown op `nor_conv_9x9`, did you mean `nor_conv_"),
        (
            "genotype(\"Genotype([('skip_connect', 9), ('skip_connect', 0)], [2], [], [2])\");",
            "got `9), ('skip_connect',`, expected an input of node 2, from 0 to 1",
        ),
        (
            "genotype(\"Genotype(normal=[('skip_connect', 0)])\");",
            "expected one of the keywords still missing: `reduce=`",
        ),
        ("genotype(15625);", "index of a NAS-Bench-201 cell: got 15625, expected 0 to 15624"),
        ("genotype(\"DARTS_V9\");", "did you mean `DARTS_V"),
        ("genotype([]);", "genotype: got no candidates, expected as many as the space keeps"),
        ("genotype([n.candidates[0], n.candidates[0]]);", "genotype: got edge 1<-0 none twice, expected it once"),
        ("genotype([n.candidates[0], d.candidates[0]]);", "got candidates of several spaces, expected of one"),
        (
            "genotype(9930).replace(d.candidates[0], n.candidates[0]);",
            "got none on normal edge 2<-0 of darts, expected",
        ),
        ("n.candidate(6, \"none\");", "edge of a candidate of the space nas-bench-201: got 6, expected 0 to 5"),
        ("n.ops_of(6);", "edge: got 6, expected 0 to 5"),
        ("n.candidate(0, \"sep_conv_3x3\");", "unknown op `sep_conv_3x3`"),
        ("n.candidate(\"reduction\", 0, \"none\");", "cell type: got reduction, expected normal"),
        ("search_space(#{ ops: [\"none\"] });", "got no candidate but `none`: every cell would be zero"),
        ("search_space(#{ ops: [\"noise\", \"noise\"] });", "ops of the search space custom: got `noise` twice"),
        ("search_space(#{ ops: [\"avg_pool\"] });", "unknown op `avg_pool`, did you mean `avg_pool_3x3`?"),
        ("search_space(#{ ops: [\"noise\"], edge_ops: #{ \"4<-0\": [\"none\"] } });", "unknown edge `4<-0`"),
        ("net.drop(d.candidates[3]);", "got sep_conv_5x5 on normal edge 2<-0 of darts, expected one of nas-bench-201"),
        ("net.drop([n.candidates[1], n.candidates[1]]);", "got skip_connect on edge 1<-0, which was dropped before"),
        ("net.drop(n.candidates);", "drop, edge 1<-0: got 0 left alive, expected at least 1"),
        ("wide.drop(d.candidates);", "drop, normal node 2: got 0 left alive, expected at least 2"),
        ("net.genotype();", "edge 1<-0: got 5 candidates alive, expected 1"),
        ("net.mask.is_alive(d.candidates[0]);", "of darts, expected one of nas-bench-201"),
        ("n.mix([d.candidates[0]]);", "of darts, expected one of nas-bench-201"),
        (
            "net.comparison_subsets()[0].least_important(importance(d, wide.mask_tensors), 1);",
            "least_important, importance: got one of darts, expected one of nas-bench-201",
        ),
    ] {
        let dir = folder(&[("s.rhai", &format!("{spaces}\n{nets}\n{line}"))]);
        expect(&refused(dir.path(), &["s.rhai"]), &["error: s.rhai:3:", message]);
    }
}

/// A run of [`SEARCH`] to its end, in `dir/run`.
fn finished(dir: &Path) {
    let mut command = Command::cargo_bin("isdarts-host").unwrap();
    command.current_dir(dir).args(["s.rhai", "--out", "run", "--quiet"]).assert().success();
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let dir = folder(&[("s.rhai", SEARCH)]);
    finished(dir.path());
    let file = dir.path().join("run/checkpoint/loop-000/state.safetensors");
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() - 5], b"", b"not a checkpoint at all"] {
        fs::write(&file, damaged).unwrap();
        let message = refused(dir.path(), &["--resume", "run"]);
        expect(&message, &["state.safetensors", "got", "expected"]);
    }
    fs::write(&file, whole).unwrap();
    let mut command = Command::cargo_bin("isdarts-host").unwrap();
    command.current_dir(dir.path()).args(["--resume", "run", "--quiet"]).assert().success();
}

#[test]
fn a_script_that_changed_is_not_taken_unasked() {
    let dir = folder(&[("s.rhai", SEARCH)]);
    finished(dir.path());
    fs::write(dir.path().join("s.rhai"), "throw \"the new text\";").unwrap();
    let mut command = Command::cargo_bin("isdarts-host").unwrap();
    command.current_dir(dir.path()).args(["--resume", "run", "--quiet"]).assert().success();
    expect(&refused(dir.path(), &["--resume", "run", "--accept-changes"]), &["the new text"]);
}

#[test]
fn a_run_folder_that_cannot_be_written_is_named_before_any_work() {
    let dir = folder(&[("s.rhai", SEARCH), ("file", "")]);
    // a file where a folder must be refuses everyone, root too
    let message = refused(dir.path(), &["s.rhai", "--out", "file/run"]);
    expect(&message, &["cannot create file/run"]);
    fs::create_dir(dir.path().join("full")).unwrap();
    fs::write(dir.path().join("full/something"), "").unwrap();
    let message = refused(dir.path(), &["s.rhai", "--out", "full"]);
    expect(&message, &["full: got a folder with other files in it", "expected an empty or absent folder"]);
    let message = refused(dir.path(), &["--resume", "nowhere"]);
    expect(&message, &["nowhere: got no such folder", "expected the folder of an earlier run"]);
}
