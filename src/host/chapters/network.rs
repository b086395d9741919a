//! The chapter on networks of found cells, and the zero-cost proxies of them and of candidates.

use super::train_genotype::plan_of;
use crate::error::Result;
use crate::host::handles::batch::BatchHandle;
use crate::host::handles::data::Data;
use crate::host::handles::importance::Importance;
use crate::host::handles::network::{self, NetworkHandle};
use crate::host::handles::supernet::SupernetHandle;
use crate::host::handles::tensor::TensorHandle;
use crate::host::run::{Run, files, settings};
use crate::host::script::api::Api;
use crate::host::script::errors::Fallible;
use crate::host::script::functions::functions;
use crate::search::in_order;
use rhai::{Dynamic, Map};
use std::rc::Rc;

/// Register the functions of networks, and proxies.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    api.chapter("networks");
    functions! { api, [host];
        /// The network of a cell as `train_genotype` makes it, with fresh weights (seeded by the run's random stream),
        /// to be looked at: loss, logits, features, evaluate, proxy. `genotype` as there. cfg.channels: C (16);
        /// cfg.cells: NAS-Bench-201 cells a stage, N (5), DARTS cells in all (8); cfg.network, cfg.classes,
        /// cfg.batch_size (64, of evaluate) as there and in `supernet`. It has no auxiliary head. Checkpoints do not
        /// keep it: a loop that resumes makes it anew.
        ///
        /// ```rhai
        /// let net = network(9930, #{ channels: 4, cells: 1 });
        /// let batch = data().train.take(8).batches(8)[0];
        /// assert(net.logits(batch).shape == [8, 10]);
        /// assert(net.evaluate(data().test.take(16)).images == 16);
        /// ```
        fn network(genotype: Dynamic, cfg: Map) -> Fallible<NetworkHandle> {
            settings::check(&host.settings, &cfg, settings::Taker::Training)?;
            Ok(NetworkHandle::new(&host, plan_of(&genotype)?, &cfg)?)
        }
        fn loss(&net: NetworkHandle, batch: BatchHandle) -> Result<TensorHandle> {
            Ok(net.pass(&batch, &Map::new())?.0)
        }
        fn loss(&net: NetworkHandle, batch: BatchHandle, cfg: Map) -> Result<TensorHandle> {
            Ok(net.pass(&batch, &cfg)?.0)
        }
        fn logits(&net: NetworkHandle, batch: BatchHandle) -> Result<TensorHandle> {
            Ok(net.pass(&batch, &Map::new())?.1)
        }
        fn logits(&net: NetworkHandle, batch: BatchHandle, cfg: Map) -> Result<TensorHandle> {
            Ok(net.pass(&batch, &cfg)?.1)
        }
        fn evaluate(&net: NetworkHandle, images: Dynamic) -> Fallible<Map> { net.evaluate(&images, &Map::new()) }
        fn evaluate(&net: NetworkHandle, images: Dynamic, cfg: Map) -> Fallible<Map> { net.evaluate(&images, &cfg) }

        /// What the classifier takes the mean of: [images, channels, height, width], in mode "eval" (or cfg.mode
        /// "train": batch norm by the batch).
        ///
        /// ```rhai
        /// let net = network(9930, #{ channels: 4, cells: 1 });
        /// assert(net.features(data().train.take(8).batches(8)[0]).shape == [8, 16, 2, 2]);
        /// ```
        fn features(&net: NetworkHandle, batch: BatchHandle) -> Result<TensorHandle> {
            net.features(&batch, &Map::new())
        }
        fn features(&net: NetworkHandle, batch: BatchHandle, cfg: Map) -> Result<TensorHandle> {
            net.features(&batch, &cfg)
        }
        fn save(&net: NetworkHandle, name: String) -> Result<()> {
            net.net().params().save(&files::run_file(&host, &name)?)
        }
        fn load(&net: NetworkHandle, name: String) -> Result<()> {
            net.net().params().load(&files::readable(&host, &name)?)
        }
        get describe(&net: NetworkHandle) -> String { crate::host::handles::Handle::text(net) }
    }
    functions! { api, [];
        /// The images as they are, in order, in an array of batches of `size` (the last may be smaller): for measures.
        ///
        /// ```rhai
        /// let batches = data().train.take(20).batches(8);
        /// assert(batches.map(|b| b.len) == [8, 8, 4]);
        /// ```
        fn batches(&data: Data, size: usize) -> Result<Vec<BatchHandle>> {
            let all = in_order(&data.0, size.max(1))?;
            Ok(all.map(|batch| BatchHandle(Rc::new(batch))).collect())
        }

        /// A zero-cost proxy of the network as it stands, on a batch or an array of batches (the mean of each alone;
        /// zico takes two or more together). L is the mean cross-entropy of the batch, w the weights of convolutions
        /// and classifier (no biases, no batch norms); batch norms go by the batch, and nothing moves.
        ///
        /// - grad_norm: sum over layers of |dL/dw|; snip: sum |w dL/dw|; grasp: -sum w (H dL/dw), the sign of
        ///   zero-cost-nas, H the Hessian with ReLUs and maxima as they stand (a difference of gradients with the gates
        ///   held: on the CPU in f32, within 0.2 % of the exact value on the cells of the tests; with maximum pools in
        ///   f64, and slow); fisher: over channels of layer outputs a, weights of the channel times half the mean over
        ///   images of (sum over pixels of a dL/da)^2 (slow where convolutions are separable).
        /// - synflow: sum |w dR/dw|, R the sum of the logits of an image of ones, |w| for w, no batch norms, in f64
        ///   (it grows by a factor a layer); NAS-Bench-Suite-Zero lists its logarithm.
        /// - jacob_cov: -sum log(v + k) + 1/(v + k), k = 1e-5, over the eigenvalues v of the correlations between the
        ///   images' gradients of the sum of the logits; naswot: log |det K|, K the number of ReLUs that two images
        ///   agree on; both grow with the batch: compare cells by batches of one size.
        /// - zen: log of the mean |f(x) - f(x + 0.01 x')| plus the sum over batch norms of half the log of the mean
        ///   running variance, f the features; x, x' and the weights are drawn anew, normal, so that only the shape of
        ///   the images counts. zico: sum over layers of log sum mean |g| / std g over the batches, g = dL/dw.
        /// - params, multiply_adds: counts, for which no batch is needed.
        ///
        /// Sources: zero-cost-nas (Abdelfattah et al., 2021), NASLib (nwot), ZenNAS, ZiCo. A number that is not
        /// finite, an empty batch, a cell without a path from images to logits are errors.
        ///
        /// ```rhai
        /// let net = network(9930, #{ channels: 4, cells: 1 });
        /// let batches = data().train.take(32).batches(16);
        /// for name in ["grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov", "naswot", "zen"] {
        ///     print(`${name}: ${net.proxy(name, batches[0])}`);
        /// }
        /// print(net.proxy("zico", batches));
        /// assert(net.proxy("params") > 0.0);
        /// ```
        fn proxy(&net: NetworkHandle, name: String, images: Dynamic) -> Fallible<f64> { net.proxy(&name, &images) }
        fn proxy(&net: NetworkHandle, name: String) -> Result<f64> { net.count(&name) }

        /// Proxies of the network, as `network.proxy` has each, in a map by name. Passes that several look at are made
        /// once: grad_norm, snip, fisher, naswot and zico share one forward and one backward pass a batch.
        ///
        /// ```rhai
        /// let net = network(9930, #{ channels: 4, cells: 1 });
        /// let batches = data().train.take(32).batches(16);
        /// let all = net.proxies(["params", "snip", "fisher", "naswot", "zico"], batches);
        /// assert(all.snip == net.proxy("snip", batches));
        /// ```
        fn proxies(&net: NetworkHandle, names: Vec<String>, images: Dynamic) -> Fallible<Map> {
            net.proxies(&names, &images)
        }

        /// A proxy of each live candidate under the mask, as an importance: its saliencies (grad_norm, snip, grasp,
        /// fisher, synflow as in `network.proxy`), summed over the weights of a candidate in all cells of its type, a
        /// mean over the batches; or its number of weights (params). A candidate without weights (skip, pool, `none`)
        /// has 0: by such a measure it goes first, the lower edge and op before the higher.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let batch = data().train.take(16).batches(16)[0];
        /// for subset in net.comparison_subsets() {
        ///     net.drop(subset.least_important(net.proxies("snip", batch), 4));
        /// }
        /// print(net.genotype());
        /// ```
        fn proxies(&net: SupernetHandle, name: String, images: Dynamic) -> Fallible<Importance> {
            network::proxies(net, &name, &images)
        }
    }
}
