//! Who plays in the quickstart: the keys, their owners, the callers.

use std::sync::Arc;

use keyward::core::{Clock, Link, Material, NewKey};
use keyward::keyring::ReportedHealth;
use keyward::{
    AccessLevel, Environment, KeyDraft, KeyHandle, Keyring, Mode, Outcome, Ownership, Scope, SecretBackend, SecretValue,
};

use crate::Answer;

pub(crate) const CHARGES: &str = "production/payments/stripe-charges";
pub(crate) const REPORTS: &str = "production/analytics/warehouse-read";

/// A different key for each environment and service, each with its owners and the least scope.
pub(crate) fn drafts() -> Answer<Vec<KeyDraft>> {
    let payments = || Ownership::new("payments", "ada@example.com", "grace@example.com", "#payments-oncall");
    let data = Ownership::new("data", "edsger@example.com", "barbara@example.com", "#data")?;
    let charge = |mode| {
        Scope::new(AccessLevel::Write)
            .mode(mode)
            .permission("charges:write")?
            .endpoint("POST /v1/charges")?
            .service("billing-api")
    };
    let runbook = || Link::runbook("Charges stop", "https://runbooks.example.com/charges");
    let acme = || "acme".parse();
    Ok(vec![
        KeyDraft::new(CHARGES.parse()?, payments()?, charge(Mode::Live)?, acme()?)
            .label("project", "checkout")?
            .link(runbook()?)
            .link(Link::system("Billing API", "https://billing.example.com")?),
        KeyDraft::new("staging/payments/stripe-charges".parse()?, payments()?, charge(Mode::Test)?, acme()?)
            .label("project", "checkout")?
            .link(runbook()?),
        KeyDraft::new(
            REPORTS.parse()?,
            data,
            Scope::new(AccessLevel::ReadOnly)
                .permission("reports:read-only")?
                .endpoint("GET /v1/reports/*")?
                .service("reporting")?,
            acme()?,
        )
        .label("project", "insight")?,
        KeyDraft::new(
            "production/webhook/stripe-signature".parse()?,
            payments()?,
            Scope::new(AccessLevel::ReadOnly).service("billing-api")?,
            acme()?,
        )
        .label("project", "checkout")?,
    ])
}

/// A key that exists already and is brought in with its value.
pub(crate) fn brought_in() -> Answer<(KeyDraft, NewKey)> {
    let owners = Ownership::new("growth", "alan@example.com", "grace@example.com", "#growth")?;
    let scope = Scope::new(AccessLevel::Write).permission("messages:write")?.service("mailer")?;
    let draft = KeyDraft::new("production/messaging/twilio-send".parse()?, owners, scope, "twilio".parse()?);
    // Stands for a value read from the old place; never write one into a program.
    let mut value = vec![0; 24];
    getrandom::fill(&mut value).map_err(|_| "no randomness")?;
    Ok((draft, NewKey::new(Material::one(SecretValue::new(value))?)))
}

/// One process of the billing API: it loads its keys, calls the vendor, and says how that went.
pub(crate) struct Billing {
    keys: Keyring,
    charges: KeyHandle,
}

impl Billing {
    pub(crate) async fn start(
        store: impl SecretBackend + 'static,
        clock: Arc<dyn Clock>,
        health: Arc<ReportedHealth>,
        instance: &str,
    ) -> Answer<Self> {
        let keys = Keyring::builder(store)
            .environment(Environment::Production)
            .service("billing-api")
            .consumer_instance(instance)
            .require("payments/stripe-charges")
            .require("webhook/stripe-signature")
            .clock(clock)
            .reports_to(health)
            .load()
            .await?;
        let charges = keys.handle("payments/stripe-charges")?;
        Ok(Self { keys, charges })
    }

    pub(crate) fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// Follows a rotation and makes some calls; `vendor` says whether a token is accepted.
    pub(crate) async fn work(&self, vendor: impl AsyncFn(SecretValue) -> bool) -> Answer {
        self.keys.refresh().await;
        for _ in 0..5 {
            let key = self.charges.live()?;
            let accepted = vendor(SecretValue::from(key.expose_secret())).await;
            key.report(Outcome::from_http_status(if accepted { 200u16 } else { 401 }));
        }
        Ok(())
    }
}
