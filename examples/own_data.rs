//! A data set from memory: a script searches on images that this program made.
//!
//! `cargo run --release --example own_data`

use isdarts_host::{Host, InMemory, Result, Splits};

const SIDE: usize = 8;

/// Pixels and labels of `n` images of stripes, across (0) or down (1), each in a phase of its own.
fn stripes(n: usize) -> (Vec<u8>, Vec<u32>) {
    let (mut pixels, mut labels) = (vec![], vec![]);
    for i in 0..n {
        labels.push(i as u32 % 2);
        for _colour in 0..3 {
            for (y, x) in (0..SIDE * SIDE).map(|p| (p / SIDE, p % SIDE)) {
                let along = if i % 2 == 0 { y } else { x };
                pixels.push(if (along + i / 2) % 4 == 0 { 220 } else { ((7 * i + 3 * y + 5 * x) % 60) as u8 });
            }
        }
    }
    (pixels, labels)
}

/// Searches on the stripes, and prints what was found.
pub fn main() -> Result<()> {
    let (pixels, labels) = stripes(64);
    let train = InMemory { pixels: &pixels, labels: &labels };
    let (pixels, labels) = stripes(32);
    let test = InMemory { pixels: &pixels, labels: &labels };
    let data = Splits::in_memory("stripes", &["across", "down"], SIDE, false, train, test)?;

    let host = Host::builder().data_set(data).set("epochs", 6).set("channels", 4).build()?;
    let ran = host.run_text(
        "search.rhai",
        r#"
            import "nas/is_darts" as method;
            let cfg = settings(method::defaults() + #{ shrink_steps: 2, cells: 1, batch_size: 16, iim_samples: 32 });
            let found = method::search(space("nas-bench-201"), data(), cfg).to_string();
        "#,
    )?;
    println!("{}", ran.get::<String>("found").unwrap_or_default());
    Ok(())
}
