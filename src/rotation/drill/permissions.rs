//! Which permissions a rotation needs, and which of them can be proven by asking only.

use std::fmt;

use keyward_core::{Context, Error, KeyRecord, SecretBackend, SecretBackendExt};

/// What is known of a permission.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Proven {
    /// The call was answered.
    Yes,
    /// The call was refused, or failed.
    No(Error),
    /// Asking cannot tell.
    Unknown(&'static str),
}

/// A permission a rotation needs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Permission {
    /// What it is needed for.
    pub what: &'static str,
    /// The call, in the words of the contract.
    pub call: &'static str,
    /// What is known of it.
    pub proven: Proven,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, call, proven } = self;
        match proven {
            Proven::Yes => write!(f, "proven      {call}: {what}"),
            Proven::No(error) => write!(f, "REFUSED     {call}: {what} ({error})"),
            Proven::Unknown(why) => write!(f, "not proven  {call}: {what} ({why})"),
        }
    }
}

/// Asks the store what can be asked without a write and without a value.
pub(super) async fn ask(store: Option<&dyn SecretBackend>, cx: &Context, record: &KeyRecord) -> Vec<Permission> {
    const NOT_ASKED: &str = "no store was given to the drill";
    let mut all = Vec::new();
    let mut say = |what, call, proven| all.push(Permission { what, call, proven });
    let (load, pointer, survey) = match store {
        None => (Proven::Unknown(NOT_ASKED), Proven::Unknown(NOT_ASKED), Proven::Unknown(NOT_ASKED)),
        Some(store) => {
            let target = record.target();
            let proven = |refused: Option<Error>| refused.map_or(Proven::Yes, Proven::No);
            let load = proven(store.load_existing(cx, record.id()).await.err());
            let pointer = proven(store.pointer(cx, &target).await.err());
            (load, pointer, proven(store.survey(cx, &target).await.err()))
        }
    };
    say("read the record", "store: load", load);
    say("see what readers are shown", "store: pointer", pointer);
    say("see which versions are stored", "store: survey", survey);
    const WRITE: &str = "only a write would tell";
    say("journal each step of the run", "store: swap", Proven::Unknown(WRITE));
    say("store the new key where no reader looks", "store: stage", Proven::Unknown(WRITE));
    say("make the new key current, and the old one again", "store: publish", Proven::Unknown(WRITE));
    say("give up the material of dead versions", "store: withdraw", Proven::Unknown(WRITE));
    say("try the new key out, and see the old one dead", "store: read", Proven::Unknown("it would release a value"));
    const ISSUER: &str = "a drill never calls the issuer";
    say("create the new key", "issuer: create", Proven::Unknown(ISSUER));
    say("see what became of it, and its scope", "issuer: find, status, scope", Proven::Unknown(ISSUER));
    say("end the old key", "issuer: revoke", Proven::Unknown(ISSUER));
    all
}
