//! AWS Secrets Manager. See [`AwsBackend`].

pub use keyward_aws::*;
