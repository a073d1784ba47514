//! A person makes and revokes the keys.

use async_trait::async_trait;
use keyward_core::{
    Context, CreateError, Created, Error, ErrorKind, Instructions, Issue, IssuerCapabilities, IssuerKey, IssuerStatus,
    KeyIssuer, KeyRecord, Operation, Result, Revoke, Scope, TextError, VersionId,
};

const NAME: &str = "manual";

/// Asks a person to make a key, and later to revoke it.
///
/// The run waits in `Plan` until somebody hands the key over with `Rotator::supply`, hours later
/// and from any host. A revoke counts once a probe sees the key refused, or once a person attests
/// it by name with `Rotator::attest_revoked`.
///
/// ```
/// use keyward::issuer::ManualIssuer;
/// let issuer = ManualIssuer::new(
///     "Create a restricted key in the vendor's dashboard with the scope of the record",
///     "Delete the old key in the vendor's dashboard",
/// )?;
/// # let _ = issuer;
/// # Ok::<(), keyward::core::TextError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ManualIssuer {
    create: Instructions,
    revoke: Instructions,
    capabilities: IssuerCapabilities,
}

impl ManualIssuer {
    /// An issuer that asks with these words.
    ///
    /// ```
    /// use keyward::issuer::ManualIssuer;
    /// assert!(ManualIssuer::new("make a key", "delete the key").is_ok());
    /// assert!(ManualIssuer::new("", "delete the key").is_err());
    /// ```
    ///
    /// # Errors
    /// [`TextError`] when the instructions are empty, longer than 512 bytes or unprintable.
    pub fn new(create: &str, revoke: &str) -> Result<Self, TextError> {
        let mut capabilities = IssuerCapabilities::default();
        capabilities.finds_by_label = false;
        Ok(Self { create: create.parse()?, revoke: revoke.parse()?, capabilities })
    }

    fn cannot(operation: Operation) -> Error {
        Error::new(ErrorKind::Unsupported, operation, NAME).with_detail("only a person can do that for this issuer")
    }
}

#[async_trait]
impl KeyIssuer for ManualIssuer {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.capabilities
    }

    async fn create(&self, _cx: &Context, _: Issue<'_>) -> Result<Created, CreateError> {
        Ok(Created::AskHuman(self.create.clone()))
    }

    async fn find(&self, _cx: &Context, _: &KeyRecord, _: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        Err(Self::cannot(Operation::Find))
    }

    async fn status(&self, _cx: &Context, _: Issue<'_>) -> Result<IssuerStatus> {
        Ok(IssuerStatus::CannotSay)
    }

    async fn scope(&self, _cx: &Context, _: Issue<'_>) -> Result<Option<Scope>> {
        Ok(None)
    }

    async fn deactivate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Self::cannot(Operation::Switch))
    }

    async fn activate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Self::cannot(Operation::Switch))
    }

    async fn revoke(&self, _cx: &Context, _: Issue<'_>) -> Result<Revoke> {
        Ok(Revoke::AskHuman(self.revoke.clone()))
    }
}
