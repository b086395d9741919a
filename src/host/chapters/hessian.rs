//! Second derivatives, in the chapter on gradients.

use crate::host::handles::gradients::GradientsHandle;
use crate::host::handles::hessian::{self, Loss};
use crate::host::handles::supernet::SupernetHandle;
use crate::host::handles::tensor::TensorHandle;
use crate::host::script::api::Api;
use crate::host::script::errors::Fallible;
use crate::host::script::functions::functions;
use rhai::{Dynamic, FnPtr, Map};

/// Register the functions of second derivatives.
pub fn register(api: &mut Api) {
    functions! { api, [];
        /// The matrix of second derivatives [n, n] of a loss, a closure without parameters, with respect to all numbers
        /// of variables (an array as alpha.values, or one tensor): central differences of gradients, of which it takes
        /// two a number, cfg.step (0.01) apart to each side. A ReLU that turns within the step adds its jump of the
        /// gradient, which no exact second derivative has: of a small network or batch take a shorter step (0.001).
        /// Passes in train mode move running statistics: take mode "eval", or a snapshot before.
        ///
        /// ```rhai
        /// let x = variable([tensor([1.0, 2.0])]);
        /// let h = hessian(|| x.values[0].at(0).pow(2) * x.values[0].at(1), x.values);
        /// assert((h - tensor([[4, 2], [2, 0]])).abs().max() < 1e-2);
        /// ```
        fn hessian(#context, loss: FnPtr, of: Dynamic) -> Fallible<TensorHandle> {
            hessian::hessian(&Loss { closure: &loss, context: &context }, &of, &Map::new())
        }
        fn hessian(#context, loss: FnPtr, of: Dynamic, cfg: Map) -> Fallible<TensorHandle> {
            hessian::hessian(&Loss { closure: &loss, context: &context }, &of, &cfg)
        }

        /// The product of the matrix of second derivatives of a loss, a closure, with a vector: of variables and an
        /// array of tensors like them, or of a supernet's weights and gradients `v`. Two gradients, at
        /// w + e v and w - e v with e = cfg.step / |v| (0.01, as in DARTS; see `hessian`), their difference divided by
        /// 2 e; everything is put back. Of a supernet the result also holds the mixed derivatives: `.of(alpha.values[0])` is the
        /// product that the second-order step of DARTS takes. The example is a power iteration.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {
        ///     let v = net.backward(net.loss(batch));
        ///     for i in 0..2 {
        ///         let h = hessian_vector(|| net.loss(batch), net, v);
        ///         print(h.dot(v) / v.dot(v));
        ///         v = h / h.norm();
        ///     }
        /// }
        /// ```
        fn hessian_vector(#context, loss: FnPtr, net: SupernetHandle, v: GradientsHandle) -> Fallible<GradientsHandle> {
            hessian::of_weights(&Loss { closure: &loss, context: &context }, &net, &v, &Map::new())
        }
        fn hessian_vector(#context, loss: FnPtr, net: SupernetHandle, v: GradientsHandle, cfg: Map)
            -> Fallible<GradientsHandle> {
            hessian::of_weights(&Loss { closure: &loss, context: &context }, &net, &v, &cfg)
        }
        fn hessian_vector(#context, loss: FnPtr, of: Dynamic, v: Dynamic) -> Fallible<Dynamic> {
            hessian::of_variables(&Loss { closure: &loss, context: &context }, &of, &v, &Map::new())
        }
        fn hessian_vector(#context, loss: FnPtr, of: Dynamic, v: Dynamic, cfg: Map) -> Fallible<Dynamic> {
            hessian::of_variables(&Loss { closure: &loss, context: &context }, &of, &v, &cfg)
        }

        /// The eigenvalues of a symmetric matrix, the largest first. Of the Hessian of the validation loss in the
        /// architecture parameters the first is what RobustDARTS stops by.
        ///
        /// ```rhai
        /// assert((eigenvalues(tensor([[2, 1], [1, 2]]))[0] - 3.0).abs() < 1e-6);
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let alpha = architecture_parameters(net, #{});
        /// for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {
        ///     let h = hessian(|| net.loss(batch, alpha.softmax(), #{ mode: "eval" }), alpha.values);
        ///     print(eigenvalues(h)[0]);
        /// }
        /// ```
        fn eigenvalues(matrix: TensorHandle) -> Fallible<Vec<f64>> { hessian::eigenvalues(&matrix) }
    }
}
