//! The part of a slot header that says which service wraps its key, and what the service answered.

use super::header::Reader;
use crate::error::{SealError, SlotProblem};
use crate::unlock::ServiceUnlock;
use crate::wrapper::{WrapError, Wrapping};

/// A service and what it wrapped. Every field is short and plain: it is shown, and it comes from a file.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Wrapped {
    service: Box<str>,
    wrapping: Wrapping,
}

impl Wrapped {
    /// What a new slot keeps of an unlock.
    pub(super) fn by(unlock: &ServiceUnlock) -> Result<Self, SealError> {
        let (service, wrapping) = unlock.wrapping();
        if !is_service(service) {
            return Err(SealError::Service { service, problem: WrapError::Unexpected });
        }
        Ok(Self { service: service.into(), wrapping: wrapping.clone() })
    }

    pub(super) fn service(&self) -> &str {
        &self.service
    }

    pub(super) fn wrapping(&self) -> &Wrapping {
        &self.wrapping
    }

    pub(super) fn encode_to(&self, bytes: &mut Vec<u8>) {
        for name in [&*self.service, self.wrapping.key_name()] {
            bytes.push(u8::try_from(name.len()).expect("no name is longer than 255 bytes"));
            bytes.extend_from_slice(name.as_bytes());
        }
        let blob = self.wrapping.blob();
        bytes.extend_from_slice(&u16::try_from(blob.len()).expect("at most 512 bytes").to_be_bytes());
        bytes.extend_from_slice(blob);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, SlotProblem> {
        let service = name(reader)?.filter(|name| is_service(name));
        let service = service.ok_or(SlotProblem::BadWrapping { what: "service name" })?;
        let key_name = name(reader)?.ok_or(SlotProblem::BadWrapping { what: "remote key name" })?;
        let length = usize::from(u16::from_be_bytes(reader.take()?));
        if length > Wrapping::MAX_BLOB {
            return Err(SlotProblem::BadWrapping { what: "wrapped key" });
        }
        let wrapping = Wrapping::new(key_name, reader.bytes(length)?);
        let wrapping = wrapping.map_err(|_| SlotProblem::BadWrapping { what: "remote key name or wrapped key" })?;
        Ok(Self { service: service.into(), wrapping })
    }
}

fn name<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a str>, SlotProblem> {
    let [length] = reader.take()?;
    Ok(std::str::from_utf8(reader.bytes(length.into())?).ok())
}

fn is_service(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_SERVICE).contains(&name.len()) && name.bytes().all(plain)
}

const MAX_SERVICE: usize = 32;
pub(super) const MAX_LEN: usize = 1 + MAX_SERVICE + 1 + Wrapping::MAX_KEY_NAME + 2 + Wrapping::MAX_BLOB;
