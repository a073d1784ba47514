//! A record with a planned version, and the moves a rotation makes with it.
#![allow(dead_code, reason = "each test file uses some of it")]

use keyward_core::{
    AccessLevel, Change, Clock, CreateError, Created, Error, Evidence, HolderId, Issue, IssuerRef, KeyDraft, KeyId,
    KeyRecord, NewKey, Ownership, RunId, RunKind, Scope, Shape, SystemClock, Transition, VersionId,
};

/// A record with a planned version.
#[derive(Clone)]
pub(crate) struct Planned {
    pub(crate) record: KeyRecord,
    pub(crate) version: VersionId,
}

impl Planned {
    pub(crate) fn new(key: &KeyId, shape: Shape) -> Self {
        Self::scoped(key, shape, Scope::new(AccessLevel::ReadOnly))
    }

    pub(crate) fn scoped(key: &KeyId, shape: Shape, scope: Scope) -> Self {
        let owners = Ownership::new("data", "ada@example.com", "grace@example.com", "#data").expect("owners");
        let draft = KeyDraft::new(key.clone(), owners, scope, "issuer".parse().expect("an issuer")).shape(shape);
        let record = KeyRecord::register(&draft, &change()).expect("a record");
        let version = VersionId::generate();
        let begin = Transition::Begin {
            run: RunId::generate(),
            kind: RunKind::Provision,
            version,
            holder: HolderId::generate(),
            reason: "a test".parse().expect("a reason"),
        };
        Self { record: record.apply(&begin, &change()).expect("a run"), version }
    }

    pub(crate) fn issue(&self) -> Issue<'_> {
        Issue { record: &self.record, version: self.record.version(self.version).expect("the version") }
    }

    /// The key was made and stored.
    pub(crate) fn stored(&mut self, made: &NewKey) {
        let store = Transition::Store {
            version: self.version,
            issuer_ref: made.reference.clone(),
            issuer_state: made.state.clone(),
            fingerprint: None,
            expires_at: made.expires_at,
        };
        self.go(&store);
    }

    /// The version is given up and another one planned.
    pub(crate) fn replanned(&mut self) {
        let (abandoned, version) = (self.version, VersionId::generate());
        let run = self.record.run().is_some();
        assert!(run, "a run is under way");
        let evidence = Evidence::lossy("given up");
        if self.record.version(abandoned).is_some_and(|version| version.was_created()) {
            self.go(&Transition::Abandon { evidence });
            let reason = "again".parse().expect("a reason");
            let (run, holder) = (RunId::generate(), HolderId::generate());
            self.go(&Transition::Begin { run, kind: RunKind::Provision, version, holder, reason });
        } else {
            self.go(&Transition::Replan { abandoned, version, holder: HolderId::generate(), evidence });
        }
        self.version = version;
    }

    /// The same record, with the name of an orphan.
    pub(crate) fn adopted(&self, version: VersionId, reference: &IssuerRef) -> Self {
        let mut adopted = Self { record: self.record.clone(), version };
        adopted.go(&Transition::Adopt { version, issuer_ref: reference.clone() });
        adopted
    }

    fn go(&mut self, transition: &Transition) {
        self.record = self.record.apply(transition, &change()).expect("a legal move");
    }
}

fn change() -> Change {
    Change::new("tester".parse().expect("an actor"), SystemClock.now())
}

pub(crate) fn key(created: Result<Created, CreateError>) -> NewKey {
    match created.expect("an access key") {
        Created::Key(key) => key,
        Created::AskHuman(_) => panic!("no person is needed"),
    }
}

pub(crate) fn not_created(created: Result<Created, CreateError>) -> Error {
    match created {
        Err(CreateError::NotCreated(error)) => error,
        other => panic!("expected that nothing was created: {other:?}"),
    }
}

pub(crate) fn unknown(created: Result<Created, CreateError>) -> Error {
    match created {
        Err(CreateError::Unknown(error)) => error,
        other => panic!("expected an unknown outcome: {other:?}"),
    }
}
