//! A probe against the issuer in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use keyward_core::{Context, Error, ErrorKind, Evidence, Issue, Material, Operation, Probe, Result, Validator};

use super::FakeIssuer;

/// Tries keys out against a [`FakeIssuer`]: accepted while live there, rejected otherwise.
///
/// Clones are the same validator.
#[derive(Clone, Debug)]
pub struct FakeValidator {
    issuer: FakeIssuer,
    state: Arc<Mutex<State>>,
}

/// What a probe says instead of the truth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "everything a probe can say")]
pub enum Flap {
    /// Accepted.
    Accepted,
    /// Rejected, such as before a new key has spread.
    Rejected,
    /// Neither.
    Unclear,
    /// The probe itself fails.
    Fail(ErrorKind),
    /// The truth, after all.
    Honest,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Flap>,
    probes: u64,
}

impl FakeValidator {
    /// A probe against this issuer.
    #[must_use]
    pub fn new(issuer: &FakeIssuer) -> Self {
        Self { issuer: issuer.clone(), state: Arc::default() }
    }

    /// Decides the next probes, in order; after them the truth is told again.
    pub fn flap(&self, script: impl IntoIterator<Item = Flap>) {
        self.state().script.extend(script);
    }

    /// Forgets what was decided about the next probes: from now on the truth is told.
    pub fn be_honest(&self) {
        self.state().script.clear();
    }

    /// How many probes were made.
    pub fn probes(&self) -> u64 {
        self.state().probes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Validator for FakeValidator {
    async fn probe(&self, cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        let fail = |kind| Error::new(kind, Operation::Probe, "fake-validator").with_key(issue.record.id());
        if cx.is_expired() {
            return Err(fail(ErrorKind::Unavailable));
        }
        let mut state = self.state();
        state.probes += 1;
        let flap = state.script.pop_front().unwrap_or(Flap::Honest);
        let accepted = match flap {
            Flap::Accepted => true,
            Flap::Rejected => false,
            Flap::Unclear => return Ok(Probe::Unclear(Evidence::lossy("no answer"))),
            Flap::Fail(kind) => return Err(fail(kind)),
            Flap::Honest => self.issuer.accepts(material),
        };
        Ok(match accepted {
            true => Probe::Accepted(Evidence::lossy("the fake issuer accepted it")),
            false => Probe::Rejected(Evidence::lossy("the fake issuer refused it")),
        })
    }
}
