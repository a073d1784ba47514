//! What a secret is, without its values.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::DateTime as AwsTime;
use chrono::{DateTime, Utc};
use keyward_core::{KeyId, Pointer, PointerToken, PublicationId, Shows, VersionId};

use crate::names::{self, CURRENT, Owner};

/// Versions of a secret with their labels, and its state.
#[derive(Debug)]
pub(crate) struct Description {
    /// The labels of each version, by the id AWS knows it by. Without claims of other keys.
    versions: BTreeMap<String, Vec<String>>,
    /// The other keys that claim the secret, or hold versions there.
    pub(crate) rivals: BTreeSet<Owner>,
    /// One of them has put a version of its own there.
    pub(crate) rival_staged: bool,
    pub(crate) name: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) changed_at: Option<DateTime<Utc>>,
    /// When it goes; it is scheduled for deletion.
    pub(crate) goes_at: Option<DateTime<Utc>>,
    /// AWS or another service rotates it.
    pub(crate) rotated_natively: bool,
    primary_region: Option<String>,
}

impl Description {
    /// As a key sees it; to nobody, every key is another one.
    pub(super) fn of(answer: DescribeSecretOutput, key: Option<&KeyId>, here: &str) -> Self {
        let (mut rivals, mut rival_staged) = (BTreeSet::new(), false);
        let mut own = |id: &str, label: &str| match names::claimant(label, here) {
            Some(claimant) if Some(&claimant.key) != key || claimant.inventory != here => {
                rivals.insert(claimant);
                rival_staged |= names::held_by(label).is_some_and(|version| version.to_string() == id);
                false
            }
            _ => true,
        };
        let mut versions = answer.version_ids_to_stages.unwrap_or_default();
        versions.retain(|id, _| names::is_plain(id));
        for (id, labels) in &mut versions {
            labels.retain(|label| own(id, label));
        }
        let tags = answer.tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value?)));
        Self {
            versions: versions.into_iter().collect(),
            rivals,
            rival_staged,
            name: answer.name.unwrap_or_default(),
            tags: tags.collect(),
            changed_at: answer.last_changed_date.as_ref().and_then(time),
            goes_at: answer.deleted_date.as_ref().and_then(time),
            rotated_natively: answer.rotation_enabled == Some(true) || answer.owning_service.is_some(),
            primary_region: answer.primary_region,
        }
    }

    /// True where writes belong into another region.
    pub(crate) fn is_replica_in(&self, region: &str) -> bool {
        self.primary_region.as_deref().is_some_and(|primary| primary != region)
    }

    /// The version that carries a label.
    pub(crate) fn holder(&self, label: &str) -> Option<&str> {
        self.versions.iter().find(|(_, labels)| labels.iter().any(|l| l == label)).map(|(id, _)| id.as_str())
    }

    /// The current version.
    pub(crate) fn current(&self) -> Option<&str> {
        self.holder(CURRENT)
    }

    /// Every label under which a version is held, with the id AWS knows that version by.
    pub(crate) fn held(&self) -> impl Iterator<Item = (VersionId, &str, &str)> {
        self.versions.iter().flat_map(|(id, labels)| {
            labels.iter().filter_map(move |label| Some((names::held_by(label)?, label.as_str(), id.as_str())))
        })
    }

    /// The id AWS knows a held version by.
    pub(crate) fn holds(&self, version: VersionId) -> Option<&str> {
        self.held().find(|(held, ..)| *held == version).map(|(_, _, id)| id)
    }

    /// True while a label is there that does not say whose it is.
    pub(crate) fn has_unnamed(&self) -> bool {
        self.held().any(|(_, label, _)| names::is_unnamed(label))
    }

    /// True while a label is there that names the key.
    pub(crate) fn has_named(&self) -> bool {
        self.held().any(|(_, label, _)| !names::is_unnamed(label))
    }

    pub(crate) fn shows(&self, owner: &Owner) -> Shows {
        let Some((id, labels)) = self.current().and_then(|id| self.versions.get_key_value(id)) else {
            return Shows::Nothing;
        };
        match names::shown(owner, id, labels.iter().map(String::as_str)) {
            // A copy does not say whose it is; the labels beside it do.
            Shows::Ours { .. } if !self.rivals.is_empty() && self.versions().is_empty() => Shows::Foreign,
            shows => shows,
        }
    }

    /// True when the current version was published by us, not only claimed.
    pub(crate) fn shows_a_publication(&self, owner: &Owner) -> bool {
        match (self.shows(owner), self.current()) {
            // What was only claimed keeps the id AWS gave it.
            (Shows::Ours { publication, version }, Some(id)) => {
                publication != PublicationId::first(version) || id == version.to_string()
            }
            _ => false,
        }
    }

    /// What native readers are shown. A secret without a current version has the token of none.
    pub(crate) fn pointer(&self, owner: &Owner) -> Pointer {
        Pointer { token: PointerToken::new(self.current().unwrap_or("none")), shows: self.shows(owner) }
    }

    /// Every version held, each once.
    pub(crate) fn versions(&self) -> Vec<VersionId> {
        let held: BTreeSet<VersionId> = self.held().map(|(version, ..)| version).collect();
        held.into_iter().collect()
    }
}

pub(crate) fn time(time: &AwsTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}
