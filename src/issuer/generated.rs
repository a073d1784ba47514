//! Your own service is the issuer: it generates tokens and verifies them against the record.

use async_trait::async_trait;
use keyward_core::{
    Context, CreateError, Created, Error, ErrorKind, Evidence, Issue, IssuerCapabilities, IssuerKey, IssuerRef,
    IssuerState, IssuerStatus, KeyIssuer, KeyRecord, Material, NewKey, Operation, Probe, Result, Revoke, Scope,
    SecretValue, Validator, Version, VersionId, VersionState,
};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::{PrefixError, TokenPrefix};

const NAME: &str = "generated";

/// Generates tokens for keys of your own service and verifies them.
///
/// A token is 190 random bits, so a plain SHA-256 of it can be kept without a salt: the hash
/// stands in the version's issuer state, the token itself only in the store's material. Verifying
/// needs the record and no permission to read values. A version that leaked, or is being revoked,
/// is refused from the moment its record says so.
///
/// ```
/// use keyward::issuer::GeneratedIssuer;
/// let issuer = GeneratedIssuer::new("acme_live")?;
/// assert_eq!(issuer.prefix().as_str(), "acme_live");
/// # Ok::<(), keyward::issuer::PrefixError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GeneratedIssuer {
    prefix: TokenPrefix,
    capabilities: IssuerCapabilities,
}

impl GeneratedIssuer {
    /// An issuer of tokens that begin with `prefix`.
    ///
    /// ```
    /// use keyward::issuer::GeneratedIssuer;
    /// assert!(GeneratedIssuer::new("acme_live").is_ok());
    /// assert!(GeneratedIssuer::new("no spaces").is_err());
    /// ```
    ///
    /// # Errors
    /// [`PrefixError`] when the prefix is not 2 to 24 bytes of `a-z`, `0-9` and inner underscores.
    pub fn new(prefix: &str) -> Result<Self, PrefixError> {
        let mut capabilities = IssuerCapabilities::default();
        // The hash is the key: without it in the record no token of the version can ever work.
        capabilities.absent_is_final = true;
        capabilities.finds_by_label = false;
        Ok(Self { prefix: TokenPrefix::parse(prefix)?, capabilities })
    }

    /// What its tokens begin with.
    pub fn prefix(&self) -> &TokenPrefix {
        &self.prefix
    }

    /// Which version of the key a presented token belongs to, if it may be used.
    ///
    /// Takes the same time for every wrong token of the right shape: all versions are compared,
    /// each in constant time.
    pub fn verify(&self, record: &KeyRecord, presented: &SecretValue) -> Option<VersionId> {
        if !self.prefix.is_token(presented.expose_secret()) {
            return None;
        }
        let presented = hash(presented);
        let mut found = None;
        for version in record.versions() {
            let same = version
                .issuer_state
                .as_ref()
                .map_or(Choice::from(0), |kept| kept.as_str().as_bytes().ct_eq(presented.as_bytes()));
            if bool::from(same) && is_accepted(version) {
                found = Some(version.id);
            }
        }
        found
    }

    fn mint(&self, version: VersionId) -> Result<NewKey> {
        let failed = |detail| Error::new(ErrorKind::Unavailable, Operation::Create, NAME).with_detail(detail);
        let token = self.prefix.mint().map_err(|_| failed("the operating system gave no randomness"))?;
        let text = |_| failed("a hash or a version id does not fit the record");
        let state: IssuerState = hash(&token).parse().map_err(text)?;
        let reference: IssuerRef = format!("{}:{version}", self.prefix).parse().map_err(text)?;
        let material = Material::one(token).map_err(|_| failed("the token does not fit the store"))?;
        Ok(NewKey::new(material).state(state).reference(reference))
    }
}

#[async_trait]
impl KeyIssuer for GeneratedIssuer {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.capabilities
    }

    async fn create(&self, _cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        self.mint(new.version.id).map(Created::Key).map_err(CreateError::NotCreated)
    }

    async fn find(&self, _cx: &Context, _: &KeyRecord, _: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        Err(Error::new(ErrorKind::Unsupported, Operation::Find, NAME).with_detail("the record is the only register"))
    }

    async fn status(&self, _cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        Ok(match (&issue.version.issuer_state, is_accepted(issue.version)) {
            (None, _) => IssuerStatus::Absent,
            (Some(_), true) => IssuerStatus::Live,
            (Some(_), false) => IssuerStatus::Revoked(Evidence::lossy("the verifier refuses it: the record says so")),
        })
    }

    async fn scope(&self, _cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        // The verifier enforces the record, so the record is the scope.
        Ok(Some(issue.record.scope().clone()))
    }

    async fn deactivate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, Operation::Switch, NAME))
    }

    async fn activate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, Operation::Switch, NAME))
    }

    async fn revoke(&self, _cx: &Context, _: Issue<'_>) -> Result<Revoke> {
        Ok(Revoke::Accepted)
    }
}

/// The verifier itself is the probe.
#[async_trait]
impl Validator for GeneratedIssuer {
    async fn probe(&self, _cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        let Some(token) = material.value() else {
            return Ok(Probe::Unclear(Evidence::lossy("the material is not one value")));
        };
        Ok(match self.verify(issue.record, token) {
            Some(version) if version == issue.version.id => Probe::Accepted(Evidence::lossy("the verifier accepts it")),
            _ => Probe::Rejected(Evidence::lossy("the verifier refuses it")),
        })
    }
}

fn is_accepted(version: &Version) -> bool {
    let working = matches!(
        version.state,
        VersionState::Staged | VersionState::Validated | VersionState::Primary | VersionState::Overlap
    );
    working && version.compromised.is_none()
}

fn hash(token: &SecretValue) -> String {
    let digest = Sha256::digest(token.expose_secret());
    digest.iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
}
