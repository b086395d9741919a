//! Sizes and settings are checked before anything is made of them: an error in words, never an abort, a hang, or a machine
//! without memory. Every case runs in the program, under a limit of its address space where there is such a thing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod ended;

use ended::ended;
use isdarts_host::search::checkpoint;
use safetensors::SafeTensors;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// kB of address space: the program needs some, and a mistake is found before the machine has a problem.
const LIMIT: u64 = 6_000_000;

/// Exit code and all that was printed, within a time that no honest case needs.
fn run(dir: &Path, args: &[&str]) -> (i32, String) {
    let program = env!("CARGO_BIN_EXE_isdarts-host");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {LIMIT} 2>/dev/null; exec \"$0\" \"$@\""), program]).args(args);
    command.current_dir(dir).env("ISDARTS_CACHE", dir.join("cache")).env("RAYON_NUM_THREADS", "2");
    let out = tempfile::NamedTempFile::new().unwrap();
    let (stdout, stderr) = (out.reopen().unwrap(), out.reopen().unwrap());
    let mut child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap();
    let status = ended(&mut child, Duration::from_secs(60)).unwrap_or_else(|| panic!("{args:?} does not end"));
    let code = status.code().unwrap_or(-1);
    (code, String::from_utf8_lossy(&std::fs::read(out.path()).unwrap()).into_owned())
}

fn refused(dir: &Path, args: &[&str], words: &[&str]) {
    let (code, text) = run(dir, args);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, 1, "{args:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{args:?}: expected `{word}` in {text}");
    }
    assert!(!text.contains("panicked") && !text.contains("capacity overflow"), "{args:?}: {text}");
}

fn script(name: &str) -> String {
    format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn sizes_that_no_machine_holds_are_errors_in_words_wherever_they_come_from() {
    let dir = tempfile::tempdir().unwrap();
    for (text, words) in [
        ("supernet(\"nas-bench-201\", #{ channels: 100000 })", ["of memory", "lower channels or cells"]),
        ("supernet(\"darts\", #{ channels: 20000, cells: 20 })", ["of memory", "lower channels or cells"]),
        ("supernet(\"darts\", #{ cells: 1000000000000 })", ["of memory", "lower channels or cells"]),
        ("supernet(\"darts\", #{ channels: 9223372036854775807 })", ["supernet, channels", "expected at most"]),
        (
            "train_genotype(\"DARTS_V2\", data(), #{ cells: 1000000, auxiliary: 0.0 })",
            ["of memory", "lower channels or cells"],
        ),
        ("train_genotype(9930, data(), #{ channels: 100000000 })", ["channels", "expected at most"]),
        ("let a = tensor([0.0]); for i in 0..16 { a = a + a.detach(); } a", ["", ""]),
        ("let s = \"x\"; loop { s += s; }", ["Length of string", "large"]),
        ("let a = [1]; loop { a += a; }", ["Size of array", "large"]),
        ("let m = #{}; let a = [m]; loop { a.push(a); }", ["array", "large"]),
        ("[].pad(1000000000000, 0)", ["array", "large"]),
        ("blob(1000000000000)", ["BLOB", "large"]),
        ("let s = \"x\"; s.pad(1000000000000, \"y\")", ["string", "large"]),
    ] {
        if words[0].is_empty() {
            assert_eq!(run(dir.path(), &["--quiet", "-e", text]).0, 0, "{text}");
            continue;
        }
        refused(dir.path(), &["--quiet", "-e", text], &words);
    }
    // A row and a column of so many numbers each: their sum would have the product of them.
    let wide = "let r = []; r.pad(65536, 1.0); let row = tensor(r); let c = []; for i in 0..65536 { c.push([1.0]); } row + tensor(c)";
    refused(dir.path(), &["--quiet", "-e", wide], &["tensor: got a need of 17.2 GB", "lower its sizes"]);
}

#[test]
fn pictures_of_a_size_that_no_machine_holds_are_refused_before_any_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["pics/train/a/1.png", "pics/train/b/1.png", "pics/test/a/1.png"] {
        std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        image::RgbImage::from_pixel(8, 8, image::Rgb([9; 3])).save(dir.path().join(name)).unwrap();
    }
    for (size, words) in [
        ("100000", "pictures of 100000x100000: got a need of 90.0 GB of memory"),
        ("4294967296", "pictures of 4294967296x4294967296: got a need beyond any memory"),
        ("9223372036854775807", "got a need beyond any memory"),
        ("18446744073709551616", "setting `resize`: got "),
        ("-1", "setting `resize`: got -1"),
    ] {
        let set = format!("resize={size}");
        refused(dir.path(), &["-e", "data().train", "--data", "pics", "--set", &set], &[words, "resize"]);
        if size.len() < 20 {
            let text = format!("data(\"pics\", #{{ resize: {size} }})");
            refused(dir.path(), &["-e", &text], &[words, "resize"]);
        }
    }
}

/// Each number of a saved session, one after the other, made one that no machine has room for.
#[test]
fn a_saved_session_of_sizes_that_no_machine_holds_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let prompt = |lines: &str| {
        let line = format!("printf '{lines}\n' | {} --quiet 2>&1", env!("CARGO_BIN_EXE_isdarts-host"));
        let out = Command::new("sh").args(["-c", &line]).current_dir(dir.path()).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let made = "let own = search_space(#{ ops: [\"noise\", \"skip_connect\"], nodes: 2 });\n\
        let net = supernet(own, #{ channels: 2, cells: 1 });\nlet m = net.mask;\n:save s";
    assert_eq!(prompt(made).0, Some(0));
    let (states, meta) = checkpoint::load(&dir.path().join("s")).unwrap().unwrap();
    let mut tried = 0;
    for (i, (_, state)) in states.iter().enumerate() {
        for place in numbers(&state.json, String::new()) {
            for size in [1u64 << 63, 1 << 40] {
                let mut changed = states.clone();
                *changed[i].1.json.pointer_mut(&place).unwrap() = size.into();
                checkpoint::save(&dir.path().join("s"), &changed, &meta).unwrap();
                let (code, text) = prompt(":load s\nprint(own.candidates.len); print(net); print(m);");
                let words = text.contains("error: ") && !text.contains("panicked") && !text.contains("bug of");
                // A seed or an epoch may be any number.
                assert!(code == Some(0) || code == Some(1) && words, "{place} = {size}: {code:?} {text}");
                assert!(code == Some(1) || !place.contains("nodes"), "{place} = {size}: taken");
                tried += 1;
            }
        }
    }
    assert!(tried > 10, "{tried}");
}

/// Where the whole numbers of a JSON value stand.
fn numbers(value: &serde_json::Value, place: String) -> Vec<String> {
    match value {
        serde_json::Value::Object(all) => all.iter().flat_map(|(k, v)| numbers(v, format!("{place}/{k}"))).collect(),
        serde_json::Value::Array(all) => {
            all.iter().enumerate().flat_map(|(i, v)| numbers(v, format!("{place}/{i}"))).collect()
        }
        serde_json::Value::Number(n) if n.is_u64() => vec![place],
        _ => vec![],
    }
}

#[test]
fn benchmarks_of_sizes_that_no_machine_holds_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["step", "train"] {
        for (flag, value, word) in [
            ("-c", "1000000", "lower channels or cells"),
            ("-c", "9223372036854775807", "channels: got"),
            ("-n", "1000000000", "lower channels or cells"),
            ("-b", "1000000000", "lower --batch or --size"),
            ("-b", "9223372036854775807", "beyond any memory"),
            ("--size", "1000000", "lower --batch or --size"),
            ("--classes", "4294967296", "classes: got"),
        ] {
            let genotype =
                "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";
            let mut args = vec!["bench", kind];
            if kind == "train" {
                args.extend(["--genotype", genotype]);
            }
            let mut sizes = [("-c", "2"), ("-n", "1"), ("-b", "2"), ("--size", "8"), ("--classes", "4")];
            sizes.iter_mut().filter(|(f, _)| *f == flag).for_each(|(_, v)| *v = value);
            sizes.iter().for_each(|(f, v)| args.extend([*f, *v]));
            refused(dir.path(), &args, &[word]);
        }
    }
}

/// Every setting, in `step` as in `train_epoch`, and those of architecture parameters.
#[test]
fn settings_out_of_range_are_refused_wherever_they_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let small = ["--quiet", "--set", "channels=2", "--set", "limit=4", "--set"];
    for script_name in ["darts.rhai", "is_darts.rhai", "train_genotype.rhai"] {
        for (set, word) in [
            ("lr=-1", "setting `lr`: got -1"),
            ("momentum=1", "setting `momentum`: got 1"),
            ("momentum=-1", "setting `momentum`: got -1"),
            ("weight_decay=-1", "setting `weight_decay`: got -1"),
            ("lr=1e300", "setting `lr`: got 1"),
        ] {
            refused(dir.path(), &[&[&script(script_name)[..]], &small[..], &[set]].concat(), &[word]);
        }
    }
    for (set, word) in [
        ("epochs=0", "setting `epochs`: got 0"),
        ("batch_size=0", "setting `batch_size`: got 0"),
        ("arch_lr=-1", "setting `arch_lr`: got -1"),
        ("arch_beta1=2", "setting `arch_beta1`: got 2"),
        ("arch_beta2=1", "setting `arch_beta2`: got 1"),
        ("arch_init=-1", "setting `arch_init`: got -1"),
        ("arch_weight_decay=-1", "setting `arch_weight_decay`: got -1"),
    ] {
        refused(dir.path(), &[&[&script("darts.rhai")[..]], &small[..], &[set]].concat(), &[word]);
    }
    let step = |cfg: &str| {
        format!(
            "let net = supernet(\"nas-bench-201\", #{{ channels: 2, cells: 1 }}); \
             for b in net.batches(data().train.take(8), #{{ batch_size: 8 }}) {{ {cfg} }}"
        )
    };
    for (text, word) in [
        ("net.step(b, #{ lr: -1.0, momentum: 5.0 })", "setting `lr`: got -1"),
        ("net.step(net.backward(net.loss(b)), b, #{ weight_decay: -3.0 })", "setting `weight_decay`: got -3"),
        ("architecture_parameters(net, #{ arch_init: 0.0 / 0.0 })", "setting `arch_init`: got "),
    ] {
        refused(dir.path(), &["--quiet", "-e", &step(text)], &[word]);
    }
}

#[test]
fn labels_that_are_no_class_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for label in ["-1", "2", "0.5", "0.0 / 0.0", "4294967296"] {
        let text = format!("cross_entropy(tensor([[0.0, 5.0]]), tensor([{label}]))");
        refused(dir.path(), &["--quiet", "-e", &text], &["cross_entropy, labels: got ", "whole numbers from 0 to 1"]);
    }
    for labels in ["[0, 1]", "0", "[[0]]"] {
        let text = format!("cross_entropy(tensor([[0.0, 5.0]]), tensor({labels}))");
        refused(dir.path(), &["--quiet", "-e", &text], &["cross_entropy, labels: got [", "[1], one an image"]);
    }
    refused(dir.path(), &["--quiet", "-e", "cross_entropy(tensor([0.0]), tensor([0]))"], &["cross_entropy, logits"]);
}

#[test]
fn a_long_chain_of_tensors_ends_in_words_and_one_that_is_detached_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let net = "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }); let alpha = architecture_parameters(net, #{}); ";
    for step in ["t = t + 1.0", "t = t.softmax()", "t = (t.log_softmax() * 0.5).exp()"] {
        let text = format!("{net} let t = alpha.values[0]; for i in 0..300000 {{ {step}; }}");
        refused(dir.path(), &["--quiet", "-e", &text], &["remembers 10001 steps", "t.detach()"]);
    }
    // As long as it may be, backward and freed again; numbers that remember nothing go on for ever.
    let text = format!(
        "{net} let t = alpha.values[0]; for i in 0..9990 {{ t = t.softmax(); }} alpha.step(net.backward(t.sum())); \
         let u = tensor([1.0]); for i in 0..30000 {{ u = u + 1.0; t = (t + 1.0).detach(); }} u.to_float()"
    );
    assert_eq!(run(dir.path(), &["--quiet", "-e", &text]), (0, "30001.0\n".to_string()));
}

#[test]
fn figures_of_any_finite_numbers_end() {
    let dir = tempfile::tempdir().unwrap();
    for (points, log) in [
        ("[[1, 1e308]]", "log_y: true,"),
        ("[[1, 1e-310], [2, 1]]", "log_y: true,"),
        ("[[1e308, -1e308], [-1e308, 1e308]]", ""),
        ("[[1e16, 1], [10000000000000002.0, 2]]", ""),
    ] {
        let text = format!("write_figure(\"f.svg\", #{{ {log} series: [#{{ name: \"a\", points: {points} }}] }})");
        let (code, text) = run(dir.path(), &["--quiet", "-e", &text]);
        assert_eq!(code, 0, "{points}: {text}");
    }
}

#[test]
fn a_last_batch_of_one_image_is_said_before_the_first_step() {
    let dir = tempfile::tempdir().unwrap();
    let train = "train_genotype(9930, data(#{ resize: 4 }), #{ channels: 4, cells: 1, epochs: 2, batch_size: 131 })";
    let words = ["1442 images in batches of 131 leave 1", "a batch_size that fits: 129, 130, 132, 133"];
    refused(dir.path(), &["--quiet", "-e", train], &words);
    for call in ["train_epoch(d, #{ batch_size: 8 })", "evaluate(d)"] {
        let text = format!(
            "let net = supernet(\"nas-bench-201\", #{{ channels: 2, cells: 1, batch_size: 8 }}); \
             let d = data(#{{ resize: 4 }}).train.take(9); net.{call}"
        );
        refused(dir.path(), &["--quiet", "-e", &text], &["9 images in batches of 8 leave 1", "fits: 6, 7, 9"]);
    }
}

/// Metadata that do not fit their tensors: (what is written in their place, words of the error).
#[test]
fn weights_files_are_looked_at_before_a_network_is_made_of_them() {
    let dir = tempfile::tempdir().unwrap();
    for (name, more) in [("nas", vec![]), ("darts", vec!["--", "DARTS_V2"])] {
        let sets = ["epochs=1", "channels=2", "limit=4", "cells=2"].map(|s| ["--set", s]).concat();
        let training = script("train_genotype.rhai");
        let args = [&[&training[..], "--quiet", "--out", name], &sets[..], &more[..]].concat();
        let (code, text) = run(dir.path(), &args);
        assert_eq!(code, 0, "{text}");
        let path = dir.path().join(name).join("train-000/last.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let about = header.metadata().as_ref().unwrap()["isdarts-network"].clone();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let odd: [(&str, serde_json::Value, &str); 12] = [
            ("/config/channels", 100_000.into(), "network, channels: got 100000"),
            ("/config/channels", (1u64 << 62).into(), "network, channels: got"),
            ("/config/cells", 1_000_000.into(), "network, cells: got 1000000"),
            ("/config/classes", 0.into(), "network, classes: got 0"),
            ("/size", serde_json::json!([100_000, 100_000]), "network, height of an image: got 100000"),
            ("/size", serde_json::json!([(1u64 << 63) + 4, (1u64 << 63) + 4]), "network, height of an image"),
            ("/std/0", serde_json::json!(-1.0), "network, std of the pixels: got -1"),
            ("/plan/cells/0/0/0/1", 9.into(), "of node 9 into node"),
            ("/plan/cells/0/0", serde_json::json!([]), ""),
            ("/plan/cells/0", serde_json::json!([]), "cells of a network: got 0 nodes"),
            ("/plan/cells", serde_json::json!([]), "cells of a network: got 0 types"),
            ("/config/cells", 1.into(), "parameter `"),
        ];
        for (place, value, words) in odd {
            let mut changed: serde_json::Value = serde_json::from_str(&about).unwrap();
            *changed.pointer_mut(place).unwrap() = value;
            // Whoever changes a file leaves out its sum, too.
            changed.as_object_mut().unwrap().remove("isdarts-sum");
            let metadata = HashMap::from([("isdarts-network".to_string(), changed.to_string())]);
            let file = safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap();
            std::fs::write(dir.path().join("w.safetensors"), file).unwrap();
            for args in [
                &["predict", "--weights", "w.safetensors", "a.png"][..],
                &["export", "--weights", "w.safetensors", "--onnx", "o"],
            ] {
                refused(dir.path(), args, &["w.safetensors", words]);
            }
        }
    }
}
