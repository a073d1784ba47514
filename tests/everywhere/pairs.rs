//! An issuer of key pairs, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use keyward::core::{
    Context, CreateError, Created, Error, ErrorKind, Evidence, Issue, IssuerCapabilities, IssuerKey, IssuerStatus,
    KeyIssuer, KeyRecord, Material, NewKey, Operation, Probe, Result, Revoke, Scope, SecretValue, Validator, VersionId,
    async_trait,
};

/// Makes pairs of an id and a secret; it is its own validator.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    made: Arc<Mutex<BTreeMap<VersionId, (Material, bool)>>>,
    capabilities: IssuerCapabilities,
}

impl Pairs {
    /// True when this is the material made for that version.
    pub(crate) fn made(&self, version: VersionId, material: &Material) -> bool {
        self.made.lock().expect("a lock").get(&version).is_some_and(|(made, _)| made.ct_eq(material))
    }

    fn cannot(operation: Operation) -> Error {
        Error::new(ErrorKind::Unsupported, operation, "pairs")
    }
}

#[async_trait]
impl KeyIssuer for Pairs {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.capabilities
    }

    async fn create(&self, _: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        let version = new.version.id;
        let field = |name: &str, text: String| (name.parse().expect("a name"), SecretValue::from(text.as_str()));
        let pair = [field("access_key_id", format!("id-{version}")), field("secret", format!("secret-{version}"))];
        let material = Material::fields(pair).expect("material");
        self.made.lock().expect("a lock").insert(version, (material.duplicate(), true));
        Ok(Created::Key(NewKey::new(material).reference(version.to_string().parse().expect("a reference"))))
    }

    async fn find(&self, _: &Context, _: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        let made = self.made.lock().expect("a lock");
        let live = made.iter().filter(|(label, (_, live))| *live && version.is_none_or(|v| v == **label));
        Ok(live.map(|(&label, _)| IssuerKey { label, reference: label.to_string().parse().expect("text") }).collect())
    }

    async fn status(&self, _: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        Ok(match self.made.lock().expect("a lock").get(&issue.version.id) {
            None => IssuerStatus::Absent,
            Some((_, true)) => IssuerStatus::Live,
            Some((_, false)) => IssuerStatus::Revoked(Evidence::lossy("revoked")),
        })
    }

    async fn scope(&self, _: &Context, _: Issue<'_>) -> Result<Option<Scope>> {
        Ok(None)
    }

    async fn deactivate(&self, _: &Context, _: Issue<'_>) -> Result<()> {
        Err(Self::cannot(Operation::Switch))
    }

    async fn activate(&self, _: &Context, _: Issue<'_>) -> Result<()> {
        Err(Self::cannot(Operation::Switch))
    }

    async fn revoke(&self, _: &Context, issue: Issue<'_>) -> Result<Revoke> {
        if let Some((_, live)) = self.made.lock().expect("a lock").get_mut(&issue.version.id) {
            *live = false;
        }
        Ok(Revoke::Accepted)
    }
}

#[async_trait]
impl Validator for Pairs {
    async fn probe(&self, _: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        let made = self.made.lock().expect("a lock");
        let live = made.get(&issue.version.id).is_some_and(|(made, live)| *live && made.ct_eq(material));
        let said = Evidence::lossy("asked the issuer of pairs");
        Ok(if live { Probe::Accepted(said) } else { Probe::Rejected(said) })
    }
}
