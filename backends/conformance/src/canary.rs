//! A marked secret, and every form in which it could turn up where it must not.

use std::fmt::Write as _;

use keyward_core::{Material, SecretValue, VersionId};

/// A secret that is like no other, to be planted and searched for.
///
/// ```
/// use keyward_conformance::canary::Canary;
/// let canary = Canary::new();
/// assert_eq!(canary.found_in(b"all is well"), None);
/// let hex: String = canary.bytes().iter().map(|b| format!("{b:02X}")).collect();
/// assert_eq!(canary.found_in(hex.as_bytes()), Some("in hex"));
/// ```
pub struct Canary {
    bytes: Vec<u8>,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    /// A fresh one. It holds characters that JSON and URLs escape.
    #[must_use]
    pub fn new() -> Self {
        Self::of(format!("canary\"{}/+%=", VersionId::generate()).into_bytes())
    }

    /// One of these bytes.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        let hex = |upper: bool| {
            bytes.iter().fold(String::new(), |mut text, b| {
                let _ = if upper { write!(text, "{b:02X}") } else { write!(text, "{b:02x}") };
                text
            })
        };
        let decimal: Vec<String> = bytes.iter().map(u8::to_string).collect();
        let mut forms = vec![
            ("in the clear", bytes.clone()),
            ("in hex", hex(false).into_bytes()),
            ("in hex", hex(true).into_bytes()),
            ("as a list of bytes", decimal.join(", ").into_bytes()),
            ("as a list of bytes", decimal.join(",").into_bytes()),
            ("escaped", String::from_utf8_lossy(&bytes).escape_default().to_string().into_bytes()),
            ("percent-encoded", percent(&bytes).into_bytes()),
        ];
        for shift in 0..3 {
            forms.push(("in base64", base64(&bytes, shift, b"+/")));
            forms.push(("in base64", base64(&bytes, shift, b"-_")));
        }
        Self { bytes, forms }
    }

    /// The secret.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The secret as material of one value.
    pub fn material(&self) -> Material {
        Material::one(SecretValue::from(self.bytes())).expect("a canary is within the limits")
    }

    /// In which form it stands in `text`, if it does.
    pub fn found_in(&self, text: &[u8]) -> Option<&'static str> {
        let holds = |form: &[u8]| text.windows(form.len()).any(|window| window == form);
        self.forms.iter().find(|(_, form)| holds(form)).map(|(name, _)| *name)
    }

    /// Panics when it stands in `text`. Prints `place`, never the text.
    pub fn assert_absent(&self, text: impl AsRef<[u8]>, place: &str) {
        if let Some(form) = self.found_in(text.as_ref()) {
            panic!("material was found {form}, in {place}");
        }
    }
}

impl Default for Canary {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Canary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Canary(redacted)")
    }
}

fn percent(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, &b| {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') {
            text.push(b.into());
        } else {
            let _ = write!(text, "%{b:02X}");
        }
        text
    })
}

/// The characters that stand for `bytes` alone when `shift` other bytes come before them.
fn base64(bytes: &[u8], shift: usize, last: &[u8; 2]) -> Vec<u8> {
    let alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(last.iter().copied()).collect();
    let padded: Vec<u8> = std::iter::repeat_n(0, shift).chain(bytes.iter().copied()).collect();
    let text: Vec<u8> = padded
        .chunks_exact(3)
        .flat_map(|c| {
            let word = u32::from(c[0]) << 16 | u32::from(c[1]) << 8 | u32::from(c[2]);
            [18, 12, 6, 0].map(|bits| alphabet[(word >> bits & 63) as usize])
        })
        .collect();
    // The first group holds bits of what came before.
    text[if shift == 0 { 0 } else { 4 }..].to_vec()
}
