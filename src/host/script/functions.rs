//! The one way in which host functions are registered: written as functions of Rust, with their documentation.

/// Registers functions in an [`Api`](super::api::Api).
///
/// ```text
/// functions! { api, [host];
///     /// What it does.
///     ///
///     /// ```rhai
///     /// print(data().train.take(2));
///     /// ```
///     fn take(&data: Data, n: usize) -> Result<Data> { ... }
/// }
/// ```
///
/// - `&data: Data` in front is what stands before the dot; `get` in place of `fn` makes a property of it.
/// - Types are those of [`Argument`](super::types::Argument) and [`Returned`](super::types::Returned). `#context` in front
///   is Rhai's `NativeCallContext`.
/// - A function without documentation is another overload of the entry of its name.
/// - Each function has clones of what stands in the square brackets.
///
/// Signatures, the manual, completion and the definitions for editors follow from names and types, so that none of them
/// can disagree with the function.
macro_rules! functions {
    ($api:ident, $shared:tt; $(
        $(#[doc = $doc:expr])* $kind:ident $name:tt ($($args:tt)*) $(-> $ret:ty)? { $($body:tt)* }
    )*) => {
        $(functions!(@one $api $shared [$($doc),*] $kind $name ($($args)*) [$($ret)?] { $($body)* });)*
    };
    (@one $api:ident $shared:tt $doc:tt fn $name:tt
        (&$me:ident: $mine:ty $(, $arg:ident: $ty:ty)*) $ret:tt $body:tt) => {
        functions!(@def $api $shared $doc $name [$me: $mine] [] [$($arg: $ty),*] $ret $body)
    };
    (@one $api:ident $shared:tt $doc:tt fn $name:tt
        ($(#$context:ident,)? $($arg:ident: $ty:ty),*) $ret:tt $body:tt) => {
        functions!(@def $api $shared $doc $name [] [$($context)?] [$($arg: $ty),*] $ret $body)
    };
    (@one $api:ident [$($shared:ident),*] $doc:tt get $name:tt (&$me:ident: $mine:ty) [$ret:ty] $body:tt) => {{
        use $crate::host::script::doc::Signature;
        use $crate::host::script::types::{Argument, Returned};
        $(#[allow(unused_variables)] let $shared = $shared.clone();)*
        let signature = Signature {
            name: functions!(@name $name),
            receiver: Some(<$mine as Argument>::parameter(stringify!($me))),
            parameters: None,
            result: <$ret as Returned>::kind,
        };
        $api.property(signature, &$doc, move |$me: &mut $mine| {
            #[allow(clippy::redundant_closure_call)]
            let out: $ret = (|| -> $ret $body)();
            Returned::give(out)
        });
    }};
    (@def $api:ident [$($shared:ident),*] $doc:tt $name:tt [$($me:ident: $mine:ty)?] [$($context:ident)?]
        [$($arg:ident: $ty:ty),*] [$($ret:ty)?] $body:tt) => {{
        #[allow(unused_imports)]
        use $crate::host::script::{doc::Signature, types::{Argument, Returned}};
        $(#[allow(unused_variables)] let $shared = $shared.clone();)*
        let name = functions!(@name $name);
        #[allow(unused_mut, unused_assignments)]
        let mut receiver = None;
        $(receiver = Some(<$mine as Argument>::parameter(stringify!($me)));)?
        let signature = Signature {
            name,
            receiver,
            parameters: Some(vec![$(<$ty as Argument>::parameter(stringify!($arg))),*]),
            result: <functions!(@ret $($ret)?) as Returned>::kind,
        };
        let function = move |
            $($me: &mut $mine,)?
            $($context: rhai::NativeCallContext,)?
            $($arg: <$ty as Argument>::Raw),*
        | -> $crate::host::script::errors::Fallible<<functions!(@ret $($ret)?) as Returned>::Raw> {
            $(let $arg = <$ty as Argument>::take($arg, name, stringify!($arg))?;)*
            #[allow(clippy::redundant_closure_call)]
            let out: functions!(@ret $($ret)?) = (|| -> functions!(@ret $($ret)?) $body)();
            Returned::give(out)
        };
        $api.function(signature, &$doc, function);
    }};
    (@name $name:ident) => { stringify!($name) };
    (@name $name:literal) => { $name };
    (@ret) => { () };
    (@ret $ret:ty) => { $ret };
}
pub(crate) use functions;
