//! One call, one test per rule.

/// Tests a store: makes one `#[test]` per rule of the contract, named like the rule.
///
/// The expression is evaluated anew for every test, inside an `async` block: it may `.await`. Its
/// value is a store, or a [`Guarded`](crate::Guarded) one with what keeps it alive.
///
/// ```no_run
/// keyward_conformance::suite!(keyward_core::MemoryBackend::default());
/// ```
///
/// Attributes before the expression go to every test, such as for a store that needs a server.
/// `block_on` names the function that runs futures, for stores that need a runtime; it is generic
/// over the future.
///
/// ```no_run
/// # mod live {
/// # async fn open() -> keyward_core::MemoryBackend { keyward_core::MemoryBackend::default() }
/// # fn on_runtime<F: Future>(future: F) -> F::Output { futures_lite::future::block_on(future) }
/// keyward_conformance::suite!(#[ignore = "needs a server"] open().await, block_on = on_runtime);
/// # }
/// ```
///
/// Use it once per module.
#[macro_export]
macro_rules! suite {
    (@ [$($attributes:tt)*] #[$($attribute:tt)*] $($rest:tt)*) => {
        $crate::suite!(@ [$($attributes)* #[$($attribute)*]] $($rest)*);
    };
    (@ $attributes:tt $fixture:expr $(,)?) => {
        $crate::suite!(@ $attributes $fixture, block_on = $crate::block_on);
    };
    (@ $attributes:tt $fixture:expr, block_on = $block_on:path $(,)?) => {
        $crate::__rules!(__tests { $attributes [$fixture] [$block_on] });
    };
    ($($input:tt)+) => {
        $crate::suite!(@ [] $($input)+);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($args:tt $($group:ident: [$($rule:ident)*])*) => {
        $($($crate::__test! { $group $rule $args })*)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __test {
    ($group:ident $rule:ident { [$(#[$attribute:meta])*] [$fixture:expr] [$block_on:path] }) => {
        #[test]
        $(#[$attribute])*
        fn $rule() {
            $block_on(async {
                let fixture = $fixture;
                let backend = $crate::Fixture::backend(&fixture);
                let subject = $crate::Subject::on(backend, |future| $block_on(future));
                $crate::cases::$group::$rule(&subject).await;
            });
        }
    };
}
