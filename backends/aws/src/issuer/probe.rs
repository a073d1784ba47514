//! Trying an access key out: it is asked who it is.

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Builder, IdentityCache};
use keyward_core::{Context, Evidence, Issue, Material, Operation, Probe, Result, Validator};

use super::iam::IamIssuer;
use super::{KEY_ID, SECRET};

/// Tries an access key out with a call signed by it: `sts:GetCallerIdentity`, which needs no permission.
///
/// - **Accepted**: it works, and belongs to the expected user, whatever its name is now.
/// - **Rejected**: AWS says that there is no such access key, or that it is switched off.
/// - **Unclear**: anything else. Also a signature that does not match, because a wrong clock on this host is answered the
///   same way; and a working access key of another user.
#[derive(Clone, Debug)]
pub struct IamValidator {
    issuer: IamIssuer,
}

impl IamValidator {
    /// For the keys of an issuer, with its settings.
    #[must_use]
    pub fn of(issuer: &IamIssuer) -> Self {
        Self { issuer: issuer.clone() }
    }

    fn client(&self, id: &str, secret: &str) -> Client {
        let credentials = Credentials::new(id, secret, None, None, "keyward probe");
        // One client per probe, and nothing of it outlives the probe.
        let config = Builder::from(self.issuer.config()).identity_cache(IdentityCache::no_cache());
        Client::from_conf(config.credentials_provider(credentials).build())
    }
}

#[async_trait]
impl Validator for IamValidator {
    async fn probe(&self, cx: &Context, issue: Issue<'_>, material: &Material) -> Result<Probe> {
        let call = self.issuer.calls().call(cx, Operation::Probe).about(issue.record.id());
        let (Some(id), Some(secret)) = (text(material, KEY_ID), text(material, SECRET)) else {
            return Ok(unclear("the material is no access key"));
        };
        if issue.version.issuer_ref.as_ref().is_some_and(|known| known.as_str() != id) {
            return Ok(unclear("the material is not the access key of this version"));
        }
        let user = self.issuer.user_of(call, issue)?;
        let client = self.client(id, secret);
        match call.send(|| client.get_caller_identity().send()).await {
            Ok(caller) => Ok(match caller.arn() {
                Some(arn) if user.is(arn, caller.user_id()) => {
                    Probe::Accepted(Evidence::lossy(&format!("AWS answers {arn}")))
                }
                _ => unclear("it works, but does not belong to the expected user"),
            }),
            Err(fault) => match fault.code() {
                Some("InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId") => {
                    Ok(Probe::Rejected(Evidence::lossy("AWS says there is no such access key, or it is switched off")))
                }
                Some("SignatureDoesNotMatch") => {
                    Ok(unclear("the signature does not match: the secret is wrong, or the clock of this host"))
                }
                _ => Err(fault.into_error()),
            },
        }
    }
}

fn text<'a>(material: &'a Material, name: &str) -> Option<&'a str> {
    std::str::from_utf8(material.field(name)?.expose_secret()).ok()
}

fn unclear(why: &str) -> Probe {
    Probe::Unclear(Evidence::lossy(why))
}
