//! A laboratory for records: fixed ids, fixed time, one line per move.

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{
    AccessLevel, Change, Death, Evidence, Fingerprint, HolderId, IncidentId, KeyDraft, KeyRecord, OperationId,
    Ownership, Passed, PointerToken, Proof, PublicationId, RunId, RunKind, Scope, Transition, TransitionError,
    VersionId, VersionState,
};

/// An id with a number in it, the same in every run.
pub(crate) fn id<T: std::str::FromStr>(kind: u16, number: u64) -> T
where
    T::Err: std::fmt::Debug,
{
    format!("01900000-{kind:04x}-7000-8000-{number:012x}").parse().expect("a well-formed id")
}

pub(crate) fn version(number: u64) -> VersionId {
    id(1, number)
}

pub(crate) fn evidence(text: &str) -> Evidence {
    text.parse().expect("plain evidence")
}

pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).expect("a valid time")
}

pub(crate) fn draft(name: &str) -> KeyDraft {
    let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data").expect("owners");
    let scope = Scope::new(AccessLevel::ReadOnly)
        .permission("reports:read-only")
        .and_then(|scope| scope.service("reporting"))
        .expect("a scope");
    KeyDraft::new(name.parse().expect("a key id"), owners, scope, "acme".parse().expect("an issuer"))
}

/// A record, a clock and a supply of ids.
#[derive(Clone, Debug)]
pub(crate) struct Lab {
    pub(crate) record: KeyRecord,
    pub(crate) now: DateTime<Utc>,
    pub(crate) next: u64,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::of(&draft("production/analytics/warehouse-read"))
    }

    pub(crate) fn of(draft: &KeyDraft) -> Self {
        let record = KeyRecord::register(draft, &change(1, start())).expect("a good draft");
        Self { record, now: start(), next: 2 }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn wait(&mut self, by: TimeDelta) -> &mut Self {
        self.now += by;
        self
    }

    pub(crate) fn days(&mut self, days: i64) -> &mut Self {
        self.wait(TimeDelta::days(days))
    }

    pub(crate) fn attempt(&mut self, transition: &Transition) -> Result<KeyRecord, TransitionError> {
        let change = change(self.number(), self.now);
        self.record.apply(transition, &change)
    }

    /// The move must be legal.
    pub(crate) fn go(&mut self, transition: &Transition) -> &mut Self {
        match self.attempt(transition) {
            Ok(next) => self.record = next,
            Err(error) => panic!("{} was refused in {:?}: {error}", transition.verb(), self.phase()),
        }
        self
    }

    /// The run's version is validated now.
    pub(crate) fn prove(&mut self) -> &mut Self {
        self.go(&validate(self.now))
    }

    /// The move must be refused.
    pub(crate) fn refused(&mut self, transition: &Transition) -> TransitionError {
        match self.attempt(transition) {
            Ok(_) => panic!("{} was accepted in {:?}", transition.verb(), self.phase()),
            Err(error) => error,
        }
    }

    pub(crate) fn phase(&self) -> Option<&'static str> {
        self.record.run().map(|run| run.phase.name())
    }

    pub(crate) fn state(&self, version: VersionId) -> VersionState {
        self.record.version(version).expect("a version of the record").state
    }

    pub(crate) fn begin(&mut self, kind: RunKind) -> VersionId {
        let (run, version) = (self.number(), self.number());
        self.go(&begin(id(2, run), kind, self::version(version)));
        self::version(version)
    }

    /// From plan to validated.
    pub(crate) fn prepare(&mut self, kind: RunKind) -> VersionId {
        let version = self.begin(kind);
        self.go(&store(version)).prove();
        version
    }

    /// From plan to promoting.
    pub(crate) fn promoting(&mut self, kind: RunKind) -> VersionId {
        let version = self.prepare(kind);
        self.go(&promote(PublicationId::first(version)));
        version
    }

    /// From plan to the phase after confirm.
    pub(crate) fn confirmed(&mut self, kind: RunKind) -> VersionId {
        let version = self.promoting(kind);
        self.go(&Transition::Confirm);
        version
    }

    /// A whole scheduled rotation: the old version ends revoked.
    pub(crate) fn rotate(&mut self) -> VersionId {
        let old = self.record.primary().map(|v| v.id);
        let version = self.confirmed(RunKind::Scheduled);
        if let Some(old) = old {
            self.days(3).go(&retire(gate())).go(&revoked(old, seen()));
        }
        version
    }

    pub(crate) fn leak(&mut self, version: VersionId) -> &mut Self {
        let number = self.number();
        self.go(&compromise(version, number))
    }
}

pub(crate) fn change(number: u64, at: DateTime<Utc>) -> Change {
    let mut change = Change::new("tester".parse().expect("an actor"), at);
    change.operation = id::<OperationId>(3, number);
    change
}

pub(crate) fn begin(run: RunId, kind: RunKind, version: VersionId) -> Transition {
    let reason = "because".parse().expect("a reason");
    Transition::Begin { run, kind, version, holder: id::<HolderId>(4, 1), reason }
}

pub(crate) fn store(version: VersionId) -> Transition {
    Transition::Store {
        version,
        issuer_ref: Some(format!("acme:{version}").parse().expect("a reference")),
        issuer_state: Some("sha256:00".parse().expect("a state")),
        fingerprint: Some(Fingerprint::from_hash(&[7; 32])),
        expires_at: None,
    }
}

pub(crate) fn validate(at: DateTime<Utc>) -> Transition {
    Transition::Validate { proof: Proof::new(at, 3, evidence("three probes accepted")) }
}

pub(crate) fn promote(publication: PublicationId) -> Transition {
    Transition::Promote { publication, expect: PointerToken::new("7") }
}

pub(crate) fn abandon() -> Transition {
    Transition::Abandon { evidence: evidence("given up") }
}

pub(crate) fn roll_back(publication: u64) -> Transition {
    Transition::RollBack { publication: id(5, publication), evidence: evidence("errors rose") }
}

pub(crate) fn retire(passed: Passed) -> Transition {
    Transition::Retire { passed }
}

pub(crate) fn suspend(passed: Passed) -> Transition {
    Transition::Suspend { passed }
}

pub(crate) fn switched_off() -> Transition {
    Transition::SwitchedOff { evidence: evidence("the issuer says so") }
}

pub(crate) fn reactivate() -> Transition {
    Transition::Reactivate { evidence: evidence("somebody still needs it") }
}

pub(crate) fn turn_round(publication: u64) -> Transition {
    Transition::TurnRound { publication: id(5, publication), evidence: evidence("the old one does not work") }
}

pub(crate) fn republish(run: RunId, publication: PublicationId) -> Transition {
    let reason = "readers are shown something else".parse().expect("a reason");
    Transition::Republish { run, publication, expect: None, holder: id::<HolderId>(4, 3), reason }
}

pub(crate) fn overwrite(publication: u64) -> Transition {
    let evidence = evidence("ada: it is an old copy");
    Transition::Overwrite { publication: id(5, publication), expect: PointerToken::new("9"), evidence }
}

pub(crate) fn recall(run: RunId, version: VersionId) -> Transition {
    Transition::Recall {
        run,
        version,
        issuer_ref: Some(format!("acme:{version}").parse().expect("a reference")),
        fingerprint: None,
        holder: id::<HolderId>(4, 3),
        reason: "the record is an old copy".parse().expect("a reason"),
    }
}

pub(crate) fn by_hand() -> Passed {
    Passed::Operator { by: "ada".parse().expect("an actor"), reason: "enough".parse().expect("a reason") }
}

pub(crate) fn gate() -> Passed {
    Passed::Gate(evidence("99 clean requests"))
}

pub(crate) fn seen() -> Death {
    Death::Seen(evidence("refused"))
}

pub(crate) fn never_created() -> Death {
    Death::NeverCreated(evidence("the issuer refused"))
}

pub(crate) fn never_appeared() -> Death {
    Death::NeverAppeared(evidence("swept"))
}

pub(crate) fn attested() -> Death {
    Death::Attested { by: "ada".parse().expect("an actor"), evidence: evidence("seen at the console") }
}

pub(crate) fn revoked(version: VersionId, death: Death) -> Transition {
    Transition::Revoked { version, death }
}

pub(crate) fn adopt(version: VersionId) -> Transition {
    Transition::Adopt { version, issuer_ref: "acme:found".parse().expect("a reference") }
}

pub(crate) fn compromise(version: VersionId, number: u64) -> Transition {
    compromise_from(version, number, None)
}

pub(crate) fn compromise_from(version: VersionId, number: u64, exposed_from: Option<DateTime<Utc>>) -> Transition {
    Transition::Compromise {
        version,
        incident: id::<IncidentId>(6, number),
        exposed_from,
        source: evidence("seen in a build log"),
        publication: id(5, number),
    }
}

pub(crate) fn replan(abandoned: VersionId, version: VersionId) -> Transition {
    Transition::Replan { abandoned, version, holder: id::<HolderId>(4, 2), evidence: evidence("its planner is silent") }
}

pub(crate) fn decommission() -> Transition {
    Transition::Decommission { reason: "no longer needed".parse().expect("a reason") }
}
