//! A Rust function given to scripts: an importance of this program's own decides which candidates are dropped.
//!
//! `cargo run --release --example script_function`

use isdarts_host::{Host, Result};
use std::cell::RefCell;
use std::rc::Rc;

/// Runs a script that calls `cost_of`, and takes what it prints.
pub fn main() -> Result<()> {
    let lines = Rc::new(RefCell::new(Vec::new()));
    let taken = lines.clone();
    let host = Host::builder()
        .functions(|engine| {
            // What a candidate is worth to us: cheap ones more.
            engine.register_fn("worth", |op: &str| match op {
                "none" => 0.0,
                op if op.starts_with("nor_conv") => 1.0 / f64::from(op.len() as u32),
                _ => 1.0,
            });
        })
        .module("ours", "fn least(space, candidates) { candidates.sort(|a, b| if worth(a.op) < worth(b.op) { -1 } else { 1 }); candidates[0] }")
        .output(move |line| taken.borrow_mut().push(line.to_string()))
        .build()?;
    let ran = host.run_text(
        "drop.rhai",
        r#"
            let net = supernet("nas-bench-201", #{ channels: 4, cells: 1 });
            for subset in net.comparison_subsets() {
                let least = ours::least(net.space, subset.alive);
                net.drop([least]);
                print(`dropped ${least}`);
            }
            let left = net.mask.n_alive;
        "#,
    )?;
    for line in lines.borrow().iter() {
        println!("{line}");
    }
    println!("{} candidates are left", ran.get::<i64>("left").unwrap_or_default());
    Ok(())
}
