//! For tests of an issuer: a record with a planned version, and the moves a rotation makes with it.
//!
//! ```
//! use keyward_conformance::planned::Planned;
//! use keyward_core::{NewKey, Shape};
//!
//! let mut plan = Planned::new(&"dev/analytics/reports".parse()?, Shape::One);
//! // What `issuer.create(&cx, plan.issue())` answers, once it is a key:
//! let made = NewKey::new(keyward_core::Material::one("made up".into())?).reference("k-1".parse()?);
//! plan.stored(&made);
//! assert!(plan.issue().version.was_created());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use keyward_core::{
    AccessLevel, Change, Clock, CreateError, Created, Error, Evidence, HolderId, Issue, IssuerRef, KeyDraft, KeyId,
    KeyRecord, NewKey, Ownership, RunId, RunKind, Scope, Shape, SystemClock, Transition, VersionId,
};

/// A record with a planned version.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Planned {
    /// The record, whose run is at that version.
    pub record: KeyRecord,
    /// The version that was planned last.
    pub version: VersionId,
}

impl Planned {
    /// For a key that may read.
    #[must_use]
    pub fn new(key: &KeyId, shape: Shape) -> Self {
        Self::scoped(key, shape, Scope::new(AccessLevel::ReadOnly))
    }

    /// For a key with this scope.
    #[must_use]
    pub fn scoped(key: &KeyId, shape: Shape, scope: Scope) -> Self {
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

    /// What an issuer is asked about.
    #[must_use]
    pub fn issue(&self) -> Issue<'_> {
        Issue { record: &self.record, version: self.record.version(self.version).expect("the version") }
    }

    /// The key was made and stored.
    pub fn stored(&mut self, made: &NewKey) {
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
    pub fn replanned(&mut self) {
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
    #[must_use]
    pub fn adopted(&self, version: VersionId, reference: &IssuerRef) -> Self {
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

/// The key that was created. Panics when there is none.
#[track_caller]
pub fn key(created: Result<Created, CreateError>) -> NewKey {
    match created.expect("a key") {
        Created::Key(key) => key,
        Created::AskHuman(_) => panic!("no person is needed"),
    }
}

/// Why certainly nothing was created. Panics when that is not certain.
#[track_caller]
pub fn not_created(created: Result<Created, CreateError>) -> Error {
    match created {
        Err(CreateError::NotCreated(error)) => error,
        other => panic!("expected that nothing was created: {other:?}"),
    }
}

/// Why nobody knows whether a key was created. Panics when somebody does.
#[track_caller]
pub fn unknown(created: Result<Created, CreateError>) -> Error {
    match created {
        Err(CreateError::Unknown(error)) => error,
        other => panic!("expected an unknown outcome: {other:?}"),
    }
}
