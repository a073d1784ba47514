//! A search that finds nothing proves nothing, unless it finds what is there: one planted leak for
//! every form on every surface.

use std::error::Error;
use std::fmt;
use std::process::Command;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use futures_lite::future::block_on;
use keyward::audit::AuditLog;
use keyward::core::{AuditAction, AuditEvent, AuditQuery, MemoryBackend};
use serde::Serialize;

use crate::hooks::{ON_PURPOSE, watch};
use crate::secret::{BINARY, Canary, Kind, Search, TEXT, TOKEN};
use crate::support::cx;
use crate::witness::{Surface, Witness};

/// Secrets of these tests only, so that what they leak alarms nobody else.
const OURS: &[u8] = b"Mx4\"uGy\\8sQf1Wd\xc3\xa9eRh6Tn2Bk";
const OURS_TEXT: &str = "Mx4\"uGy\\8sQf1Wd\u{e9}eRh6Tn2Bk";

fn search() -> Search {
    Search::of([TOKEN, TEXT, BINARY])
}

#[test]
fn a_secret_is_found_in_every_form() {
    let search = search();
    for kind in Kind::ALL {
        let canary = Canary::plant(kind);
        let secret = canary.bytes();
        let found = |text: &[u8], form: &str| {
            for before in ["", "x", "xy", "xyz", "\"", "="] {
                let text = [before.as_bytes(), text, b"tail"].concat();
                assert_eq!(search.find(&text), Some(form), "{kind:?} {form} after {before:?}");
            }
        };
        found(secret, "in the clear");
        found(HEXLOWER.encode(secret).as_bytes(), "in hex");
        found(HEXUPPER.encode(secret).as_bytes(), "in hex");
        let list = [format!("{secret:?}"), format!("{secret:#?}"), format!("{secret:x?}"), format!("{secret:#04x?}")];
        list.iter().for_each(|text| found(text.as_bytes(), "as a list of bytes"));
        let percent: String = secret.iter().map(|byte| format!("%{byte:02x}")).collect();
        found(percent.as_bytes(), "percent-encoded");
        found(percent.to_uppercase().as_bytes(), "percent-encoded");
        for shift in 0..3 {
            let shifted = [&b"abc"[..shift], secret, b"rest"].concat();
            for encoding in [BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD] {
                found(encoding.encode(&shifted).as_bytes(), "in base64");
            }
        }
        let utf16: Vec<u8> = String::from_utf8_lossy(secret).encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(search.find(&utf16), Some("in UTF-16"));
    }
}

#[test]
fn a_secret_is_found_however_it_is_escaped() {
    let search = search();
    let canary = Canary::plant(Kind::Text);
    let whole = canary.text();
    // Escapes in every window, so that no plain run gives it away.
    let head: String = whole.chars().take(9).collect();
    for text in [whole, &head] {
        let ascii = text.encode_utf16().fold(String::new(), |all, unit| match u8::try_from(unit).map(char::from) {
            Ok('"') => all + "\\\"",
            Ok('\\') => all + "\\\\",
            Ok('\n') => all + "\\n",
            Ok('\t') => all + "\\t",
            Ok(c) if c.is_ascii() => all + &c.to_string(),
            _ => all + &format!("\\u{unit:04x}"),
        });
        let json = serde_json::to_string(text).expect("JSON");
        let twice = serde_json::to_string(&json).expect("JSON");
        let forms = [
            format!("{text:?}"),
            format!("{json:?}"),
            text.escape_default().to_string(),
            text.as_bytes().escape_ascii().to_string(),
            format!("{:?}", text.escape_debug().to_string()),
            json,
            twice,
            ascii,
        ];
        for (number, form) in forms.iter().enumerate() {
            assert!(search.find(form.as_bytes()).is_some(), "not found in form {number}");
        }
    }
    let lossy = String::from_utf8_lossy(Canary::plant(Kind::Binary).bytes()).into_owned();
    for form in [format!("{lossy:?}"), serde_json::to_string(&lossy).expect("JSON"), lossy] {
        assert!(search.find(form.as_bytes()).is_some(), "not found in what is no text");
    }
}

#[test]
fn twelve_bytes_of_a_secret_are_a_leak_and_wrapping_them_hides_nothing() {
    let search = search();
    for kind in Kind::ALL {
        let canary = Canary::plant(kind);
        for window in canary.bytes().windows(12) {
            assert_eq!(search.find(window), Some("in the clear"), "{kind:?}");
            assert_eq!(search.find(HEXLOWER.encode(window).as_bytes()), Some("in hex"), "{kind:?}");
            assert_eq!(search.find(format!("{window:?}").as_bytes()), Some("as a list of bytes"), "{kind:?}");
        }
        let wrapped: Vec<_> = HEXUPPER.encode(canary.bytes()).into_bytes().chunks(10).map(<[u8]>::to_vec).collect();
        assert_eq!(search.find(&wrapped.join(&b"\r\n    "[..])), Some("in hex"));
    }
}

#[test]
fn what_holds_no_secret_is_clean() {
    let search = search();
    let mut noise = vec![0; 1 << 20];
    getrandom::fill(&mut noise).expect("randomness");
    for text in [noise.clone(), HEXLOWER.encode(&noise).into_bytes(), BASE64.encode(&noise).into_bytes()] {
        assert_eq!(search.find(&text), None);
    }
    let lost = "\u{fffd}".repeat(64);
    assert_eq!(search.find(format!("{lost}{lost:?}").as_bytes()), None);
    for kind in Kind::ALL {
        let canary = Canary::plant(kind);
        assert_eq!(search.find(&canary.bytes()[..7]), None, "seven bytes are too few to tell");
    }
}

#[derive(Debug, Serialize)]
struct Leaky(Vec<u8>);

impl fmt::Display for Leaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clean")
    }
}

#[derive(Debug)]
struct Outer(Inner);

struct Inner;

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clean")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OURS_TEXT)
    }
}

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clean")
    }
}

impl Error for Inner {}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn a_leak_is_found_on_every_surface() {
    let _installed = Witness::new();
    let witness = Witness::of(Search::of([OURS]));
    watch(&witness);
    let expect = |surface: Surface| {
        let found = witness.take_found();
        assert!(found.iter().any(|text| text.starts_with(&format!("{surface:?}"))), "{surface:?}: {found:?}");
    };
    let leaky = Leaky(OURS.to_vec());
    witness.debug("a leaky value", &leaky);
    expect(Surface::Debug);
    witness.shown("a leaky text", &OURS_TEXT);
    expect(Surface::Display);
    witness.error("a leaky cause", &Outer(Inner));
    expect(Surface::Chain);
    witness.json("a leaky value", &leaky);
    expect(Surface::Json);
    witness.json("a leaky text", &OURS_TEXT);
    expect(Surface::Json);

    tracing::trace!(value = OURS_TEXT, "an event");
    expect(Surface::Trace);
    tracing::trace!("an event with {OURS_TEXT} in its message");
    expect(Surface::Trace);
    let span = tracing::trace_span!("a span", value = ?OURS, later = tracing::field::Empty);
    expect(Surface::Trace);
    span.record("later", OURS_TEXT);
    expect(Surface::Trace);

    let panicked = std::thread::spawn(|| panic!("{ON_PURPOSE}: {OURS_TEXT}")).join();
    assert!(panicked.is_err());
    expect(Surface::Panic);

    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("page"), [&[0; 999], OURS, &[0; 99]].concat()).expect("a file");
    witness.directory(directory.path());
    expect(Surface::Disk);
    std::fs::remove_file(directory.path().join("page")).expect("removed");
    std::fs::write(directory.path().join(HEXLOWER.encode(OURS)), b"").expect("a file");
    witness.directory(directory.path());
    expect(Surface::Disk);

    for script in ["printf %s \"$LEAK\"", "printf %s \"$LEAK\" >&2"] {
        let child = Command::new("sh").args(["-c", script]).env("LEAK", OURS_TEXT).output().expect("a shell");
        witness.look(Surface::Output, "a child", &child.stdout);
        witness.look(Surface::Output, "a child", &child.stderr);
        expect(Surface::Output);
    }

    block_on(async {
        let store = MemoryBackend::default();
        let log = AuditLog::of(&store).expect("a log");
        let event = AuditEvent::new(AuditAction::Note, &cx()).detail(OURS_TEXT);
        keyward::core::SecretBackend::audit(&store).expect("a log").append(&cx(), &event).await.expect("append");
        for entry in log.entries(&cx(), &AuditQuery::default()).await.expect("entries") {
            witness.entry(&entry);
        }
    });
    let found = witness.take_found();
    for surface in ["Debug of an audit entry", "Json of an audit entry", "Display of an audit line"] {
        assert!(found.iter().any(|text| text.starts_with(surface)), "{surface}: {found:?}");
    }
    witness.finish("negative controls", &[Surface::Debug, Surface::Chain, Surface::Disk, Surface::Output]);
}

#[test]
fn a_witness_that_found_a_leak_fails_the_test_without_repeating_it() {
    let witness = Witness::of(Search::of([OURS]));
    witness.shown("a value", &OURS_TEXT);
    let failed = std::thread::Builder::new().spawn(move || witness.finish(ON_PURPOSE, &[])).expect("a thread").join();
    let payload = failed.expect_err("the test must fail");
    let text = crate::hooks::said(&*payload).to_owned();
    assert!(text.contains("Display of a value: in the clear"), "{text}");
    assert_eq!(Search::of([OURS]).find(text.as_bytes()), None, "the report repeats the secret");
}
