//! The rules themselves, one function each, grouped like the contract. [`suite!`](crate::suite!)
//! makes tests of them.

pub mod audit;
pub mod cancel;
pub mod capability;
pub mod deadline;
pub mod list;
pub mod load;
pub mod pointer;
pub mod publish;
pub mod race;
pub mod read;
mod records;
pub mod redact;
pub mod retire;
pub mod stage;
pub mod survey;
pub mod swap;
pub mod withdraw;
