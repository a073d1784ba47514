//! A planted secret is in no file, in no form, and in no debug output.

mod common;

use std::process::Command;
use std::time::Duration;

use common::{Site, cx, key, publish, register, shows, target};
use futures_lite::future::block_on;
use keyward_core::SecretBackend;

const CANARY: &str = "sk_live_CanaryThatMustNeverShow0123456789abcdef";

#[test]
fn the_secret_is_in_no_file() {
    let site = Site::new();
    let store = site.open();
    let id = key("canary");
    register(&store, &id);
    publish(&store, &id, CANARY);
    assert!(shows(&store, &id, CANARY));
    let search = |when: &str| {
        // Also the names are sealed.
        let mut needles = vec![CANARY.to_owned(), id.to_string(), "ada@example.com".to_owned()];
        needles.extend([hex(CANARY.as_bytes()), hex(CANARY.as_bytes()).to_uppercase()]);
        needles.extend(base64(CANARY.as_bytes()));
        let mut files = 0;
        for entry in std::fs::read_dir(site.path()).unwrap() {
            let path = entry.unwrap().path();
            // In another process: opening and closing the files in this one would drop SQLite's locks.
            let bytes = Command::new("cat").arg(&path).output().unwrap().stdout;
            assert_eq!(bytes.len() as u64, path.metadata().unwrap().len());
            for needle in &needles {
                let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
                assert!(!found, "{when}: a name or the secret is in {}", path.display());
            }
            files += 1;
        }
        files
    };
    assert_eq!(search("open"), 4);
    block_on(store.retire(&cx(), &target(&id), Duration::ZERO)).unwrap();
    let debug = format!("{store:?} {:?}", store.inventory_key());
    assert!(!debug.contains(CANARY));
    drop(store);
    assert_eq!(search("closed"), 2);
    // Control: the search finds what is there.
    std::fs::write(site.path().join("control"), format!("x{}y", base64(CANARY.as_bytes())[1])).unwrap();
    assert!(std::panic::catch_unwind(|| search("control")).is_err());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a base64 text that holds the bytes at each of the three alignments has in common.
fn base64(bytes: &[u8]) -> Vec<String> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..3)
        .map(|skip| {
            let whole = bytes[skip..].chunks_exact(3);
            whole
                .flat_map(|three| {
                    let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
                    [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift & 63) as usize]))
                })
                .collect()
        })
        .collect()
}
