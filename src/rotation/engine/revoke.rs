//! T13: a condemned version is revoked, and counts as revoked only once it is seen dead.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyward_core::{
    Context, Death as Proof, Evidence, Issue, IssuerKey, IssuerStatus, KeyRecord, Probe, Read, Retry, Revoke,
    SecretBackend, SecretBackendExt, Select, Shows, Stamped, Transition, Version, VersionId,
};

use super::super::builder::Rotator;
use super::super::error::{Answer, NeedsOperator};
use super::super::run::names_another;
use super::super::step::Step;
use crate::commit::Commit;

/// How far killing a version came.
pub(crate) enum Death {
    /// Something was stored: the version was found, or seen dead.
    Stored(Stamped<KeyRecord>, Step),
    /// Another writer came first.
    Overtaken,
    /// Its create may still land: sweep again then. Nobody needs to wait for it.
    Later { at_most: Duration, why: String },
    /// It still works, or nobody can say: try again.
    NotYet { at_most: Duration, why: String },
    /// Only a person can revoke or see it.
    NeedsOperator(NeedsOperator),
}

impl<B: SecretBackend> Rotator<B> {
    pub(crate) async fn kill(&self, cx: &Context, read: &Stamped<KeyRecord>, version: VersionId) -> Answer<Death> {
        let record = &read.value;
        let condemned = record.version(version).ok_or(keyward_core::TransitionError::NoVersion { version })?;
        let issuer = self.issuer_of(record)?;
        if self.is_shown(cx, record, condemned).await? {
            let key = record.id().clone();
            return Ok(Death::NeedsOperator(NeedsOperator::ForeignPublication { key }));
        }
        if !condemned.was_created() {
            return self.hunt(cx, read, condemned).await;
        }
        let issue = Issue { record, version: condemned };
        let by_hand = match issuer.revoke(cx, issue).await? {
            Revoke::Accepted => None,
            Revoke::AskHuman(instructions) => Some(instructions.to_string()),
        };
        let switched_off = by_hand.is_some() && issuer.capabilities().reversible;
        match self.see_dead(cx, record, condemned, switched_off).await? {
            Some(evidence) => self.bury(cx, read, version, Proof::Seen(evidence)).await,
            None => Ok(match by_hand {
                Some(instructions) => {
                    let key = record.id().clone();
                    Death::NeedsOperator(NeedsOperator::RevokeByHand { key, version, instructions })
                }
                // Brought in by a person, who alone knows its name there.
                None if condemned.issuer_ref.is_none() => {
                    let instructions = "the issuer cannot tell which of its keys this is; revoke it there".to_owned();
                    let key = record.id().clone();
                    Death::NeedsOperator(NeedsOperator::RevokeByHand { key, version, instructions })
                }
                None => {
                    let latency = issuer.capabilities().revoke_latency;
                    let at_most = latency.clamp(Duration::from_secs(1), Duration::from_secs(300));
                    Death::NotYet { at_most, why: "the issuer accepted the revoke but the key is not seen dead".into() }
                }
            }),
        }
    }

    /// A version whose create was given up: it is nowhere, or somewhere under its label.
    async fn hunt(&self, cx: &Context, read: &Stamped<KeyRecord>, condemned: &Version) -> Answer<Death> {
        let (record, version) = (&read.value, condemned.id);
        let issuer = self.issuer_of(record)?;
        let able = issuer.capabilities();
        if able.absent_is_final {
            let evidence = Evidence::lossy("the issuer never recorded it, so it can never work");
            return self.bury(cx, read, version, Proof::NeverCreated(evidence)).await;
        }
        if !able.finds_by_label {
            let instructions = "make sure that no key was created for this version, or revoke it".to_owned();
            let key = record.id().clone();
            return Ok(Death::NeedsOperator(NeedsOperator::RevokeByHand { key, version, instructions }));
        }
        // "Not found" is as old as the question: a key may appear while the answer is on its way.
        let asked_at = self.clock.now();
        let found = issuer.find(cx, record, Some(version)).await?;
        let is_it = |found: &IssuerKey| found.label == version && !names_another(record, version, &found.reference);
        if let Some(found) = found.into_iter().find(is_it) {
            let adopt = Transition::Adopt { version, issuer_ref: found.reference };
            return Ok(match self.commit(cx, read, &adopt).await? {
                Commit::Done(stored) => Death::Stored(stored, Step::Found { version }),
                Commit::Overtaken => Death::Overtaken,
            });
        }
        let until = add(condemned.entered_at, record.policy().zombie_horizon);
        let left = (until - asked_at).to_std().unwrap_or_default();
        if left.is_zero() {
            let evidence = Evidence::lossy("never appeared at the issuer, and its create can no longer land");
            return self.bury(cx, read, version, Proof::NeverAppeared(evidence)).await;
        }
        Ok(Death::Later { at_most: left, why: "a create that was given up may still land at the issuer".into() })
    }

    async fn bury(&self, cx: &Context, read: &Stamped<KeyRecord>, version: VersionId, death: Proof) -> Answer<Death> {
        Ok(match self.commit(cx, read, &Transition::Revoked { version, death }).await? {
            Commit::Done(stored) => Death::Stored(stored, Step::Revoked { version }),
            Commit::Overtaken => Death::Overtaken,
        })
    }

    /// What proves that a version is dead: a refused probe, or the issuer's clear word that a
    /// probe does not contradict. A refusal proves nothing of a key that may be `switched_off` only:
    /// nobody revoked it, and it can be switched on again.
    async fn see_dead(
        &self,
        cx: &Context,
        record: &KeyRecord,
        version: &Version,
        switched_off: bool,
    ) -> Answer<Option<Evidence>> {
        let issue = Issue { record, version };
        let word = match self.issuer_of(record)?.status(cx, issue).await? {
            IssuerStatus::Revoked(evidence) => Some(evidence),
            IssuerStatus::Absent if version.issuer_ref.is_none() => None,
            IssuerStatus::Absent => Some(Evidence::lossy("the issuer knew it and no longer does")),
            IssuerStatus::Live | IssuerStatus::Suspended => return Ok(None),
            IssuerStatus::CannotSay => None,
        };
        let Some(validator) = self.validator_of(record) else { return Ok(word) };
        let material = match self.backend.read_one(cx, &record.target(), Select::Version(version.id)).await {
            Ok(Read::Found { material, .. }) => material,
            Ok(Read::Unchanged) => return Ok(word),
            // Without the value there is no probe; the issuer's word stands.
            Err(error) if error.retry() == Retry::No => return Ok(word),
            Err(error) => return Err(error.into()),
        };
        Ok(match validator.probe(cx, issue, &material).await {
            Ok(Probe::Rejected(_)) if switched_off => word,
            Ok(Probe::Rejected(evidence)) => Some(evidence),
            Ok(Probe::Accepted(_)) => None,
            Ok(Probe::Unclear(_)) | Err(_) => word,
        })
    }

    /// True when native readers are shown the version, or may be: what somebody else put there can be
    /// a value that was published once. A leak and the end of the key make that irrelevant.
    async fn is_shown(&self, cx: &Context, record: &KeyRecord, version: &Version) -> Answer<bool> {
        if version.compromised.is_some() || record.is_retiring() {
            return Ok(false);
        }
        let shows = self.backend.pointer(cx, &record.target()).await?.shows;
        Ok(match shows {
            Shows::Ours { version: shown, .. } => shown == version.id,
            Shows::Foreign => record.publications().iter().any(|p| p.version == version.id),
            Shows::Nothing => false,
        })
    }
}

fn add(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| at.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
