//! A secret that is given where something else belongs is refused without being repeated.

use std::error::Error;

use futures_lite::future::block_on;
use keyward::core::{
    AccessLevel, CustomEnvironment, EndpointPattern, Environment, Evidence, FieldName, Fingerprint, Function,
    IssuerName, IssuerRef, IssuerState, KeyDraft, KeyId, KeyName, KeyRecord, LabelName, LabelValue, Link, Location,
    Material, MemoryBackend, NoteText, Ownership, Permission, Reason, Resource, RunId, Scope, SecretBackendExt,
    SecretValue, ServiceName, VersionId,
};
use keyward::issuer::{ManualIssuer, TokenPrefix};

use crate::secret::{Canary, Kind};
use crate::support::{CHARGES, charges, cx, key, register};
use crate::witness::{Surface, Witness};

#[test]
fn no_parser_repeats_a_secret_it_refuses() {
    let w = Witness::new();
    for kind in [Kind::Text, Kind::Token] {
        let canary = Canary::plant(kind);
        let text = canary.text();
        w.refused("a key id", text.parse::<KeyId>());
        w.refused("a key id", format!("production/payments/{text}").parse::<KeyId>());
        w.refused("an environment", text.parse::<Environment>());
        w.refused("a custom environment", text.parse::<CustomEnvironment>());
        w.refused("a function", text.parse::<Function>());
        w.refused("a name", text.parse::<KeyName>());
        w.refused("an issuer", text.parse::<IssuerName>());
        w.refused("a service", text.parse::<ServiceName>());
        w.refused("a label name", text.parse::<LabelName>());
        w.refused("a resource", text.parse::<Resource>());
        w.refused("a permission", text.parse::<Permission>());
        w.refused("an endpoint", text.parse::<EndpointPattern>());
        w.refused("a fingerprint", text.parse::<Fingerprint>());
        w.refused("a version", text.parse::<VersionId>());
        w.refused("a run", text.parse::<RunId>());
        w.refused("a prefix", TokenPrefix::parse(text));
        let scope = || Scope::new(AccessLevel::Write);
        w.refused("a permission", scope().permission(text));
        w.refused("a permission", scope().permission(&format!("{text}:write")));
        w.refused("an endpoint", scope().endpoint(text));
        w.refused("an endpoint", scope().endpoint(&format!("{text} /v1/charges")));
        w.refused("a service", scope().service(text));
        w.refused("a link", Link::runbook("a runbook", text));
        w.refused("a link", Link::system("a system", &format!("https://user:{text}@example.com/")));
        w.refused("a vault path", Location::vault_path("secret", &format!("../{text}"), None));
        w.refused("a label", KeyDraft::label(charges(), text, "value"));
        serde_refuses::<KeyId>(&w, text);
        serde_refuses::<VersionId>(&w, text);
        serde_refuses::<Fingerprint>(&w, text);
        serde_refuses::<Environment>(&w, text);
        serde_refuses::<EndpointPattern>(&w, text);
        serde_refuses::<ServiceName>(&w, text);
    }
    // What is printable text is taken as text; this is not.
    let canary = Canary::plant(Kind::Text);
    let text = canary.text();
    w.refused("a reason", text.parse::<Reason>());
    w.refused("evidence", text.parse::<Evidence>());
    w.refused("a note", text.parse::<NoteText>());
    w.refused("a label value", text.parse::<LabelValue>());
    w.refused("a reference", text.parse::<IssuerRef>());
    w.refused("a state", text.parse::<IssuerState>());
    w.refused("a field", text.parse::<FieldName>());
    w.refused("owners", Ownership::new(text, "ada", "grace", "#x"));
    w.refused("owners", Ownership::new("team", text, text, "#x"));
    w.refused("an AWS secret", Location::aws_secret(text));
    w.refused("instructions", ManualIssuer::new(text, text));
    w.refused("a caller", keyward::Context::new(text, "why"));
    w.refused("a caller", keyward::Context::new("who", text));
    serde_refuses::<Reason>(&w, text);
    serde_refuses::<FieldName>(&w, text);
    serde_refuses::<Link>(&w, text);
    w.finish("parsers", &[Surface::Chain]);
}

/// Text that is a JSON string goes through the parser, which does not repeat it.
fn serde_refuses<T: serde::de::DeserializeOwned + std::fmt::Debug>(w: &Witness, text: &str) {
    let json = serde_json::to_string(text).expect("JSON");
    let refused = serde_json::from_str::<T>(&json);
    // The text of a struct where a string was given is written by serde and holds that string.
    match refused {
        Err(error) if error.to_string().starts_with("invalid type") => {}
        refused => drop(w.refused("a string in JSON", refused)),
    }
}

#[test]
fn no_record_that_cannot_be_read_repeats_what_is_in_it() {
    let w = Witness::new();
    let record = block_on(async {
        let (store, clock) = (MemoryBackend::default(), keyward::core::ManualClock::default());
        register(&store, &clock, charges()).await;
        store.load_existing(&cx(), &key(CHARGES)).await.expect("a record").value
    });
    let canary = Canary::plant(Kind::Text);
    let json = serde_json::to_value(&record).expect("JSON");
    let fields: Vec<String> = json["record"].as_object().expect("an object").keys().cloned().collect();
    let mut refused = 0;
    for field in &fields {
        let mut broken = json.clone();
        broken["record"][field] = canary.text().into();
        let bytes = serde_json::to_vec(&broken).expect("JSON");
        w.refused("a record with a secret in a field", KeyRecord::decode(&bytes));
        refused += 1;
        // Serde alone repeats it: what the library does must be better than that.
        let echoed = serde_json::from_value::<KeyRecord>(broken).map(drop).map_err(|error| error.to_string());
        assert!(echoed.is_err(), "{field}");
    }
    assert!(refused > 20, "only {refused} fields");
    let mut unknown = json.clone();
    unknown["record"][canary.text()] = 1.into();
    w.refused("a record with a secret as a field", KeyRecord::decode(&serde_json::to_vec(&unknown).expect("JSON")));
    w.refused("no record", KeyRecord::decode(canary.bytes()));
    w.refused("no record", KeyRecord::decode(Canary::plant(Kind::Binary).bytes()));
    w.finish("records that cannot be read", &[Surface::Chain]);
}

#[test]
fn no_material_shows_itself() {
    let w = Witness::new();
    for kind in Kind::ALL {
        let canary = Canary::plant(kind);
        let material = canary.material();
        w.debug("a value", &canary.value());
        w.debug("material", &material);
        w.debug("a value of it", &material.value());
        w.debug("all of it", &material.iter().collect::<Vec<_>>());
        w.debug("its encoding", &material.encode());
        let encoded = material.encode();
        for end in 0..encoded.len() {
            w.refused("a cut encoding", Material::decode(&encoded.expose_secret()[..end]));
        }
        w.refused("no encoding", Material::decode(canary.bytes()));
        let name: FieldName = "id".parse().expect("a name");
        let fields = [(name.clone(), canary.value()), (name.clone(), canary.value())];
        w.refused("one field twice", Material::fields(fields));
        let many = (0..40).map(|n| (format!("f{n}").parse().expect("a name"), canary.value()));
        w.refused("too many fields", Material::fields(many));
        let long: Vec<u8> = canary.bytes().iter().copied().cycle().take(Material::MAX_LEN + 1).collect();
        w.refused("too much", Material::one(SecretValue::new(long.clone())));
        w.refused("too much", Material::fields([(name, SecretValue::new(long))]));
    }
    w.finish("material", &[Surface::Debug, Surface::Chain]);
}

/// The negative control of `no_record_...`: what serde says of such a record holds the secret.
#[test]
fn serde_alone_would_repeat_what_it_cannot_read() {
    let witness = Witness::of(crate::secret::Search::of([crate::secret::TEXT]));
    let canary = Canary::plant(Kind::Text);
    let refused: Result<Vec<u64>, _> = serde_json::from_value(serde_json::json!([canary.text()]));
    let error: Box<dyn Error> = refused.expect_err("a string is no number").into();
    witness.error("serde", &*error);
    assert!(!witness.take_found().is_empty(), "serde has learned discretion; is the search blind?");
}
