//! The guide: texts for people, compiled with the docs.
#![cfg_attr(not(feature = "file"), allow(rustdoc::broken_intra_doc_links, reason = "the texts use the encrypted file"))]

#[doc = include_str!("start.md")]
pub mod start {}

#[doc = include_str!("adopt.md")]
pub mod adopt {}

#[doc = include_str!("capabilities.md")]
pub mod capabilities {}

#[doc = include_str!("rotate.md")]
pub mod rotate {}

#[doc = include_str!("respond.md")]
pub mod respond {}

#[doc = include_str!("write_a_backend.md")]
pub mod write_a_backend {}

#[doc = include_str!("decisions.md")]
pub mod decisions {}
