//! The chapter on data sets.

use crate::error::Result;
use crate::host::handles::data::{Data, DataSource};
use crate::host::run::Run;
use crate::host::run::settings::{PictureConfig, data_options};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, wrong};
use crate::host::script::functions::functions;
use crate::host::script::types::Options;
use rhai::INT;
use std::rc::Rc;

fn open(host: &Run, name: &str, options: &Options<PictureConfig>) -> Result<DataSource> {
    let source = host.open_data(name, &data_options(&host.settings, &options.map, host.options.seed)?)?;
    let left_out = source.inventory.summary();
    host.note(&format!("data: {} for training, {} for testing{left_out}", source.train.describe(), source.test.len()));
    Ok(DataSource(source))
}

/// Register the functions of data sets.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    api.chapter("data");
    functions! { api, [host];
        /// Open a data set: without a name, the run's (`--data`, or `digits`, which is embedded); else `digits`,
        /// `cifar10`, `cifar100`, or a folder. resize: the side in pixels to shrink images to by box mean (it must
        /// divide); pictures of other sizes get a shorter side of 256/224 of it, and their middle is taken; limit: at
        /// most so many training images a class; split: of a folder of pictures without test pictures (CLASS/*.jpg,
        /// or train alone), the share of each class that is for training, by the run's seed. `--set resize=`,
        /// `limit=` and `split=` override. A missing or damaged file is an error that names it; what lies there and
        /// is not read is said.
        ///
        /// ```rhai
        /// let d = data("digits", #{ limit: 10 });
        /// assert(d.train.len == 100 && d.test.classes.len == 10);
        /// ```
        fn data() -> Result<DataSource> { open(&host, &host.options.data, &Options::none()) }
        fn data(name: String) -> Result<DataSource> { open(&host, &name, &Options::none()) }
        fn data(name: String, options: Options<PictureConfig>) -> Result<DataSource> { open(&host, &name, &options) }
        fn data(options: Options<PictureConfig>) -> Result<DataSource> { open(&host, &host.options.data, &options) }

        /// For training: the training set (of a pair of batches, its batch).
        ///
        /// ```rhai
        /// assert(data().train.len > 1000);
        /// ```
        get train(&source: DataSource) -> Data { Data::new(source.0.train.clone()) }

        /// The test set: for the final word only.
        ///
        /// ```rhai
        /// assert(data().test.len > 300);
        /// ```
        get test(&source: DataSource) -> Data { Data::new(source.0.test.clone()) }

        /// Number of images.
        ///
        /// ```rhai
        /// assert(data().train.take(5).len == 5);
        /// ```
        get len(&data: Data) -> usize { data.0.len() }

        /// Names of the classes.
        ///
        /// ```rhai
        /// assert(data().train.classes.len == 10);
        /// ```
        get classes(&data: Data) -> Vec<String> { data.0.classes.to_vec() }

        /// Shape of an image, in pixels; of a tensor.
        ///
        /// ```rhai
        /// assert(data().train.shape == [3, 8, 8]);
        /// ```
        get shape(&data: Data) -> Vec<usize> {
            let (channels, height, width) = data.0.shape;
            vec![channels, height, width]
        }
        get name(&data: Data) -> String { data.0.name.clone() }

        /// Two disjoint parts, the first with `fraction` (between 0 and 1) of every class; drawn by the run's seed.
        /// Bi-level methods train weights on one half and architecture on the other.
        ///
        /// ```rhai
        /// let halves = data().train.split(0.5);
        /// assert(halves[0].len + halves[1].len == data().train.len);
        /// ```
        fn split(&data: Data, fraction: f64) -> Result<Vec<Data>> {
            let (a, b) = data.0.split(fraction, host.stream.borrow().seed())?;
            host.trace.split(&[&a, &b])?;
            Ok(vec![Data::new(a), Data::new(b)])
        }

        /// `n` images (all, if there are fewer), drawn by the run's seed; a smaller n takes the first of them.
        ///
        /// ```rhai
        /// assert(data().train.take(64).len == 64);
        /// ```
        fn take(&data: Data, n: INT) -> Fallible<Data> {
            let some = usize::try_from(n).ok().filter(|n| *n > 0);
            let n = some.ok_or_else(|| wrong("take, n", n, "an integer of at least 1"))?;
            let part = data.0.take(n, host.stream.borrow().seed());
            host.trace.split(&[&part])?;
            Ok(Data::new(part))
        }
    }
}
