//! An entry as one line for people.

use std::fmt;

use chrono::SecondsFormat;
use keyward_core::{AuditAction, AuditEntry};

/// An entry as one line: number, time, action, key, version, who, why, what exactly.
///
/// ```
/// use keyward::audit::line;
/// use keyward::core::{AuditAction, AuditEntry, AuditEvent, Context};
/// let cx = Context::new("ada", "quarterly rotation")?;
/// let event = AuditEvent::new(AuditAction::Change, &cx).key(&"dev/analytics/reports".parse()?).detail("promote");
/// let entry = AuditEntry { seq: 7, at: chrono::DateTime::UNIX_EPOCH, event };
/// assert_eq!(
///     line(&entry).to_string(),
///     "     7  1970-01-01T00:00:00Z  change    dev/analytics/reports  by ada: quarterly rotation (promote)",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn line(entry: &AuditEntry) -> Line<'_> {
    Line(entry)
}

/// An entry to be displayed as one line; made by [`line()`].
#[derive(Clone, Copy, Debug)]
pub struct Line<'a>(&'a AuditEntry);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AuditEntry { seq, at, event } = self.0;
        let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(f, "{seq:>6}  {at}  {:<8}", name(event.action))?;
        if let Some(key) = &event.key {
            write!(f, "  {key}")?;
        }
        if let Some(version) = event.version {
            write!(f, "  version {version}")?;
        }
        write!(f, "  by {}: {}", event.actor, event.reason)?;
        event.detail.as_ref().map_or(Ok(()), |detail| write!(f, " ({detail})"))
    }
}

fn name(action: AuditAction) -> &'static str {
    match action {
        AuditAction::Create => "create",
        AuditAction::Open => "open",
        AuditAction::Change => "change",
        AuditAction::Stage => "stage",
        AuditAction::Read => "read",
        AuditAction::Publish => "publish",
        AuditAction::Withdraw => "withdraw",
        AuditAction::Retire => "retire",
        AuditAction::Refuse => "refuse",
        AuditAction::Note => "note",
        _ => "other",
    }
}
