//! Names parse once: wrong ones are refused with a position, never with the text, and serde goes
//! through the same door.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use keyward_core::{
    Actor, AwsSecretName, Contact, CustomEnvironment, EndpointError, EndpointPattern, Environment, Evidence, FieldName,
    Fingerprint, Function, HolderId, IncidentId, Instructions, IssuerName, IssuerRef, IssuerState, KeyDraft, KeyId,
    KeyName, KeyUid, LabelName, LabelValue, Labels, Link, LinkError, LinkTitle, LinkUrl, Location, MaterialError,
    NameError, NoteText, OperationId, Owner, Ownership, OwnershipError, Permission, PublicationId, Reason, RecordError,
    RequestId, Resource, RunId, Scope, ServiceName, Team, TextError, VaultPathText, VersionId,
};
use proptest::prelude::*;
use serde::de::DeserializeOwned;

/// The parser and serde refuse the text, and neither error repeats it.
fn refused<T>(text: &str) -> T::Err
where
    T: FromStr + DeserializeOwned + Debug,
    T::Err: Display + Debug,
{
    let json = serde_json::Value::String(text.to_owned());
    match serde_json::from_value::<T>(json) {
        Ok(value) => panic!("serde accepted {text:?} as {value:?}"),
        Err(error) => quotes_nothing(&error.to_string(), text),
    }
    parser_refuses::<T>(text)
}

fn parser_refuses<T>(text: &str) -> T::Err
where
    T: FromStr + Debug,
    T::Err: Display + Debug,
{
    match text.parse::<T>() {
        Ok(value) => panic!("the parser accepted {text:?} as {value:?}"),
        Err(error) => {
            quotes_nothing(&format!("{error}"), text);
            quotes_nothing(&format!("{error:?}"), text);
            error
        }
    }
}

fn quotes_nothing(said: &str, text: &str) {
    assert!(text.len() < 9 || !said.contains(text), "the error repeats the text: {said}");
    assert!(!said.contains("hunter2"), "the error repeats a part of the text: {said}");
}

/// What no name of any kind may be.
const HOSTILE: &[&str] = &[
    "",
    " ",
    ".",
    "..",
    "../hunter2",
    "hunter2/..",
    "hunter2%2f",
    "hunter2%2e%2e",
    "hunter2-",
    "-hunter2",
    "Hunter2",
    "hunter2\0",
    "hunter2\n",
    "\thunter2",
    "hunter2 ",
    "hunter2\u{7f}",
    "hunter2\u{202e}",
    "hünter2",
    "hunter2\u{430}",
    "hunter2_x",
    "hunter2.x",
    "hunter2:x",
    "hunter2\\x",
    "hunter2@x",
    "hunter2*",
    "hunter2?x=1",
    "hunter2#x",
];

macro_rules! names {
    ($($test:ident: $name:ty, $max:literal;)*) => {$(
        #[test]
        fn $test() {
            for text in HOSTILE.iter().chain(&["hunter2/x", "/hunter2"]) {
                refused::<$name>(text);
            }
            refused::<$name>(&"a".repeat($max + 1));
            for good in ["a", "0", "a-b", "9-9", "a--b", &"a".repeat($max)] {
                let name: $name = good.parse().expect(good);
                assert_eq!(name.to_string(), good);
                assert_eq!(name.as_str(), good);
                assert_eq!(serde_json::to_value(&name).expect("json"), good);
            }
        }
    )*};
}

names! {
    key_name: KeyName, 64;
    function: Function, 32;
    service: ServiceName, 64;
    issuer: IssuerName, 64;
    label_name: LabelName, 64;
    resource: Resource, 64;
    environment: Environment, 32;
}

#[test]
fn a_name_is_refused_with_its_position() {
    assert_eq!("ab/c".parse::<KeyName>(), Err(NameError::Character { part: "name", at: 2 }));
    assert_eq!("abC".parse::<KeyName>(), Err(NameError::Character { part: "name", at: 2 }));
    assert_eq!("-a".parse::<KeyName>(), Err(NameError::Edge { part: "name", at: 0 }));
    assert_eq!("ab-".parse::<KeyName>(), Err(NameError::Edge { part: "name", at: 2 }));
    assert_eq!("".parse::<KeyName>(), Err(NameError::Length { part: "name", found: 0, max: 64 }));
    assert_eq!("dev/pay/é".parse::<KeyId>(), Err(NameError::Character { part: "name", at: 0 }));
}

#[test]
fn a_custom_environment_is_none_of_the_well_known_ones() {
    for text in HOSTILE {
        parser_refuses::<CustomEnvironment>(text);
    }
    for known in ["dev", "staging", "production"] {
        assert_eq!(known.parse::<CustomEnvironment>(), Err(NameError::Reserved { part: "environment" }));
        assert!(!matches!(known.parse::<Environment>(), Ok(Environment::Custom(_))));
    }
    assert_eq!("qa-eu".parse::<CustomEnvironment>().expect("a good name").as_str(), "qa-eu");
    assert!("a".repeat(33).parse::<CustomEnvironment>().is_err());
}

#[test]
fn key_ids() {
    let wrong = [
        "",
        "/",
        "//",
        "dev",
        "dev/payments",
        "dev/payments/",
        "/payments/hunter2",
        "dev//hunter2",
        "/dev/payments/hunter2",
        "dev/payments/hunter2/",
        "dev//payments/hunter2",
        "dev/payments/hunter2/x",
        "dev/payments/../hunter2",
        "../payments/hunter2",
        "dev/../hunter2",
        "dev/payments/..",
        "dev/payments/.",
        "dev/payments/hunter2%2f..",
        "dev%2fpayments%2fhunter2",
        "dev\\payments\\hunter2",
        "dev/payments/Hunter2",
        "Dev/payments/hunter2",
        "dev/payments/hunter2-",
        "dev/payments/-hunter2",
        "dev-/payments/hunter2",
        "dev/payments/hunter2\0",
        "dev/payments/hunter2\n",
        " dev/payments/hunter2",
        "dev/payments/hunter2 ",
        "dev/payments/hunter2.h",
        "dev/payments/hunter2.h0",
        "dev/payments/hunter2.h01",
        "dev/payments/hunter2.h+1",
        "dev/payments/hunter2.h-1",
        "dev/payments/hunter2.h1.h2",
        "dev/payments/hunter2.h4294967296",
        "dev/payments/hunter2.h1x",
        "dev/payments/hunter2.H1",
        "dev/payments/hunter2.1",
        "dev/payments/.h1",
        "dev/payments.h1/hunter2",
        "dev.h1/payments/hunter2",
        "dev/payments/hunter2\u{ff0f}x",
    ];
    for text in wrong {
        refused::<KeyId>(text);
        assert!(KeyId::try_from(text).is_err() && KeyId::try_from(text.to_owned()).is_err());
    }
    refused::<KeyId>(&format!("dev/payments/{}", "a".repeat(65)));
    refused::<KeyId>(&format!("dev/{}/x", "a".repeat(33)));
    refused::<KeyId>(&"a/".repeat(5_000));
    let key: KeyId = "qa-eu/payments/stripe.h7".parse().expect("a page");
    assert_eq!(
        (key.page(), key.name().as_str(), key.to_string().as_str()),
        (Some(7), "stripe", "qa-eu/payments/stripe.h7")
    );
    assert_eq!("dev/a/b.h4294967295".parse::<KeyId>().expect("a page").page(), Some(u32::MAX));
}

/// A page id that could not be parsed again would be lost in every store.
#[test]
fn every_page_id_parses_again() {
    let key: KeyId = "dev/a/b".parse().expect("a key");
    for number in [0, 1, 10, u32::MAX] {
        let page = key.history_page(number);
        assert_eq!(page.as_str().parse::<KeyId>().as_ref(), Ok(&page));
        assert_eq!(page.history_page(3), key.history_page(3), "a page of a page is a page of the key");
    }
}

#[test]
fn key_ids_order_as_text() {
    let texts = ["dev/a/b", "dev/a-b/c", "dev/a/b.h1", "dev/a/b-c", "dev-x/a/b", "production/a/b", "a/a/a"];
    let mut keys: Vec<KeyId> = texts.iter().map(|t| t.parse().expect("a key")).collect();
    let mut sorted = texts.to_vec();
    keys.sort();
    sorted.sort_unstable();
    assert_eq!(keys.iter().map(KeyId::as_str).collect::<Vec<_>>(), sorted);
}

macro_rules! texts {
    ($($test:ident: $name:ty;)*) => {$(
        #[test]
        fn $test() {
            let max = <$name>::MAX_LEN;
            let wrong = [
                "", " ", "\n", " hunter2", "hunter2 ", "hunter2\n", "hunter2\r\nforged: line", "hunter2\0", "hunter2\u{7f}",
                "hunter2\u{85}x", "hunter2\u{2028}x", "hunter2\u{2029}x", "hunter2\u{202e}x", "hunter2\u{2066}x",
                "hunter2\u{200f}x", "\u{feff}hunter2", "\u{a0}hunter2", "hunter2\u{1b}[2J",
            ];
            for text in wrong {
                refused::<$name>(text);
            }
            refused::<$name>(&"a".repeat(max + 1));
            refused::<$name>(&"é".repeat(max / 2 + 1));
            for good in ["a", "Ada Lovelace", "日本語", "a/b:c@d", &"a".repeat(max)] {
                let text: $name = good.parse().expect(good);
                assert_eq!((text.as_str(), text.to_string().as_str()), (good, good));
                assert_eq!(serde_json::to_value(&text).expect("json"), good);
            }
        }
    )*};
}

texts! {
    actor: Actor;
    reason: Reason;
    evidence: Evidence;
    note: NoteText;
    team: Team;
    owner: Owner;
    contact: Contact;
    label_value: LabelValue;
    link_title: LinkTitle;
    instructions: Instructions;
    issuer_ref: IssuerRef;
    issuer_state: IssuerState;
    aws_secret: AwsSecretName;
}

#[test]
fn a_text_is_refused_with_its_position() {
    assert_eq!("ab\u{7}".parse::<Actor>(), Err(TextError::Control { what: "actor", at: 2 }));
    assert_eq!("é\u{2028}".parse::<Actor>(), Err(TextError::Control { what: "actor", at: 2 }));
    assert_eq!("".parse::<Actor>(), Err(TextError::Length { what: "actor", found: 0, max: 128 }));
    assert_eq!("a ".parse::<Actor>(), Err(TextError::Padding { what: "actor" }));
}

#[test]
fn words_of_our_own_always_fit() {
    for text in ["", " ", "\n\n", "a\nb", "\u{202e}x", &"é".repeat(1_000), &" x".repeat(1_000)] {
        let lossy = Evidence::lossy(text);
        assert_eq!(lossy.as_str().parse::<Evidence>().as_ref(), Ok(&lossy), "{text:?}");
    }
}

#[test]
fn vault_paths_do_not_climb_whichever_way_they_come() {
    let wrong = [
        "",
        "/",
        "..",
        ".",
        "../hunter2",
        "hunter2/..",
        "a/../hunter2",
        "a/./hunter2",
        "a//hunter2",
        "/hunter2",
        "hunter2/",
        "hunter2%2f..",
        "%2e%2e/hunter2",
        "hunter2?x",
        "hunter2#x",
        "hunter2\\..",
        "hunter2\n",
        " hunter2",
        "a/ /\u{202e}hunter2",
    ];
    for text in wrong {
        refused::<VaultPathText>(text);
        assert!(Location::vault_path("secret", text, None).is_err(), "{text:?}");
        assert!(Location::vault_path(text, "x", None).is_err(), "{text:?}");
        for (mount, path) in [("secret", text), (text, "x")] {
            let json = serde_json::json!({ "vault-path": { "mount": mount, "path": path, "field": null } });
            let error = serde_json::from_value::<Location>(json).expect_err("it climbs");
            quotes_nothing(&error.to_string(), text);
        }
    }
    refused::<VaultPathText>(&"a".repeat(513));
    assert_eq!("a/b/../c".parse::<VaultPathText>(), Err(TextError::Segment { what: "Vault path", at: 4 }));
    assert_eq!("a/b%/c".parse::<VaultPathText>(), Err(TextError::Segment { what: "Vault path", at: 3 }));
    for good in ["a", "kv/team-a", "teams/Billing/stripe_key", "a b", "..."] {
        assert_eq!(good.parse::<VaultPathText>().expect(good).as_str(), good);
    }
}

#[test]
fn locations_pass_through_json_unchanged() {
    let field = Some("api_key".parse::<FieldName>().expect("a field"));
    let all = [
        Location::Derived,
        Location::aws_secret("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/stripe-AbCdEf")
            .expect("a name"),
        Location::vault_path("secret", "a/b", field).expect("a path"),
        Location::vault_path("secret", "a/b", None).expect("a path"),
    ];
    for location in all {
        let json = serde_json::to_string(&location).expect("json");
        assert_eq!(serde_json::from_str::<Location>(&json).expect("the same"), location);
    }
    assert!(serde_json::from_str::<Location>(r#"{"aws-secret":{"name":"x","more":1}}"#).is_err());
    assert!(serde_json::from_str::<Location>(r#""somewhere""#).is_err());
}

#[test]
fn link_addresses() {
    let credentials = [
        "https://user:hunter2@example.com/",
        "https://hunter2@example.com",
        "http://:hunter2@example.com",
        "https://@example.com",
        "https://user:hunter2@",
        "https://user:hunter2\\@example.com/",
        "https://a@b@example.com",
        "https://user:hunter2@example.com?x",
        "https://user:hunter2@example.com#x",
    ];
    for url in credentials {
        assert_eq!(Link::runbook("x", url), Err(LinkError::Credentials), "{url}");
    }
    let scheme = [
        "ftp://hunter2.example.com",
        "javascript:hunter2",
        "file:///hunter2",
        "//hunter2",
        "hunter2",
        "https://",
        "https:///hunter2",
        "https://?hunter2",
        "https://:443/hunter2",
        "HTTPS://hunter2.example.com",
        "https://example.com/hunter2 x",
        "https://example.com/hunter2\u{3000}x",
        "https:/hunter2",
    ];
    for url in scheme {
        assert_eq!(Link::system("x", url), Err(LinkError::Scheme), "{url}");
    }
    let text = ["", " https://hunter2", "https://example.com/hunter2\n", "https://example.com/hunter2\0"];
    for url in text {
        assert!(matches!(Link::runbook("x", url), Err(LinkError::Text(_))), "{url:?}");
    }
    assert!(Link::runbook("x", &format!("https://example.com/{}", "x".repeat(500))).is_err());
    assert!(Link::runbook("", "https://example.com").is_err());
    for url in credentials.iter().chain(&scheme).chain(&text) {
        let error = serde_json::from_value::<LinkUrl>(serde_json::json!(url)).expect_err(url);
        quotes_nothing(&error.to_string(), url);
        let error = Link::runbook("x", url).expect_err(url);
        quotes_nothing(&format!("{error} {error:?}"), url);
    }
    for good in ["https://example.com", "http://[::1]:8080/x", "https://example.com/@user/a?b=c@d#e"] {
        assert_eq!(Link::system("x", good).expect(good).url.as_str(), good);
        assert_eq!(serde_json::from_value::<LinkUrl>(serde_json::json!(good)).expect(good).as_str(), good);
    }
}

#[test]
fn labels_of_a_draft() {
    let draft = || {
        let owners = Ownership::new("data", "ada", "grace", "#data").expect("owners");
        let scope = Scope::new(keyward_core::AccessLevel::ReadOnly);
        KeyDraft::new("dev/analytics/x".parse().expect("a key"), owners, scope, "acme".parse().expect("an issuer"))
    };
    for (name, value) in
        [("Hunter2", "x"), ("", "x"), ("a b", "x"), ("a", ""), ("a", "hunter2\n"), ("a", &"x".repeat(129))]
    {
        let error = draft().label(name, value).expect_err("a bad label");
        assert_eq!(error, RecordError::Label);
    }
    assert!(draft().label("cost-centre", "R&D 7").is_ok());
    assert!(serde_json::from_str::<Labels>(r#"{"Bad Name":"x"}"#).is_err());
}

#[test]
fn field_names() {
    for text in ["", "a b", "a/b", "hunter2=", "hunter2\0", "é", "a\n", "hunter2%", &"a".repeat(65)] {
        refused::<FieldName>(text);
    }
    assert_eq!("ab c".parse::<FieldName>(), Err(MaterialError::FieldName { at: 2 }));
    for good in ["a", "access_key_id", "SECRET.x-1", &"a".repeat(64)] {
        assert_eq!(good.parse::<FieldName>().expect(good).as_str(), good);
    }
}

#[test]
fn endpoint_patterns() {
    let wrong = [
        "",
        " ",
        "*",
        "x",
        "v1/hunter2",
        "GET",
        "GET ",
        "get /hunter2",
        "FETCH /hunter2",
        " /hunter2",
        "GET  /hunter2",
        "GET\t/hunter2",
        "/hunter2 x",
        "//",
        "//*",
        "//hunter2",
        "/a//hunter2",
        "/a//*",
        "/hunter2//",
        "/..",
        "/../hunter2",
        "/a/../hunter2",
        "/a/./hunter2",
        "/a/..",
        "/a/../*",
        "/hunter2*",
        "/*/hunter2",
        "/hunter2/**",
        "/hunter2/*/*",
        "/hunter2?x",
        "/hunter2#x",
        "/%2e%2e/hunter2",
        "/hunter2\\..",
        "/hunter2\0",
        "/hünter2",
        "https://example.com/hunter2",
    ];
    for text in wrong {
        refused::<EndpointPattern>(text);
    }
    refused::<EndpointPattern>(&format!("/{}", "a".repeat(256)));
    assert_eq!("/a?".parse::<EndpointPattern>(), Err(EndpointError::Path { at: 2 }));
    assert_eq!("POST /a?".parse::<EndpointPattern>(), Err(EndpointError::Path { at: 7 }), "counted in the whole text");
    assert_eq!("POST /a//b".parse::<EndpointPattern>(), Err(EndpointError::Path { at: 7 }));
    assert_eq!("get /a".parse::<EndpointPattern>(), Err(EndpointError::Method));
    for good in
        ["/", "/*", "GET /*", "/v1/charges", "DELETE /v1/charges/*", "/a/", "/.well-known/x", "/a/...", "/a:b@c;d=e"]
    {
        let pattern: EndpointPattern = good.parse().expect(good);
        assert_eq!(pattern.to_string(), good);
    }
    for everything in ["/*", "GET /*"] {
        assert!(everything.parse::<EndpointPattern>().expect("a pattern").is_unrestricted());
    }
}

#[test]
fn permissions() {
    for text in [
        "",
        ":",
        "hunter2",
        "hunter2:",
        ":write",
        "hunter2:own",
        "hunter2:WRITE",
        "hunter2:write:x",
        "Hunter2:write",
        "hunter2 :write",
        "../x:write",
    ] {
        parser_refuses::<Permission>(text);
    }
    for good in ["charges:read-only", "a:write", "a-b:admin"] {
        assert_eq!(good.parse::<Permission>().expect(good).to_string(), good);
    }
}

macro_rules! ids {
    ($($test:ident: $name:ty;)*) => {$(
        #[test]
        fn $test() {
            let good = "01900000-abcd-7000-8000-0000000000ff";
            let upper = good.to_uppercase();
            let wrong = [
                "", "hunter2", "00000000-0000-0000-0000-000000000000", &upper, &good.replace('-', ""), &good[1..],
                &format!("{{{good}}}"), &format!("urn:uuid:{good}"), &format!("{good} "), &format!(" {good}"), &format!("{good}\n"),
                "01900000-abcd-7000-8000-0000000000fg", "01900000abcd-7000-8000-0000-000000000ff",
            ];
            for text in wrong {
                refused::<$name>(text);
            }
            let id: $name = good.parse().expect(good);
            assert_eq!(id.to_string(), good);
            assert_eq!(serde_json::to_value(id).expect("json"), good);
            assert_eq!(format!("{id:?}"), format!("{}({good})", stringify!($name)));
            assert_eq!(id.as_bytes()[15], 0xff);
            let (a, b) = (<$name>::generate(), <$name>::generate());
            assert!(a < b, "ids are ordered by time");
            assert_eq!(a.to_string().parse::<$name>(), Ok(a));
        }
    )*};
}

ids! {
    key_uid: KeyUid;
    version_id: VersionId;
    publication_id: PublicationId;
    run_id: RunId;
    operation_id: OperationId;
    incident_id: IncidentId;
    request_id: RequestId;
    holder_id: HolderId;
}

#[test]
fn fingerprints() {
    let good = "fp_000102030405060708090a0b0c0d0e0f";
    let wrong = [
        "",
        "fp_",
        "hunter2",
        "sk_live_hunter2",
        &good[1..],
        &good[..34],
        &format!("{good}0"),
        &good.to_uppercase(),
        &good.replace('f', "F"),
        &good.replace("00", "+0"),
        &good.replace("00", " 0"),
        &format!("{good}\n"),
        "fp_00010203-0405-0607-0809-0a0b0c0d0e",
    ];
    for text in wrong {
        refused::<Fingerprint>(text);
    }
    let mut hash = [0xee; 32];
    hash[..16].copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    let fingerprint = Fingerprint::from_hash(&hash);
    assert_eq!(fingerprint.to_string(), good);
    assert_eq!(format!("{fingerprint:?}"), good);
    assert_eq!(good.parse::<Fingerprint>(), Ok(fingerprint));
    assert_eq!(fingerprint.short(), "fp_0001020304");
}

#[test]
fn ownership_goes_through_the_same_door() {
    for (owner, backup) in [("ada", "ada"), ("Ada", "aDA"), ("ÉVA", "éva")] {
        assert_eq!(Ownership::new("t", owner, backup, "c"), Err(OwnershipError::SamePerson));
        let json = serde_json::json!({ "team": "t", "owner": owner, "backup": backup, "contact": "c" });
        assert!(serde_json::from_value::<Ownership>(json).is_err());
    }
    for json in [
        r#"{"team":"t","owner":"a","contact":"c"}"#,
        r#"{"team":"t","owner":"a","backup":null,"contact":"c"}"#,
        r#"{"team":"","owner":"a","backup":"b","contact":"c"}"#,
        r#"{"team":"t","owner":"a","backup":"b","contact":"c","more":1}"#,
    ] {
        assert!(serde_json::from_str::<Ownership>(json).is_err(), "{json}");
    }
}

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?"
}

proptest! {
    #[test]
    fn a_key_id_is_its_text(e in name(), f in name(), n in name(), page in prop::option::of(1_u32..)) {
        let suffix = page.map_or(String::new(), |p| format!(".h{p}"));
        let text = format!("{e}/{f}/{n}{suffix}");
        let key: KeyId = text.parse().expect("a good id");
        prop_assert_eq!(key.to_string(), &*text);
        prop_assert_eq!((key.environment().as_str(), key.function().as_str(), key.name().as_str(), key.page()), (&*e, &*f, &*n, page));
        let json = serde_json::to_string(&key).expect("json");
        prop_assert_eq!(&serde_json::from_str::<KeyId>(&json).expect("the same"), &key);
        if page.is_none() {
            prop_assert_eq!(KeyId::new(e.parse().expect("e"), f.parse().expect("f"), n.parse().expect("n")), key);
        }
    }

    #[test]
    fn whatever_parses_is_its_own_text(text in ".{0,80}|[a-z0-9./:*% -]{0,40}|(GET |POST )?(/[a-zA-Z0-9._~-]{1,8}){1,4}(/\\*)?") {
        macro_rules! round {
            ($($name:ty),*) => {$(
                if let Ok(value) = text.parse::<$name>() {
                    prop_assert_eq!(value.to_string(), &*text);
                    prop_assert_eq!(serde_json::from_value::<$name>(text.clone().into()).expect("serde agrees"), value);
                } else {
                    prop_assert!(serde_json::from_value::<$name>(text.clone().into()).is_err());
                }
            )*};
        }
        round!(KeyId, Environment, Function, KeyName, ServiceName, IssuerName, LabelName, Resource, Actor, Reason, Evidence,
            NoteText, AwsSecretName, VaultPathText, EndpointPattern, VersionId, Fingerprint);
        if let Ok(value) = text.parse::<Permission>() {
            prop_assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn a_fingerprint_is_its_text(hash in any::<[u8; 32]>()) {
        let fingerprint = Fingerprint::from_hash(&hash);
        prop_assert_eq!(fingerprint.to_string().parse::<Fingerprint>(), Ok(fingerprint));
    }

    #[test]
    fn an_id_is_its_text(bits in 1_u128..) {
        let hex = format!("{bits:032x}");
        let text = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        let id: VersionId = text.parse().expect("a good id");
        prop_assert_eq!(id.to_string(), text);
    }
}
