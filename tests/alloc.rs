//! A read by handle or by name, and a report, allocate nothing.

#[path = "keyring/setup.rs"]
mod setup;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use futures_lite::future::block_on;
use keyward::core::{Environment, MemoryBackend, SystemClock};
use keyward::keyring::{Keyring, Outcome};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    COUNT.with(|count| count.set(count.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator that counts cannot be written otherwise")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the pointer was made by the system's allocator with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_read_and_a_report_allocate_nothing() {
    let store = MemoryBackend::default();
    setup::provision(&store, &SystemClock, "production/payments/stripe-charges", "sk_live_1");
    let builder = Keyring::builder(store).environment(Environment::Production).service("billing-api");
    let keys = block_on(builder.require("payments/stripe-charges").load()).expect("the keyring loads");
    let handle = keys.handle("payments/stripe-charges").expect("a handle");
    let once = |bytes: &mut usize| {
        let key = handle.live().expect("a live key");
        *bytes += key.expose_secret().len() + key.expose_str().map_or(0, str::len);
        key.report(Outcome::Ok);
        let named = keys.live("payments/stripe-charges").expect("a live key");
        *bytes += named.expose_secret().len();
        named.report(Outcome::AuthRejected);
    };
    let mut bytes = 0;
    // The first read of a thread sets up what arc-swap keeps for it.
    once(&mut bytes);

    let before = COUNT.with(Cell::get);
    (0..10_000).for_each(|_| once(&mut bytes));
    assert_eq!(COUNT.with(Cell::get) - before, 0);
    assert_eq!(bytes, 10_001 * 27);
}
