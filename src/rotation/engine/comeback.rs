//! Can an old version serve again? Switched on, its material there, and not refused.

use keyward_core::{
    Context, ErrorKind, Evidence, Fingerprint, Issue, IssuerStatus, KeyRecord, Material, Probe, Read, Retry, Run,
    SecretBackend, SecretBackendExt, Select, Stamped, Transition, Version, VersionId, VersionState,
};

use super::super::builder::Rotator;
use super::super::error::{Answer, NeedsOperator, RotationError};
use super::super::run::{Probes, Session};
use super::super::step::Step;

/// Whether an old version can serve again.
#[derive(Debug)]
pub(in super::super) enum Comeback {
    /// It works, as far as can be seen: how that is known.
    Ready(String),
    /// Not seen to work yet.
    NotYet(String),
    /// It does not, and waiting will not help.
    Never(String),
}

/// What a look at stored material shows.
pub(super) enum Look {
    /// It is there.
    Here(Material),
    /// It is lost to this store.
    Gone(ErrorKind),
    /// Whoever looks may not see it.
    Unseen(ErrorKind),
}

impl<B: SecretBackend> Rotator<B> {
    /// Switches the version on where it is off, looks whether its material is there, and tries it
    /// out. What cannot be asked says nothing against it, unless it was switched off before.
    pub(in super::super) async fn can_come_back(
        &self,
        cx: &Context,
        record: &KeyRecord,
        run: &Run,
        old: &Version,
    ) -> Answer<Comeback> {
        if !is_clean(old) {
            return Ok(Comeback::Never("it was given up".to_owned()));
        }
        let was_off = was_switched_off(record, run, old);
        let word = match self.switched_on(cx, record, old, was_off).await? {
            Comeback::Ready(word) => word,
            not => return Ok(not),
        };
        let material = match self.look_at(cx, record, old.id).await? {
            Look::Here(material) => material,
            Look::Gone(kind) => return Ok(Comeback::Never(format!("the store has lost its material: {kind}"))),
            Look::Unseen(kind) => return Ok(Comeback::Ready(format!("{word}; not tried out: {kind}"))),
        };
        let Some(validator) = self.validator_of(record) else { return Ok(Comeback::Ready(word)) };
        Ok(match validator.probe(cx, Issue { record, version: old }, &material).await {
            Ok(Probe::Accepted(evidence)) => Comeback::Ready(evidence.to_string()),
            Ok(Probe::Rejected(evidence)) => Comeback::NotYet(format!("it is refused ({evidence})")),
            Ok(Probe::Unclear(_)) | Err(_) if was_off && word == CANNOT_SAY => {
                Comeback::NotYet("nobody can say whether it is on again".to_owned())
            }
            Ok(Probe::Unclear(_)) | Err(_) => Comeback::Ready(word),
        })
    }

    /// As [`Rotator::can_come_back`], with the patience of the policy: what was switched on a
    /// moment ago may be refused for a while.
    pub(super) async fn await_comeback(
        &self,
        cx: &Context,
        session: &mut Session,
        record: &KeyRecord,
        run: &Run,
        old: &Version,
    ) -> Answer<Comeback> {
        let now = self.clock.monotonic();
        if session.probes.version != Some(old.id) {
            session.probes = Probes { version: Some(old.id), since: now, ..Probes::default() };
        }
        Ok(match self.can_come_back(cx, record, run, old).await? {
            Comeback::NotYet(why) => {
                session.probes.failures += 1;
                let tried_for = now.saturating_sub(session.probes.since);
                if tried_for < record.policy().propagation { Comeback::NotYet(why) } else { Comeback::Never(why) }
            }
            sure => {
                session.probes = Probes::default();
                sure
            }
        })
    }

    /// The new version stays, and a person is told. Only a swap tells whether what was read is still
    /// so: another process may have given the old version up meanwhile.
    pub(super) async fn cannot_come_back(
        &self,
        cx: &Context,
        session: &mut Session,
        read: &Stamped<KeyRecord>,
        version: VersionId,
        why: String,
    ) -> Answer<Step> {
        let evidence = Evidence::lossy(&format!("version {version} cannot come back: {why}"));
        let asked = NeedsOperator::CannotComeBack { key: session.key.clone(), version, why };
        self.store(cx, session, read, &Transition::Observe { evidence }, Step::NeedsOperator(asked)).await
    }

    /// Refuses to publish a version again that is dead, or whose material is lost.
    pub(in super::super) async fn must_serve(&self, cx: &Context, record: &KeyRecord, version: &Version) -> Answer<()> {
        let cannot = |why| RotationError::CannotComeBack { key: record.id().clone(), version: version.id, why };
        if let Comeback::NotYet(why) | Comeback::Never(why) = self.switched_on(cx, record, version, false).await? {
            return Err(cannot(why));
        }
        match self.look_at(cx, record, version.id).await? {
            Look::Gone(kind) => Err(cannot(format!("the store has lost its material: {kind}"))),
            Look::Here(_) | Look::Unseen(_) => Ok(()),
        }
    }

    /// The fingerprint of stored material, where there is a key for it and the material can be seen.
    pub(in super::super) async fn fingerprint_of(
        &self,
        cx: &Context,
        record: &KeyRecord,
        version: VersionId,
    ) -> Answer<Option<Fingerprint>> {
        Ok(match self.look_at(cx, record, version).await? {
            Look::Here(material) => self.fingerprint(&material),
            Look::Gone(_) | Look::Unseen(_) => None,
        })
    }

    /// Whether the issuer has it switched on; where it is off it is switched on now.
    pub(in super::super) async fn switched_on(
        &self,
        cx: &Context,
        record: &KeyRecord,
        old: &Version,
        was_off: bool,
    ) -> Answer<Comeback> {
        let issue = Issue { record, version: old };
        let issuer = self.issuer_of(record)?;
        let mut status = match issuer.status(cx, issue).await {
            Err(error) if !was_off => {
                return Ok(Comeback::Ready(format!("the issuer could not be asked: {}", error.kind())));
            }
            status => status?,
        };
        if status == IssuerStatus::Suspended {
            issuer.activate(cx, issue).await?;
            status = issuer.status(cx, issue).await?;
        }
        Ok(match status {
            IssuerStatus::Live => Comeback::Ready("the issuer says it is live".to_owned()),
            IssuerStatus::CannotSay => Comeback::Ready(CANNOT_SAY.to_owned()),
            IssuerStatus::Suspended => Comeback::NotYet("switched on, and the issuer still shows it as off".to_owned()),
            IssuerStatus::Revoked(evidence) => Comeback::Never(format!("the issuer has revoked it: {evidence}")),
            IssuerStatus::Absent if old.issuer_ref.is_some() => {
                Comeback::Never("the issuer knew it and no longer does".to_owned())
            }
            IssuerStatus::Absent => Comeback::Ready("the issuer does not know it by name".to_owned()),
        })
    }

    /// Looks at the stored material of a version.
    pub(super) async fn look_at(&self, cx: &Context, record: &KeyRecord, version: VersionId) -> Answer<Look> {
        match self.backend.read_one(cx, &record.target(), Select::Version(version)).await {
            Ok(Read::Found { material, .. }) => Ok(Look::Here(material)),
            Ok(Read::Unchanged) => Ok(Look::Unseen(ErrorKind::Unknown)),
            Err(error) => match error.kind() {
                kind @ (ErrorKind::NotFound | ErrorKind::Tampered | ErrorKind::Undecryptable) => Ok(Look::Gone(kind)),
                kind if error.retry() == Retry::No => Ok(Look::Unseen(kind)),
                _ => Err(error.into()),
            },
        }
    }
}

/// True for a version that may be published again.
pub(in super::super) fn is_clean(old: &Version) -> bool {
    matches!(old.state, VersionState::Primary | VersionState::Overlap | VersionState::Suspended)
        && old.compromised.is_none()
}

/// True when the run had the version switched off, and must see it on before it trusts it.
pub(super) fn was_switched_off(record: &KeyRecord, run: &Run, old: &Version) -> bool {
    let new = record.version(run.phase.version());
    old.state == VersionState::Suspended
        || (old.state == VersionState::Overlap && new.is_some_and(|new| old.entered_at > new.entered_at))
}

const CANNOT_SAY: &str = "the issuer cannot say";
