//! What is left behind on the heap: an allocator that looks at every block before it is freed.

#![expect(unsafe_code, reason = "an allocator cannot be written without; this one only watches")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::ptr;

use keyward_seal::{
    InventoryKey, KdfParams, KdfPolicy, KeyFile, MacKey, Passphrase, RootKey, SealError, SealKey, Slot, Unlock, open,
    seal,
};
use zeroize::Zeroizing;

const CANARY: &[u8; 32] = b"canary 5f0e1b canary 5f0e1b cana";
const CANARY_IN_HEX: &[u8] = b"63616e61727920356630653162";

#[test]
fn the_watch_sees_what_is_left() {
    // The negative control: a plain buffer, and one that is wiped but was moved while it grew.
    let (_, seen) = watch(|| drop(CANARY.to_vec()));
    assert_eq!(seen.canaries, 1);
    let (_, seen) = watch(|| {
        let mut growing = Zeroizing::new(CANARY.to_vec());
        growing.push(0);
    });
    assert_eq!(seen.canaries, 1);
    let (_, seen) = watch(|| drop(vec![1_u8; 2 << 20]));
    assert_eq!((seen.largest, seen.dirty_megabytes), (2 << 20, 1));
}

#[test]
fn keys_leave_nothing() {
    let ((), seen) = watch(|| {
        let keys = [SealKey::from_bytes(CANARY), SealKey::from_bytes(CANARY)];
        let sealed = keys[0].seal_key(&keys[1], b"").expect("sealed");
        drop(keys[1].open_key(&sealed, b"").expect("opens"));
        let mac = MacKey::from_bytes(CANARY).mac(&[CANARY]);
        MacKey::from_bytes(CANARY).verify(&[CANARY], &mac).expect("verifies");
        let root = RootKey::from_bytes(CANARY);
        drop((root.derive(CANARY), root.derive_mac(b"")));
        let _ = InventoryKey::from_bytes(CANARY).fingerprint(CANARY);
    });
    assert_eq!(seen.canaries, 0);
}

#[test]
fn sealing_and_opening_leave_nothing() {
    let key = SealKey::from_bytes(CANARY);
    let plaintext = CANARY.repeat(1500);
    for length in [32, 100, 20_000, 48_000] {
        let (sealed, seen) = watch(|| seal(&key, &plaintext[..length], b"context").expect("sealed"));
        assert_eq!(seen.canaries, 0);
        let ((), seen) = watch(|| {
            let opened = open(&key, &sealed, b"context").expect("opens");
            assert_eq!(opened.len(), opened.capacity());
        });
        assert_eq!(seen.canaries, 0);
    }
}

#[test]
fn a_message_damaged_at_its_end_leaves_nothing() {
    let key = SealKey::from_bytes(CANARY);
    let mut sealed = seal(&key, &CANARY.repeat(1500), b"context").unwrap();
    *sealed.last_mut().unwrap() ^= 1;
    let (error, seen) = watch(|| open(&key, &sealed, b"context").err());
    assert_eq!(error, Some(SealError::Rejected));
    assert!(seen.largest >= 48_000, "the first chunks were opened into the buffer");
    assert_eq!(seen.canaries, 0);
}

#[test]
fn slots_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("unlock.key");
    let digits = base16ct::lower::encode_string(CANARY);
    fs::write(&path, format!("keyward-key-v1:{digits}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let (store, policy) = ([7; 16], KdfPolicy::minimum());

    let ((), seen) = watch(|| {
        let words = std::str::from_utf8(CANARY).expect("text");
        let passphrase = Passphrase::new(words.into()).expect("not empty");
        let unlock = Unlock::from((KeyFile::at(&path), passphrase));
        let slot = Slot::create(&store, &RootKey::from_bytes(CANARY), &unlock, &policy).expect("created");
        slot.open(&store, &unlock, &policy).expect("opens");
        drop(KeyFile::at(&path).load().expect("loads"));
    });
    assert_eq!(seen.canaries, 0);
    assert!(seen.largest >= 19 << 20, "the memory of Argon2 was seen");
    assert_eq!(seen.dirty_megabytes, 0, "and was wiped");
}

#[test]
fn a_key_derivation_bomb_allocates_nothing() {
    let bomb = |memory: u32, passes: u32, lanes: u32| {
        let numbers = [memory, passes, lanes].map(u32::to_be_bytes).concat();
        [&b"KWSL\x01\x02\x01"[..], &numbers, &[5; 16], &[0; 104]].concat()
    };
    for bytes in
        [bomb(u32::MAX, 2, 1), bomb(64 << 10, u32::MAX, 1), bomb(u32::MAX, u32::MAX, u32::MAX), bomb(1 << 20, 16, 4)]
    {
        let (slot, seen) = watch(|| Slot::decode(&bytes));
        assert!(matches!(slot, Err(SealError::KdfRefused { .. })));
        assert_eq!(seen.largest, 0);
    }

    // Within the limits, but more than this machine is willing to spend.
    let unlock = Unlock::from(Passphrase::new("words".into()).unwrap());
    let slot = Slot::decode(&bomb(1 << 20, 2, 1)).unwrap();
    let policy = KdfPolicy::default().with_max_memory_kib(128 << 10);
    let (root, seen) = watch(|| slot.open(&[7; 16], &unlock, &policy));
    assert!(matches!(root, Err(SealError::KdfRefused { .. })));
    assert_eq!(seen.largest, 0);
}

#[test]
fn too_little_memory_is_an_error() {
    let unlock = Unlock::from(Passphrase::new("words".into()).unwrap());
    let policy = KdfPolicy::new(KdfParams::new(64 << 10, 2, 1).unwrap());
    LIMIT.set(32 << 20);
    let slot = Slot::create(&[7; 16], &RootKey::generate().unwrap(), &unlock, &policy);
    LIMIT.set(usize::MAX);
    assert_eq!(slot.unwrap_err(), SealError::KdfMemory { memory_kib: 64 << 10 });
}

/// What happened on the heap, on this thread, while something ran.
#[derive(Clone, Copy)]
struct Seen {
    /// Freed blocks that still held the canary, as bytes or as hex digits.
    canaries: usize,
    /// Freed blocks of a megabyte and more that were not wiped.
    dirty_megabytes: usize,
    /// The longest block that was allocated.
    largest: usize,
}

fn watch<T>(work: impl FnOnce() -> T) -> (T, Seen) {
    SEEN.set(Some(Seen { canaries: 0, dirty_megabytes: 0, largest: 0 }));
    let result = work();
    (result, SEEN.take().expect("only this function sets it"))
}

thread_local! {
    static SEEN: Cell<Option<Seen>> = const { Cell::new(None) };
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

struct Watching;

#[global_allocator]
static ALLOCATOR: Watching = Watching;

// SAFETY: every block comes from the system allocator and goes back to it unchanged.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LIMIT.get() {
            return ptr::null_mut();
        }
        if let Some(seen) = SEEN.get() {
            SEEN.set(Some(Seen { largest: seen.largest.max(layout.size()), ..seen }));
        }
        // SAFETY: the caller's promises are passed on. `realloc` is the provided one, so it comes by here too.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(mut seen) = SEEN.get() {
            // SAFETY: the block is still allocated, has this size, and was zeroed at the start.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            let holds = |canary: &[u8]| bytes.windows(canary.len()).any(|window| window == canary);
            if layout.size() >= 1 << 20 {
                seen.dirty_megabytes += usize::from(bytes.iter().any(|&byte| byte != 0));
            } else {
                seen.canaries += usize::from(holds(&CANARY[..13]) || holds(CANARY_IN_HEX));
            }
            SEEN.set(Some(seen));
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }
}
