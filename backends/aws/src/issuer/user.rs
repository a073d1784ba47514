//! The IAM user a version was made for. Its name may change; its id does not.

use keyward_core::{IssuerState, TextError};

/// A user, as a version keeps it: the name, and the id behind a `/`, which no name has, where we may know it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) id: Option<String>,
}

impl User {
    pub(super) fn named(name: String) -> Self {
        Self { name, id: None }
    }

    pub(super) fn kept(state: &IssuerState) -> Self {
        let (name, id) = state.as_str().split_once('/').map_or((state.as_str(), None), |(name, id)| (name, Some(id)));
        Self { name: name.to_owned(), id: id.map(str::to_owned) }
    }

    pub(super) fn state(&self) -> Result<IssuerState, TextError> {
        match &self.id {
            Some(id) => format!("{}/{id}", self.name).parse(),
            None => self.name.parse(),
        }
    }

    /// True for the user of an ARN and an id as AWS gives them to whoever asks who they are.
    pub(super) fn is(&self, arn: &str, id: Option<&str>) -> bool {
        match (&self.id, id) {
            (Some(own), Some(id)) => own == id && is_user(arn),
            _ => is_user(arn) && arn.rsplit('/').next() == Some(&self.name),
        }
    }
}

/// True for what can be the id of a user.
pub(super) fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// True for `arn:aws:iam::123456789012:user/path/name`, in any partition.
fn is_user(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    let start = [parts.next(), parts.nth(1)];
    start == [Some("arn"), Some("iam")] && parts.nth(2).is_some_and(|resource| resource.starts_with("user/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_user_itself() {
        let user = User::named("reports".to_owned());
        for arn in ["arn:aws:iam::123456789012:user/reports", "arn:aws-cn:iam::123456789012:user/a/b/reports"] {
            assert!(user.is(arn, Some("AIDA1")), "{arn}");
        }
        for arn in [
            "arn:aws:iam::123456789012:user/reports2",
            "arn:aws:iam::123456789012:user/reports/other",
            "arn:aws:iam::123456789012:role/reports",
            "arn:aws:sts::123456789012:user/reports",
            "arn:aws:sts::123456789012:assumed-role/x/reports",
            "reports",
            "",
        ] {
            assert!(!user.is(arn, None), "{arn}");
        }
    }

    #[test]
    fn the_id_says_more_than_the_name() {
        let user = User { name: "reports".to_owned(), id: Some("AIDA1".to_owned()) };
        assert!(user.is("arn:aws:iam::123456789012:user/renamed", Some("AIDA1")));
        assert!(!user.is("arn:aws:iam::123456789012:user/reports", Some("AIDA2")), "made anew under the same name");
        assert!(user.is("arn:aws:iam::123456789012:user/reports", None));
        assert!(!user.is("arn:aws:iam::123456789012:role/reports", Some("AIDA1")));
    }

    #[test]
    fn a_version_keeps_both() {
        for user in [
            User::named("a+b=c,d.e@f-g_h".to_owned()),
            User { name: "reports".to_owned(), id: Some("AIDA1".to_owned()) },
        ] {
            assert_eq!(User::kept(&user.state().expect("a state")), user);
        }
        assert!(is_id("AIDACKCEVSQ6C2EXAMPLE") && !is_id("") && !is_id("a b"));
    }
}
