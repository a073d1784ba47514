//! Unlock slots that AWS KMS wraps.

use std::collections::HashMap;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_types::SdkConfig;
use keyward_core::{Context, Operation};
use keyward_seal::{KeyWrapper, WrapError, WrapKey, Wrapping, async_trait};
use zeroize::Zeroizing;

use crate::call::Call;
use crate::client::{Limits, check_endpoint, check_environment, hardened};
use crate::error::{AwsError, Class, Fault};

/// Wraps the key of a store under a symmetric KMS key.
///
/// Creating a store needs `kms:Encrypt` on the key, opening it `kms:Decrypt`. Both name the key themselves and send the
/// id of the store as encryption context (`keyward:store`), which a key policy may require and CloudTrail shows. Name
/// the key by its ARN: an alias that is pointed elsewhere later no longer opens what was made before.
///
/// ```no_run
/// # async fn example(config: aws_types::SdkConfig) -> Result<(), keyward_aws::AwsError> {
/// use keyward_aws::kms::KmsWrapper;
/// let key = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// let wrapper = KmsWrapper::new(&config, key)?;
/// // keyward_file::FileBackend::builder().open_wrapped("keys.keyward", &wrapper).await?
/// # let _ = wrapper;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KmsWrapper {
    client: Client,
    key: String,
}

impl KmsWrapper {
    /// For one key: its ARN, its id, or an alias such as `alias/keyward`. Sends nothing.
    ///
    /// # Errors
    /// [`AwsError`], by what does not hold.
    ///
    /// ```
    /// use keyward_aws::AwsError;
    /// use keyward_aws::kms::KmsWrapper;
    /// let nowhere = aws_types::SdkConfig::builder().build();
    /// assert!(matches!(KmsWrapper::new(&nowhere, "alias/keyward"), Err(AwsError::Region)));
    /// ```
    pub fn new(config: &SdkConfig, key: &str) -> Result<Self, AwsError> {
        check_environment()?;
        config.region().ok_or(AwsError::Region)?;
        check_endpoint(config, "KMS", None)?;
        Ok(Self { client: Client::new(&hardened(config, Limits::default())), key: key.to_owned() })
    }
}

#[async_trait]
impl KeyWrapper for KmsWrapper {
    fn service(&self) -> &'static str {
        NAME
    }

    async fn wrap(&self, store: &[u8; 16], key: &WrapKey) -> Result<Wrapping, WrapError> {
        let cx = context()?;
        let plain = || Blob::new(key.expose_secret().as_slice());
        let encrypt = || self.client.encrypt().key_id(&self.key).set_encryption_context(Some(bound_to(store)));
        let made = call(&cx).send(|| encrypt().plaintext(plain()).send()).await.map_err(|fault| problem(&fault))?;
        let blob = made.ciphertext_blob().ok_or(WrapError::Unexpected)?;
        Wrapping::new(made.key_id().unwrap_or(&self.key), blob.as_ref())
    }

    async fn unwrap(&self, store: &[u8; 16], wrapping: &Wrapping) -> Result<WrapKey, WrapError> {
        let cx = context()?;
        let blob = || Blob::new(wrapping.blob());
        // The key is named here and not taken from the blob, which came with the file.
        let decrypt = || self.client.decrypt().key_id(&self.key).set_encryption_context(Some(bound_to(store)));
        let made =
            call(&cx).send(|| decrypt().ciphertext_blob(blob()).send()).await.map_err(|fault| problem(&fault))?;
        let plain = Zeroizing::new(made.plaintext.ok_or(WrapError::Unexpected)?.into_inner());
        WrapKey::from_bytes(&plain)
    }
}

fn call(cx: &Context) -> Call<'_> {
    Call::reads(cx, NAME, Operation::Open, Limits::default().retry)
}

fn context() -> Result<Context, WrapError> {
    Context::new("keyward", "unlock a store").map_err(|_| WrapError::Unexpected)
}

fn bound_to(store: &[u8; 16]) -> HashMap<String, String> {
    HashMap::from([("keyward:store".to_owned(), format!("{:032x}", u128::from_be_bytes(*store)))])
}

fn problem(fault: &Fault) -> WrapError {
    match (fault.class(), fault.code()) {
        (_, Some("DisabledException" | "KMSInvalidStateException")) | (Class::Absent, _) => WrapError::KeyUnusable,
        (Class::Undecryptable, _) => WrapError::Rejected,
        (Class::Denied, _) => WrapError::Denied,
        (Class::Away | Class::Lost | Class::Throttled, _) => WrapError::Unavailable,
        (Class::Exists | Class::Malformed | Class::Quota | Class::Refused, _) => WrapError::Unexpected,
    }
}

const NAME: &str = "aws-kms";
