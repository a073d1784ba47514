//! The shape of generated tokens: `<prefix>_<32 base62>_<6 base62 CRC-32 over prefix and body>`.

use std::fmt;

use keyward_core::SecretValue;
use zeroize::{Zeroize, Zeroizing};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BODY: usize = 32;
const CHECKSUM: usize = 6;

/// What every token of an issuer begins with, such as `acme_live`: makes a leaked token easy to
/// recognise and hard to mix up. 2 to 24 bytes of `a-z`, `0-9` and inner underscores.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct TokenPrefix(Box<str>);

/// The text is not a token prefix.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a token prefix has 2 to 24 bytes of a-z, 0-9 and inner underscores, and starts with a letter")]
#[non_exhaustive]
pub struct PrefixError;

impl TokenPrefix {
    /// Parses a prefix.
    ///
    /// ```
    /// use keyward::issuer::TokenPrefix;
    /// assert!(TokenPrefix::parse("acme_live").is_ok());
    /// assert!(TokenPrefix::parse("Acme-").is_err());
    /// ```
    ///
    /// # Errors
    /// [`PrefixError`] when it is not one.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let edges = text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with('_');
        if (2..=24).contains(&text.len()) && text.bytes().all(allowed) && edges {
            Ok(Self(text.into()))
        } else {
            Err(PrefixError)
        }
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A fresh token with 190 bits of randomness from the operating system.
    pub(super) fn mint(&self) -> Result<SecretValue, getrandom::Error> {
        let mut token = Vec::with_capacity(self.0.len() + BODY + CHECKSUM + 2);
        token.extend_from_slice(self.0.as_bytes());
        token.push(b'_');
        let body_end = token.len() + BODY;
        let mut pool = Zeroizing::new([0u8; 64]);
        while token.len() < body_end {
            if let Err(error) = getrandom::fill(pool.as_mut_slice()) {
                token.zeroize();
                return Err(error);
            }
            // 248 is the largest multiple of 62 in a byte: bytes beyond would favour some digits.
            let fair = pool.iter().filter(|b| **b < 248).take(body_end - token.len());
            token.extend(fair.map(|b| ALPHABET[usize::from(b % 62)]));
        }
        let checksum = checksum(&token);
        token.push(b'_');
        token.extend_from_slice(&checksum);
        Ok(SecretValue::new(token))
    }

    /// True for text shaped like a token of this prefix. Says nothing about whether it is valid.
    pub fn is_token(&self, text: &[u8]) -> bool {
        let well_formed = || {
            let rest = text.strip_prefix(self.0.as_bytes())?.strip_prefix(b"_")?;
            let (body, tail) = rest.split_at_checked(BODY)?;
            let sum = tail.strip_prefix(b"_")?;
            let digits = body.iter().all(u8::is_ascii_alphanumeric);
            let signed = &text[..self.0.len() + 1 + BODY];
            (digits && sum == checksum(signed)).then_some(())
        };
        well_formed().is_some()
    }
}

impl fmt::Display for TokenPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn checksum(signed: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32fast::hash(signed);
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        // A remainder of 62 fits any integer.
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_the_documented_shape() {
        let prefix = TokenPrefix::parse("acme_live").unwrap();
        let token = prefix.mint().unwrap();
        assert!(token.len() == 9 + 1 + 32 + 1 + 6, "length");
        assert!(prefix.is_token(token.expose_secret()), "own token");
        assert!(!TokenPrefix::parse("acme_test").unwrap().is_token(token.expose_secret()), "other prefix");
    }

    #[test]
    fn a_body_glued_to_another_prefix_fails_the_checksum() {
        let token = TokenPrefix::parse("acme_test").unwrap().mint().unwrap();
        let mut glued = b"acme_live".to_vec();
        glued.extend_from_slice(&token.expose_secret()[9..]);
        assert!(!TokenPrefix::parse("acme_live").unwrap().is_token(&glued), "glued");
    }

    #[test]
    fn every_single_character_change_is_noticed() {
        let prefix = TokenPrefix::parse("acme").unwrap();
        let token = prefix.mint().unwrap();
        for at in 0..token.len() {
            let mut changed = token.expose_secret().to_vec();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            assert!(!prefix.is_token(&changed), "change at {at}");
        }
    }

    #[test]
    fn the_checksum_is_crc32_ieee() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn every_digit_of_the_alphabet_is_about_equally_frequent() {
        let prefix = TokenPrefix::parse("acme").unwrap();
        let mut counts = [0u32; 256];
        for _ in 0..2_000 {
            let token = prefix.mint().unwrap();
            token.expose_secret()[5..37].iter().for_each(|b| counts[usize::from(*b)] += 1);
        }
        // 64,000 digits over 62: 1,032 each; six standard deviations are 192.
        assert!(ALPHABET.iter().all(|b| (840..1225).contains(&counts[usize::from(*b)])), "bias");
    }
}
