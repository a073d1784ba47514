//! Is the mount one that can keep the promises?

use keyward_core::{Context, ErrorKind, Operation, Result};

use crate::client::Request;
use crate::error::{fault, is_no_such_path, not_vault};
use crate::kv::{Kv, SELF_DELETING, is_set};

/// Looks at a mount: KV version 2, and nothing in it deletes versions by itself. What the role may not look at is
/// passed over; each write looks again.
pub(crate) async fn preflight(kv: &Kv, cx: &Context, operation: Operation) -> Result<()> {
    let versioned = is_version_two(kv, cx, operation).await?;
    let request = Request::get(format!("{}/config", kv.mount()));
    let config = match kv.client().call(cx, operation, &request).await.and_then(|reply| reply.found(operation)) {
        Ok(Some(mut config)) => config.take_data(operation)?,
        Ok(None) if versioned => return Ok(()),
        Ok(None) => return Err(fault(ErrorKind::NotFound, operation, NO_MOUNT)),
        Err(error) if is_no_such_path(&error) => return Err(fault(ErrorKind::NotFound, operation, NO_MOUNT)),
        Err(error) if error.kind() == ErrorKind::Denied => return Ok(()),
        Err(error) => return Err(error),
    };
    if !versioned && config.get("max_versions").is_null() {
        return Err(fault(ErrorKind::Unsupported, operation, NOT_VERSIONED));
    }
    if is_set(config.get("delete_version_after")) {
        return Err(fault(ErrorKind::Invalid, operation, SELF_DELETING));
    }
    if config.get("metadata_cas_required").as_bool() == Some(true) {
        let detail = "the mount demands check-and-set of metadata, which Vault does not have; switch \
                      metadata_cas_required off";
        return Err(fault(ErrorKind::Unsupported, operation, detail));
    }
    Ok(())
}

/// True when the server says so; false when it does not say.
async fn is_version_two(kv: &Kv, cx: &Context, operation: Operation) -> Result<bool> {
    let request = Request::get(format!("sys/internal/ui/mounts/{}", kv.mount()));
    let mut answer = match kv.client().call(cx, operation, &request).await.and_then(|reply| reply.done(operation)) {
        Ok(answer) => answer,
        // Also what a server says of a mount it does not have.
        Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Invalid) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let mut data = answer.take_data(operation)?;
    let kind = data.get("type").as_str().ok_or_else(|| not_vault(operation, false))?.to_owned();
    let options = data.take("options").unwrap_or_default();
    match (kind.as_str(), options.get("version").as_str()) {
        ("kv", Some("2")) => Ok(true),
        _ => Err(fault(ErrorKind::Unsupported, operation, NOT_VERSIONED)),
    }
}

const NO_MOUNT: &str = "there is no such mount, or it is not KV version 2";
const NOT_VERSIONED: &str = "the mount is not KV version 2, and without versions nothing here can be promised; \
                             upgrade it (`kv enable-versioning`) or name another mount";
