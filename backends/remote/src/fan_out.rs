//! Many calls, a few at a time.

use futures_util::{StreamExt, stream};

/// Makes a call for each item, at most `at_once` under way; the answers in the order of the items.
///
/// ```
/// # futures_lite::future::block_on(async {
/// let doubled = keyward_remote::fan_out([1, 2, 3], 2, |n| async move { 2 * n }).await;
/// assert_eq!(doubled, [2, 4, 6]);
/// # });
/// ```
pub async fn fan_out<I, T, F>(items: I, at_once: usize, call: impl FnMut(I::Item) -> F) -> Vec<T>
where
    I: IntoIterator,
    F: Future<Output = T>,
{
    stream::iter(items.into_iter().map(call)).buffered(at_once.max(1)).collect().await
}
