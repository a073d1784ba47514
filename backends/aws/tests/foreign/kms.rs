//! Unlock slots.

use aws_sdk_kms::Client;
use aws_sdk_kms::config::BehaviorVersion;
use futures_util::future::join_all;
use keyward_aws::kms::KmsWrapper;
use keyward_conformance::servers::{Answer, Fault, Proxy, server_url};
use keyward_seal::{KeyWrapper, WrapError, WrapKey};

use crate::answers;
use crate::common::config;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tests/servers/up.sh"]
async fn no_key_is_called_wrapped_unusable_or_wrong() {
    let moto = server_url("AWS_ENDPOINT_URL_KMS");
    let settings = config(&moto).to_builder().behavior_version(BehaviorVersion::latest());
    let http = aws_smithy_http_client::Builder::new().build_http();
    let made = Client::new(&settings.http_client(http).build()).create_key().send().await.expect("a key");
    let key = made.key_metadata().and_then(|key| key.arn()).expect("an ARN");
    // All at once: each is asked several times, with pauses.
    join_all(answers().into_iter().map(|(what, answer)| refused(&moto, key, what, answer))).await;
}

async fn refused(moto: &str, key: &str, what: &str, answer: Answer) {
    let secret = WrapKey::from_bytes(&[7; 32]).expect("a key");
    let wrapping = KmsWrapper::new(&config(moto), key).expect("a wrapper").wrap(&[1; 16], &secret).await;
    let proxy = Proxy::start(moto).await;
    proxy.plan(Fault::Answer(answer).always());
    let kms = KmsWrapper::new(&config(&proxy.url()), key).expect("a wrapper");
    let wrapping = wrapping.expect("wrapped");
    let (wrapped, unwrapped) = tokio::join!(kms.wrap(&[1; 16], &secret), kms.unwrap(&[1; 16], &wrapping));
    for refused in [wrapped.map(drop), unwrapped.map(drop)] {
        assert!(matches!(refused, Err(WrapError::Unavailable | WrapError::Unexpected)), "{what}: {refused:?}");
    }
}
