//! The thread of a store stops in the middle of a call: whoever waits hears of it, and of the right thing.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};
use common::{Site, cx, key, material, register, target};
use futures_lite::future::{block_on, poll_once};
use keyward_core::{Clock, ErrorKind, SecretBackend, SecretBackendExt, SystemClock, VersionId, async_trait};
use keyward_file::FileBackend;

/// Panics once armed, after it said so and was let go: a fault in what the caller plugged in.
#[derive(Debug)]
struct Trap {
    armed: AtomicBool,
    entered: Mutex<Sender<()>>,
    release: Mutex<Receiver<()>>,
}

#[async_trait]
impl Clock for Trap {
    fn now(&self) -> DateTime<Utc> {
        if self.armed.swap(false, Ordering::SeqCst) {
            self.entered.lock().expect("a lock").send(()).expect("a test that waits");
            self.release.lock().expect("a lock").recv().expect("a test that lets go");
            panic!("the clock of the caller failed");
        }
        SystemClock.now()
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

#[test]
fn a_call_that_waits_behind_a_panic_is_refused_and_does_not_wait_for_its_deadline() {
    let (entered, has_entered) = channel();
    let (release, released) = channel();
    let trap = Trap { armed: AtomicBool::new(false), entered: Mutex::new(entered), release: Mutex::new(released) };
    let trap = Arc::new(trap);
    let site = Site::new();
    let store = site.open_with(FileBackend::builder().clock(trap.clone()));
    let id = key("stripe");
    register(&store, &id);

    trap.armed.store(true, Ordering::SeqCst);
    let stages = thread::spawn({
        let (store, id) = (store.clone(), id.clone());
        move || block_on(store.stage(&cx(), &target(&id), VersionId::generate(), &material("sk_test_1")))
    });
    has_entered.recv().expect("the store reads the clock");

    // This call is in the queue when the thread stops. Its deadline is an hour away: if it waited, the test would hang.
    let patient = cx().within(Duration::from_secs(3_600));
    let waiting = store.load_one(&patient, &id);
    block_on(async {
        futures_lite::pin!(waiting);
        assert!(poll_once(&mut waiting).await.is_none(), "it waits behind the other");
        release.send(()).expect("the clock waits");
        let refused = waiting.await.expect_err("the thread has stopped");
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "it never began: {refused}");
    });
    let begun = stages.join().expect("the caller lives on").expect_err("the thread has stopped");
    assert_eq!(begun.kind(), ErrorKind::Unknown, "it had begun: {begun}");

    let later = block_on(store.load_one(&cx(), &id)).expect_err("the thread has stopped");
    assert_eq!(later.kind(), ErrorKind::Unavailable);
    drop(store);
    let verified = block_on(site.open().verify(&cx())).expect("the store opens again and is whole");
    assert_eq!((verified.records, verified.material), (1, 0), "what had begun was not done");
}
