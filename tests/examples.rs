//! The examples of the library run to their end.

#[path = "../examples/own_data.rs"]
mod own_data;
#[path = "../examples/own_primitive.rs"]
mod own_primitive;
#[path = "../examples/script_function.rs"]
mod script_function;
#[path = "../examples/search.rs"]
mod search;

use isdarts_host::{Host, Result};
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn every_example_runs() -> Result<()> {
    search::main()?;
    script_function::main()?;
    own_data::main()?;
    own_primitive::main()
}

#[test]
fn a_host_of_ones_own_takes_output_functions_modules_and_settings_and_says_what_is_wrong() -> Result<()> {
    let lines: Rc<RefCell<Vec<String>>> = Rc::default();
    let taken = lines.clone();
    let host = Host::builder()
        .set("lr", 0.5)
        .seed(7)
        .args(["a", "b"])
        .functions(|engine| {
            engine.register_fn("third", |x: f64| x / 3.0);
        })
        .module("ours", "fn twice(x) { 2 * x }")
        .output(move |line| taken.borrow_mut().push(line.to_string()))
        .build()?;
    let ran = host.run_text(
        "script",
        "let cfg = settings(#{ lr: 0.1 }); print(third(cfg.lr)); let x = ours::twice(args().len());",
    )?;
    assert_eq!(*lines.borrow(), [(0.5f64 / 3.0).to_string()]);
    assert_eq!((ran.get::<i64>("x"), ran.get::<String>("x")), (Some(4), None));
    for (text, message) in [
        ("let cfg = settings(#{ lr: 0.1 }); third(1)", "third"),
        ("1 +", "script"),
        ("print(1)", "lr"),
        ("let cfg = settings(#{ lr: 0.1 }); throw \"no\"", "no"),
    ] {
        let error = host.run_text("script", text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    let error = host.eval::<String>("1").unwrap_err().to_string();
    assert!(error.contains("value of the text: got i64, expected"), "{error}");
    let error = Host::builder().module("broken", "fn f( {").build().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("module `broken` of the program"), "{error}");
    Ok(())
}

#[test]
fn a_run_folder_of_a_host_resumes_with_its_data_from_memory() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    let text = "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }); for epoch in epochs(2) { net.train_epoch(data().train, #{ epochs: 2, batch_size: 8 }); } let loss = net.evaluate(data().test).loss;";
    let host_in = |pixel: u8, resume: bool, run: &std::path::Path| {
        let pixels: Vec<u8> = (0..16 * 3 * 8 * 8).map(|i| (i % 200) as u8 + pixel).collect();
        let labels: Vec<u32> = (0..16).map(|i| i % 2).collect();
        let part = isdarts_host::InMemory { pixels: &pixels, labels: &labels };
        let data = isdarts_host::Splits::in_memory("ours", &["a", "b"], 8, true, part, part)?;
        Host::builder().data_set(data).folder(run, resume).build()
    };
    let host = |pixel, resume| host_in(pixel, resume, &run);
    let first: f64 = host(0, false)?.run_text("script", text)?.get("loss").expect("a loss");
    let again: f64 = host(0, true)?.run_text("script", text)?.get("loss").expect("a loss");
    assert_eq!(first.to_bits(), again.to_bits());
    let text = "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }); net.train_epoch(data(\"digits\").train, #{});";
    let other = folder.path().join("other");
    let error = host_in(0, false, &other)?.run_text("script", text).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("classes of digits: got 10, expected 2") && !error.contains('\n'), "{error}");
    let error = host(1, true)?.run_text("script", text).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("fingerprint of data ours"), "{error}");
    Ok(())
}
