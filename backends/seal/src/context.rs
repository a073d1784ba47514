//! One fixed way to turn binding data into bytes.

/// Builds the `context` of an envelope: the statement of what the sealed bytes are and where they belong.
///
/// The encoding is canonical. Two builders give the same bytes only if they have the same domain and the same
/// fields of the same types in the same order, because each field is written as a type byte, its length as a
/// big-endian `u64`, and its content. Nothing is sorted, skipped or abbreviated.
///
/// ```
/// # use keyward_seal::ContextBuilder;
/// let context = ContextBuilder::new("keyward-file/record/v1")
///     .bytes(&[7; 16])                                // store id
///     .text("production/payments/stripe-charges")     // key id
///     .number(3)                                      // version
///     .finish();
/// let other = ContextBuilder::new("keyward-file/record/v1").bytes(&[7; 16]).finish();
/// assert_ne!(context, other);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ContextBuilder {
    bytes: Vec<u8>,
}

impl ContextBuilder {
    /// Starts with the domain: a name for this use of the envelope, with a version, that no other use shares.
    pub fn new(domain: &str) -> Self {
        Self { bytes: Vec::with_capacity(256) }.field(DOMAIN, domain.as_bytes())
    }

    /// Adds a field of bytes.
    pub fn bytes(self, value: &[u8]) -> Self {
        self.field(BYTES, value)
    }

    /// Adds a field of text.
    pub fn text(self, value: &str) -> Self {
        self.field(TEXT, value.as_bytes())
    }

    /// Adds a number.
    pub fn number(self, value: u64) -> Self {
        self.field(NUMBER, &value.to_be_bytes())
    }

    /// The encoded context.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn field(mut self, kind: u8, value: &[u8]) -> Self {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&(value.len() as u64).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }
}

const DOMAIN: u8 = 0;
const BYTES: u8 = 1;
const TEXT: u8 = 2;
const NUMBER: u8 = 3;
