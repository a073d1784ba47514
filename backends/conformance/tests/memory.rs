//! The reference store keeps every rule.

use keyward_core::MemoryBackend;

keyward_conformance::suite!(MemoryBackend::default());
