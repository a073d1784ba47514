//! Marked secrets, and a search that knows them in every form.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use keyward::core::{Material, SecretValue, Shape};

/// What every planted secret of a kind begins with. Like nothing else that is ever printed.
pub(crate) const TOKEN: &[u8] = b"Zq7xTw3LmV9pRb5KdY1nHc8Gf2Js6Ea4Uo0";
/// Text that every format has to escape somewhere.
pub(crate) const TEXT: &[u8] = "Wj\"4k\\Nz'8\u{e9}B5\u{1f511}y3Px{6}\n7/+%=&Lu;Qo\t2v<Tg>Xr9mCs1h".as_bytes();
/// No text at all: not UTF-8, with zeros and control characters.
pub(crate) const BINARY: &[u8] = b"\x00\xffUv7\x809Ty\xc3(Mn6\xfeRb\x1bHw3\xe2(\xa1Kd2\x7fXp\xf04Zc8\x07JqLs5Gt0W";

/// How a planted secret looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Token,
    Text,
    Binary,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Token, Self::Text, Self::Binary];

    fn core(self) -> &'static [u8] {
        match self {
            Self::Token => TOKEN,
            Self::Text => TEXT,
            Self::Binary => BINARY,
        }
    }
}

/// A marked secret, different from every other. Has no `Debug`, so that no test prints it.
pub(crate) struct Canary(Vec<u8>);

impl Canary {
    pub(crate) fn plant(kind: Kind) -> Self {
        static PLANTED: AtomicU32 = AtomicU32::new(0);
        let tag = PLANTED.fetch_add(1, Ordering::Relaxed);
        let mut bytes = kind.core().to_vec();
        // Four bytes, so that twelve in a row hold eight of the core.
        bytes.extend(format!("{:04x}", tag & 0xffff).bytes());
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.0).expect("asked of a canary that is text")
    }

    pub(crate) fn value(&self) -> SecretValue {
        self.bytes().into()
    }

    pub(crate) fn material(&self) -> Material {
        Material::one(self.value()).expect("within the limits")
    }

    /// Fresh secrets in a shape: one of the kind, or one for each field.
    pub(crate) fn shaped(kind: Kind, shape: &Shape) -> Material {
        match shape {
            Shape::One => Self::plant(kind).material(),
            Shape::Fields(names) => {
                let fields = names.iter().zip(Kind::ALL.into_iter().cycle());
                let fields = fields.map(|(name, kind)| (name.clone(), Self::plant(kind).value()));
                Material::fields(fields).expect("within the limits")
            }
        }
    }
}

/// Finds secrets in texts: any eight bytes in a row of any of them, in the clear or encoded.
///
/// White space counts for nothing, so that wrapped lines and indented lists hide nothing.
pub(crate) struct Search {
    needles: HashMap<u64, Vec<Needle>>,
    /// One bit for the hash of each key above.
    filter: Vec<u64>,
}

struct Needle {
    form: &'static str,
    bytes: Vec<u8>,
}

impl Search {
    /// Eight bytes of a secret in a row are a leak. Twelve are asked for; the tag takes four.
    const WINDOW: usize = 8;
    /// The last bytes of a needle by which it is looked up.
    const TAIL: usize = 6;
    const MASK: u64 = (1 << (8 * Self::TAIL)) - 1;
    const SLOTS: usize = 1 << 18;

    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut search = Self { needles: HashMap::new(), filter: vec![0; Self::SLOTS / 64] };
        for secret in secrets {
            for (form, units, separator) in units(secret) {
                for window in units.windows(Self::WINDOW).filter(|window| is_telling(window)) {
                    let mut bytes = window.concat();
                    bytes.truncate(bytes.len() - separator);
                    search.add(form, &bytes);
                }
            }
            base64(secret).iter().for_each(|pair| search.add("in base64", pair));
        }
        search
    }

    /// In which form a secret stands in `text`, if one does.
    pub(crate) fn find(&self, text: &[u8]) -> Option<&'static str> {
        let mut seen = Vec::with_capacity(text.len());
        let mut last = 0;
        for &byte in text {
            if is_space(byte) {
                continue;
            }
            seen.push(byte);
            last = (last << 8 | u64::from(byte)) & Self::MASK;
            let slot = slot(last);
            if self.filter[slot / 64] >> (slot % 64) & 1 == 1 {
                let hits = self.needles.get(&last).into_iter().flatten();
                if let Some(hit) = hits.into_iter().find(|needle| seen.ends_with(&needle.bytes)) {
                    return Some(hit.form);
                }
            }
        }
        None
    }

    fn add(&mut self, form: &'static str, bytes: &[u8]) {
        let bytes: Vec<u8> = bytes.iter().copied().filter(|byte| !is_space(*byte)).collect();
        let Some(tail) = bytes.last_chunk::<{ Self::TAIL }>() else { return };
        let key = tail.iter().fold(0, |key, byte| key << 8 | u64::from(*byte));
        self.filter[slot(key) / 64] |= 1 << (slot(key) % 64);
        let known = self.needles.entry(key).or_default();
        if !known.iter().any(|needle| needle.bytes == bytes) {
            known.push(Needle { form, bytes });
        }
    }
}

fn slot(key: u64) -> usize {
    usize::try_from(key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 46).expect("18 bits")
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// True when the units say something about a secret: replacement characters do not.
fn is_telling(window: &[Vec<u8>]) -> bool {
    let lost = ["\u{fffd}", "\\u{fffd}", "\\ufffd", "\\uFFFD", "\\\\u{fffd}", "\\\\ufffd"];
    window.iter().filter(|unit| !lost.iter().any(|lost| lost.as_bytes() == *unit)).count() >= 6
}

type Units = (&'static str, Vec<Vec<u8>>, usize);

/// A secret in every form that encodes it piece by piece, and how much of the last piece of a
/// window only separates it from the next.
fn units(secret: &[u8]) -> Vec<Units> {
    let bytes = |form, separator, encode: &dyn Fn(u8) -> Vec<u8>| -> Units {
        (form, secret.iter().map(|byte| encode(*byte)).collect(), separator)
    };
    let text = String::from_utf8_lossy(secret);
    let chars = |form, encode: &dyn Fn(char) -> String| -> Units {
        (form, text.chars().map(|c| encode(c).into_bytes()).collect(), 0)
    };
    let each = |text: String, encode: &dyn Fn(char) -> String| text.chars().map(encode).collect::<String>();
    let quoted = |c: char| c.escape_debug().to_string();
    let json_lower = |c: char| json_ascii(c, false);
    let json_upper = |c: char| json_ascii(c, true);
    vec![
        bytes("in the clear", 0, &|b| vec![b]),
        chars("in the clear", &|c| c.to_string()),
        bytes("in hex", 0, &|b| HEXLOWER.encode(&[b]).into()),
        bytes("in hex", 0, &|b| HEXUPPER.encode(&[b]).into()),
        bytes("in hex", 1, &|b| format!("{b:02x}:").into()),
        bytes("in hex", 1, &|b| format!("{b:02X}:").into()),
        bytes("as a list of bytes", 1, &|b| format!("{b},").into()),
        bytes("as a list of bytes", 1, &|b| format!("{b:x},").into()),
        bytes("as a list of bytes", 1, &|b| format!("{b:02x},").into()),
        bytes("as a list of bytes", 1, &|b| format!("{b:#x},").into()),
        bytes("as a list of bytes", 1, &|b| format!("{b:#04x},").into()),
        bytes("percent-encoded", 0, &|b| format!("%{b:02X}").into()),
        bytes("percent-encoded", 0, &|b| format!("%{b:02x}").into()),
        bytes("percent-encoded", 0, &|b| percent(b, &format!("%{b:02X}"))),
        bytes("percent-encoded", 0, &|b| percent(b, &format!("%{b:02x}"))),
        bytes("escaped", 0, &|b| b.escape_ascii().to_string().into()),
        chars("escaped", &|c| c.escape_default().to_string()),
        chars("escaped", &quoted),
        chars("escaped", &|c| each(quoted(c), &quoted)),
        chars("JSON-escaped", &json),
        chars("JSON-escaped", &json_lower),
        chars("JSON-escaped", &json_upper),
        chars("JSON-escaped", &|c| each(json(c), &json)),
        chars("JSON-escaped", &|c| each(json(c), &quoted)),
        chars("JSON-escaped", &|c| each(json_lower(c), &json)),
        chars("JSON-escaped", &|c| each(json_lower(c), &quoted)),
        chars("JSON-escaped", &|c| each(quoted(c), &json)),
        ("in UTF-16", text.encode_utf16().map(|unit| unit.to_le_bytes().into()).collect(), 0),
        ("in UTF-16", text.encode_utf16().map(|unit| unit.to_be_bytes().into()).collect(), 0),
    ]
}

fn percent(byte: u8, encoded: &str) -> Vec<u8> {
    let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    if plain { vec![byte] } else { encoded.as_bytes().to_vec() }
}

/// As in a JSON string, where all but the necessary stands as it is.
fn json(c: char) -> String {
    let quoted = serde_json::to_string(&c).expect("a character is JSON");
    quoted[1..quoted.len() - 1].to_owned()
}

/// As in a JSON string of ASCII characters only.
fn json_ascii(c: char, upper: bool) -> String {
    if c.is_ascii() {
        return json(c);
    }
    let units = c.encode_utf16(&mut [0; 2]).to_vec();
    units.into_iter().map(|unit| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") }).collect()
}

/// Every two groups of base64 in a row that stand for bytes of the secret alone, wherever it
/// begins in what is encoded, in both alphabets. Padding does not matter: it is in no full group.
fn base64(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut pairs = Vec::new();
    for skip in 0..3 {
        for encoding in [BASE64, BASE64URL] {
            let aligned = &secret[skip..];
            let text = encoding.encode(&aligned[..aligned.len() / 3 * 3]).into_bytes();
            pairs.extend(text.windows(8).step_by(4).map(<[u8]>::to_vec));
        }
    }
    pairs
}
