//! The machinery that makes things go wrong: it does what the script says, and nothing else.

mod faults {
    mod host;
    mod issuer;
    mod matrix;
    mod store;

    use keyward_core::{
        AccessLevel, Actor, Change, Clock, Context, Edit, HolderId, KeyDraft, KeyId, KeyRecord, Material, Ownership,
        RunId, RunKind, Scope, SecretValue, SystemClock, Transition, VersionId,
    };

    pub(crate) fn cx() -> Context {
        Context::new("tester", "faults are tested").expect("a context")
    }

    pub(crate) fn key() -> KeyId {
        "dev/messaging/faulty".parse().expect("a key")
    }

    pub(crate) fn change() -> Change {
        Change::new("tester".parse::<Actor>().expect("an actor"), SystemClock.now())
    }

    pub(crate) fn record() -> KeyRecord {
        let owners = Ownership::new("platform", "ada@example.com", "grace@example.com", "#platform").expect("owners");
        let scope = Scope::new(AccessLevel::ReadOnly).permission("messages:read-only").expect("a permission");
        let draft = KeyDraft::new(key(), owners, scope, "fake".parse().expect("an issuer"));
        KeyRecord::register(&draft, &change()).expect("a record")
    }

    pub(crate) fn noted(record: &KeyRecord) -> KeyRecord {
        let note = Edit::Note("a note".parse().expect("a note"));
        record.apply(&Transition::Edit(note), &change()).expect("a legal edit")
    }

    /// A record with a planned version.
    pub(crate) fn planned() -> (KeyRecord, VersionId) {
        let version = VersionId::generate();
        let begin = Transition::Begin {
            run: RunId::generate(),
            kind: RunKind::Provision,
            version,
            holder: HolderId::generate(),
            reason: "a test".parse().expect("a reason"),
        };
        (record().apply(&begin, &change()).expect("a legal move"), version)
    }

    pub(crate) fn material(text: &str) -> Material {
        Material::one(SecretValue::from(text)).expect("material")
    }
}
