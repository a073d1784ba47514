//! A user of its own on a test server.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::config::BehaviorVersion;
use aws_sdk_iam::types::{StatusType, Tag};
use aws_types::SdkConfig;
use keyward_aws::Retry;
use keyward_aws::issuer::{IamBuilder, IamIssuer};
use keyward_conformance::servers::Answer;
use keyward_core::{Clock, KeyId, ManualClock, RequestId, SystemClock};

use crate::common::config;

/// A user, and the key that belongs to it.
pub(crate) struct IamSite {
    pub(crate) key: KeyId,
    pub(crate) user: String,
    url: String,
    client: Client,
}

impl IamSite {
    pub(crate) async fn new(url: &str) -> Self {
        let settings = config(url).to_builder().behavior_version(BehaviorVersion::latest());
        let http = aws_smithy_http_client::Builder::new().build_http();
        let client = Client::new(&settings.http_client(http).build());
        let unique = RequestId::generate().to_string();
        let user = format!("t-{unique}");
        client.create_user().user_name(&user).send().await.expect("a user");
        let key = format!("dev/analytics/k-{unique}").parse().expect("a key id");
        Self { key, user, url: url.to_owned(), client }
    }

    pub(crate) fn issuer(&self) -> IamIssuer {
        self.issuer_at(&self.url)
    }

    pub(crate) fn issuer_at(&self, url: &str) -> IamIssuer {
        self.issuer_of(&config(url))
    }

    pub(crate) fn issuer_of(&self, config: &SdkConfig) -> IamIssuer {
        self.builder(config).open().expect("an issuer")
    }

    pub(crate) fn sole(&self) -> IamIssuer {
        self.sole_at(&self.url)
    }

    pub(crate) fn sole_at(&self, url: &str) -> IamIssuer {
        self.builder(&config(url)).sole_creator().open().expect("an issuer")
    }

    /// The same, asking once.
    pub(crate) fn hasty_at(&self, url: &str) -> IamIssuer {
        self.builder(&config(url)).sole_creator().retry(Retry::NEVER).open().expect("an issuer")
    }

    pub(crate) fn builder(&self, config: &SdkConfig) -> IamBuilder {
        let quick = Retry::new(4, Duration::from_millis(20), Duration::from_millis(200));
        // What is made now is an hour old to it: IAM has long shown what it will show.
        let clock = ManualClock::at(SystemClock.now() + Duration::from_secs(3600));
        IamIssuer::builder(config).user(&self.key, &self.user).retry(quick).clock(Arc::new(clock))
    }

    pub(crate) async fn tag(&self, key: &str) {
        let tag = Tag::builder().key("keyward:key").value(key).build().expect("a tag");
        self.client.tag_user().user_name(&self.user).tags(tag).send().await.expect("tagged");
    }

    pub(crate) async fn tagged(self) -> Self {
        self.tag(&self.key.to_string()).await;
        self
    }

    /// The access keys of the user, and whether they are switched on.
    pub(crate) async fn keys(&self) -> Vec<(String, bool)> {
        let listed = self.client.list_access_keys().user_name(&self.user).send().await.expect("a listing");
        let keys = listed.access_key_metadata().iter();
        keys.map(|key| (key.access_key_id().expect("an id").to_owned(), key.status() == Some(&StatusType::Active)))
            .collect()
    }

    pub(crate) async fn create_by_hand(&self) -> String {
        let made = self.client.create_access_key().user_name(&self.user).send().await.expect("an access key");
        made.access_key().expect("an access key").access_key_id().to_owned()
    }

    pub(crate) async fn delete_by_hand(&self, id: &str) {
        self.client.delete_access_key().user_name(&self.user).access_key_id(id).send().await.expect("deleted");
    }

    /// The same under another name; its access keys stay what they are.
    pub(crate) async fn renamed(&self) -> Self {
        let user = format!("{}-renamed", self.user);
        self.client.update_user().user_name(&self.user).new_user_name(&user).send().await.expect("renamed");
        Self { key: self.key.clone(), user, url: self.url.clone(), client: self.client.clone() }
    }

    pub(crate) async fn user_id(&self) -> String {
        let found = self.client.get_user().user_name(&self.user).send().await.expect("the user");
        found.user().expect("a user").user_id().to_owned()
    }

    pub(crate) async fn create_user(&self) {
        self.client.create_user().user_name(&self.user).send().await.expect("a user");
    }

    pub(crate) async fn delete_user(&self) {
        self.client.delete_user().user_name(&self.user).send().await.expect("deleted");
    }
}

/// An error as IAM writes it.
pub(crate) fn error(status: u16, code: &str) -> Answer {
    let body = format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code></Error></ErrorResponse>");
    Answer::new(status, body).header("content-type", "text/xml")
}

pub(crate) fn access_denied() -> Answer {
    error(403, "AccessDenied")
}
