//! What can be chosen for an issuer of access keys, and which user a key belongs to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_iam::Client;
use aws_types::SdkConfig;
use keyward_core::{Clock, IssuerCapabilities, KeyId, SystemClock};
use keyward_remote::Retry;

use super::calls::Calls;
use super::iam::IamIssuer;
use crate::client::{Limits, check_endpoint, check_environment, hardened};
use crate::error::AwsError;

/// Settings of an [`IamIssuer`].
#[derive(Clone, Debug)]
#[must_use]
pub struct IamBuilder {
    config: SdkConfig,
    users: Users,
    sole: bool,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

impl IamBuilder {
    /// What the names of users begin with unless said otherwise.
    pub const DEFAULT_USER_PREFIX: &str = "keyward.";

    pub(super) fn new(config: &SdkConfig) -> Self {
        let users = Users { prefix: Self::DEFAULT_USER_PREFIX.to_owned(), named: BTreeMap::new() };
        Self { config: config.clone(), users, sole: false, limits: Limits::default(), clock: Arc::new(SystemClock) }
    }

    /// What the names of users begin with; the id of the key follows, with `.` for `/`.
    pub fn user_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.users.prefix);
        self
    }

    /// The user of one key, whatever the prefix.
    pub fn user(mut self, key: &KeyId, name: &str) -> Self {
        self.users.named.insert(key.clone(), name.to_owned());
        self
    }

    /// Your word that nobody else, and no person, creates access keys for these users. Then an access key that no
    /// version names counts as the work of a create that was given up, and is deleted.
    ///
    /// Each user must repeat it with the tag `keyward:key` = the id of the key; without the tag nothing is created,
    /// found or deleted.
    pub fn sole_creator(mut self) -> Self {
        self.sole = true;
        self
    }

    /// How long one attempt of a call may take. Default 10 seconds.
    pub fn attempt_timeout(mut self, limit: Duration) -> Self {
        self.limits.attempt = limit;
        self
    }

    /// How calls are repeated. A create never is.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.limits.retry = retry;
        self
    }

    /// The clock that tells how old a version is. Default: that of this machine. What IAM does not show of a version
    /// planned less than 15 minutes ago is not called gone: IAM answers from copies that lag.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the issuer. Sends nothing.
    ///
    /// # Errors
    /// [`AwsError`]; [`AwsError::User`] when a user name is not one of IAM, or is given to two keys.
    ///
    /// ```
    /// use keyward_aws::AwsError;
    /// use keyward_aws::issuer::IamIssuer;
    /// # let config = aws_types::SdkConfig::builder().region(aws_types::region::Region::from_static("eu-central-1")).build();
    /// let key = "production/analytics/reports".parse()?;
    /// assert!(IamIssuer::builder(&config).user(&key, "reports").open().is_ok());
    /// assert!(matches!(IamIssuer::builder(&config).user(&key, "no spaces").open(), Err(AwsError::User)));
    /// # Ok::<(), keyward_core::NameError>(())
    /// ```
    pub fn open(self) -> Result<IamIssuer, AwsError> {
        check_environment()?;
        self.users.check()?;
        self.config.region().ok_or(AwsError::Region)?;
        check_endpoint(&self.config, "IAM", None)?;
        check_endpoint(&self.config, "STS", None)?;
        let config = hardened(&self.config, self.limits);
        let calls = Calls::new(Client::new(&config), self.limits.retry);
        Ok(IamIssuer::new(config, calls, self.users, self.sole, self.clock))
    }
}

/// Which user a key belongs to.
#[derive(Clone, Debug)]
pub(super) struct Users {
    prefix: String,
    named: BTreeMap<KeyId, String>,
}

impl Users {
    /// The user of a key; nothing when the name would be too long for IAM.
    pub(super) fn of(&self, key: &KeyId) -> Option<String> {
        let name = match self.named.get(key) {
            Some(name) => name.clone(),
            None => format!("{}{}", self.prefix, key.to_string().replace('/', ".")),
        };
        is_user(&name).then_some(name)
    }

    fn check(&self) -> Result<(), AwsError> {
        let mut names: Vec<_> = self.named.values().map(|name| name.to_ascii_lowercase()).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        let plain = self.prefix.is_empty() || is_user(&self.prefix);
        if plain && names.len() == all && self.named.values().all(|name| is_user(name)) {
            Ok(())
        } else {
            Err(AwsError::User)
        }
    }
}

/// The names IAM allows. They are compared without case there.
pub(super) fn is_user(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=MAX_USER).contains(&name.len()) && name.bytes().all(allowed)
}

pub(super) fn capabilities(sole: bool) -> IssuerCapabilities {
    let mut capabilities = IssuerCapabilities::default();
    capabilities.finds_by_label = sole;
    capabilities.reversible = true;
    capabilities.max_live = Some(2);
    capabilities.revoke_latency = FORGOTTEN;
    capabilities
}

const MAX_USER: usize = 64;
/// AWS names no bound for how long a deleted access key may still work here and there; seconds are usual.
const FORGOTTEN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_user() {
        let builder = IamBuilder::new(&SdkConfig::builder().build()).user_prefix("svc-");
        let key: KeyId = "dev/analytics/reports".parse().expect("a key id");
        assert_eq!(builder.users.of(&key).as_deref(), Some("svc-dev.analytics.reports"));
        let other = "dev/analytics/other".parse().expect("a key id");
        let builder = builder.user(&key, "Reports");
        assert_eq!(builder.users.of(&key).as_deref(), Some("Reports"));
        assert!(builder.users.check().is_ok());
        assert!(builder.user(&other, "reports").users.check().is_err(), "IAM knows no case");
    }

    #[test]
    fn a_name_too_long_for_a_user_is_no_user() {
        let users = IamBuilder::new(&SdkConfig::builder().build()).users;
        let key = format!("dev/analytics/{}", "x".repeat(50)).parse().expect("a key id");
        assert_eq!(users.of(&key), None);
        for name in ["", "a b", "a/b", "a:b", "ä"] {
            assert!(!is_user(name), "{name}");
        }
    }
}
