//! The chapter on data sets.

use crate::error::{Error, Result};
use crate::host::handles::data::{Data, Source};
use crate::host::run::Host;
use crate::host::run::settings::data_options;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::value::count;
use rhai::{Array, Dynamic, INT, Map};
use std::rc::Rc;

fn open(host: &Host, name: &str, options: &Map) -> Result<Source> {
    let known = ["resize", "limit", "split"];
    if let Some(key) = options.keys().find(|k| !known.contains(&k.as_str())) {
        return Err(Error::unknown_name("data option", key, known));
    }
    let options = data_options(host, options)?;
    let source = host.open_data(name, &options)?;
    let left_out = source.inventory.summary();
    host.note(&format!("data: {} for training, {} for testing{left_out}", source.train.describe(), source.test.len()));
    Ok(Source(source))
}

/// Register the functions of data sets.
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("data");
    api.value::<Source>("DataSource", |d| format!("{}, {} for testing", d.0.train.describe(), d.0.test.len()));
    api.value::<Data>("Data", |d| d.0.describe());
    let h = host.clone();
    api.def(
        [
            "data",
            "data() -> DataSource\ndata(name) -> DataSource\ndata(name, #{ resize, limit, split }) -> DataSource",
            "Open a data set: without a name, the run's (`--data`, or `digits`, which is embedded); else `digits`, \
             `cifar10`, `cifar100`, or a folder. resize: the side in pixels to shrink images to by box mean (it must \
             divide); pictures of other sizes get a shorter side of 256/224 of it, and their middle is taken; limit: at most so many training images a class; split: of a folder of pictures without test \
             pictures (CLASS/*.jpg, or train alone), the share of each class that is for training, by the run's seed. \
             `--set resize=`, `limit=` and `split=` override. A \
             missing or damaged file is an error that names it; what lies there and is not read is said.",
            "let d = data(\"digits\", #{ limit: 10 });\nassert(d.train.len == 100 && d.test.classes.len == 10);",
        ],
        move || open(&h, &h.options.data, &Map::new()).map_err(raise),
    );
    let h = host.clone();
    api.also("data", move |name: &str| open(&h, name, &Map::new()).map_err(raise));
    let h = host.clone();
    api.also("data", move |name: &str, options: Map| open(&h, name, &options).map_err(raise));
    let h = host.clone();
    api.also("data", move |options: Map| open(&h, &h.options.data, &options).map_err(raise));
    api.get(
        [
            "train",
            "source.train -> Data\npair.train -> Batch",
            "For training: the training set (of a pair of batches, its batch).",
            "assert(data().train.len > 1000);",
        ],
        |d: &mut Source| Ok(Data::new(d.0.train.clone())),
    );
    api.get(
        ["test", "source.test -> Data", "The test set: for the final word only.", "assert(data().test.len > 300);"],
        |d: &mut Source| Ok(Data::new(d.0.test.clone())),
    );
    api.get(
        ["len", "data.len -> integer", "Number of images.", "assert(data().train.take(5).len == 5);"],
        |d: &mut Data| Ok(d.0.len() as INT),
    );
    api.get(
        ["classes", "data.classes -> [string]", "Names of the classes.", "assert(data().train.classes.len == 10);"],
        |d: &mut Data| Ok(d.0.classes.iter().map(|c| Dynamic::from(c.clone())).collect::<Array>()),
    );
    api.get(
        [
            "shape",
            "data.shape -> [channels, height, width]\ntensor.shape -> [integer]",
            "Shape of an image, in pixels; of a tensor.",
            "assert(data().train.shape == [3, 8, 8]);",
        ],
        |d: &mut Data| {
            let (c, h, w) = d.0.shape;
            Ok([c, h, w].iter().map(|n| Dynamic::from(*n as INT)).collect::<Array>())
        },
    );
    api.also_get("name", |d: &mut Data| Ok(d.0.name.clone()));
    let h = host.clone();
    api.def(
        [
            "split",
            "data.split(fraction) -> [Data, Data]",
            "Two disjoint parts, the first with `fraction` (between 0 and 1) of every class; drawn by the run's seed. \
             Bi-level methods train weights on one half and architecture on the other.",
            "let halves = data().train.split(0.5);\nassert(halves[0].len + halves[1].len == data().train.len);",
        ],
        move |d: &mut Data, fraction: f64| -> Fallible<Array> {
            let (a, b) = d.0.split(fraction, h.stream.borrow().seed()).map_err(raise)?;
            h.trace.split(&[&a, &b]).map_err(raise)?;
            Ok(vec![Dynamic::from(Data::new(a)), Dynamic::from(Data::new(b))])
        },
    );
    let h = host.clone();
    api.def(
        [
            "take",
            "data.take(n) -> Data",
            "`n` images (all, if there are fewer), drawn by the run's seed; a smaller n takes the first of them.",
            "assert(data().train.take(64).len == 64);",
        ],
        move |d: &mut Data, n: INT| {
            if n < 1 {
                return Err(wrong("take, n", n, "an integer of at least 1"));
            }
            let part = d.0.take(count(n, "n")?, h.stream.borrow().seed());
            h.trace.split(&[&part]).map_err(raise)?;
            Ok(Data::new(part))
        },
    );
}
