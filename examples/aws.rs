//! A key in AWS Secrets Manager, from registration to its second version.
//!
//! ```text
//! tests/servers/up.sh && . target/test-servers/env     # or the credentials and the region of your own account
//! cargo run --example aws --features aws
//! ```
//!
//! In an account of your own it leaves two secrets behind, under a name that it prints.

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

#[path = "remote/story.rs"]
mod story;

use aws_config::BehaviorVersion;
use keyward::aws::AwsBackend;
use keyward::core::RequestId;
use std::sync::Arc;
use story::{Answer, KEY, tell};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Answer {
    // Credentials, region and endpoint as every program that uses AWS finds them.
    let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let prefix = format!("keyward-example-{}", RequestId::generate());
    let store = Arc::new(AwsBackend::builder(&config).prefix(&prefix).open().await?);
    tell(store).await?;
    println!("\na native reader finds the bare value under AWSCURRENT of\n  {prefix}/keys/{KEY}.key");
    Ok(())
}
