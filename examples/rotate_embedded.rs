//! An application that rotates its own keys: its issuer, its health signal, the loop, and a kill in
//! the middle that another host takes over.
//!
//! ```text
//! cargo run --example rotate_embedded             # in a temporary directory
//! cargo run --example rotate_embedded -- DIR      # in DIR, which exists and holds no store; left to look at
//! ```
//!
//! A clock that is moved by hand stands for the days of soak. A real application leaves the clock
//! out, and sleeps where this one moves it.

#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyward::core::{
    ArmCounts, CreateError, Created, Error, ErrorKind, Evidence, HealthQuery, HealthReport, HealthSignal, Issue,
    IssuerCapabilities, IssuerKey, IssuerRef, IssuerStatus, KeyIssuer, KeyUid, ManualClock, NewKey, Operation, Probe,
    Result, Revoke, Validator, VersionId,
};
use keyward::file::{FileBackend, KeyFile};
use keyward::rotation::RunReport;
use keyward::{
    AccessLevel, Context, Environment, Inventory, KeyDraft, KeyId, KeyRecord, Keyring, Material, Mode, Ownership,
    Rotator, Scope, SecretValue, Step, async_trait,
};

type Answer<T = ()> = std::result::Result<T, Box<dyn StdError>>;

fn main() -> Answer {
    let temporary = tempfile::tempdir()?;
    let directory = std::env::args().nth(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    futures_lite::future::block_on(run(&directory))
}

async fn run(directory: &Path) -> Answer {
    let (store, unlock) = (directory.join("keys.keyward"), directory.join("unlock.key"));
    let app = Application { acme: Acme::default(), metrics: Metrics::default(), clock: Arc::default() };
    let key: KeyId = "production/payments/acme-charges".parse()?;

    println!("a store, and a key in it that has no value yet");
    drop(FileBackend::create(&store, KeyFile::create(&unlock)?).await?);
    let open = || FileBackend::builder().clock(app.clock.clone()).open(&store, KeyFile::at(&unlock));
    let inventory = Inventory::new(open().await?).actor("ada@example.com").clock(app.clock.clone());
    inventory.register(draft(&key)?).await?;

    println!("\nthe first value");
    let host = app.rotator(open().await?)?;
    app.rotate(&host, &key, "first value", |_| false).await?;

    println!("\nthe plan of a rotation (nothing is done)");
    print!("{}", host.plan(&key).await?);

    println!("\nthe rotation, on host A");
    let done = app.rotate(&host, &key, "quarterly", |step| matches!(step, Step::Promoting { .. })).await?;
    assert!(done.is_none(), "host A does not live to see the end");
    drop(host);
    println!("   host A is killed: for all anybody knows, readers may have the new key");

    println!("\nthe same call on host B (two days pass on a clock moved by hand)");
    let host = app.rotator(open().await?)?;
    let report = app.rotate(&host, &key, "quarterly", |_| false).await?.ok_or("host B was killed too")?;
    println!("   {report}");
    report.evidence.iter().for_each(|seen| println!("   evidence: {seen}"));

    println!("\nthe daily sweep, eight days later");
    app.clock.advance(Duration::from_secs(8 * 86_400));
    let swept = host.sweep(&key, "daily sweep").await?;
    let (withdrawn, pending) = (swept.withdrawn.len(), swept.pending.len());
    println!("   versions whose material was given up: {withdrawn}; condemned and not seen dead: {pending}");
    let made = app.acme.keys().len();
    let live = app.acme.live();
    println!("\nAcme made {made} keys, {live} of them works, and no value was printed");
    Ok(())
}

fn draft(key: &KeyId) -> Answer<KeyDraft> {
    let owners = Ownership::new("payments", "ada@example.com", "grace@example.com", "#payments-oncall")?;
    let scope = Scope::new(AccessLevel::Write).mode(Mode::Live).permission("charges:write")?;
    let scope = scope.endpoint("POST /v1/charges")?.service("billing-api")?;
    Ok(KeyDraft::new(key.clone(), owners, scope, "acme".parse()?))
}

/// What every host of the application has: the vendor, the metrics, the time.
struct Application {
    acme: Acme,
    metrics: Metrics,
    clock: Arc<ManualClock>,
}

impl Application {
    fn rotator(&self, store: FileBackend) -> Answer<Rotator<FileBackend>> {
        let fingerprints = store.inventory_key();
        Ok(Rotator::builder(store)
            .actor("billing-rotator")
            .issuer("acme", self.acme.clone())
            .validator("acme", self.acme.clone())
            .health(self.metrics.clone())
            .inventory_key(fingerprints)
            .clock(self.clock.clone())
            .poll_every(Duration::from_secs(12 * 3_600))
            .build()?)
    }

    /// Rotates a key, whoever began it. Nothing comes back when `kill` ends this host first.
    async fn rotate(
        &self,
        rotator: &Rotator<FileBackend>,
        key: &KeyId,
        reason: &str,
        kill: fn(&Step) -> bool,
    ) -> Answer<Option<RunReport>> {
        let mut run = rotator.start_or_resume(key, reason).await?;
        loop {
            match run.step().await? {
                Step::Wait { at_most, why } => {
                    println!("   waiting {} s: {why}", at_most.as_secs());
                    self.clock.advance(at_most); // in earnest: sleep(at_most).await
                    self.serve_customers(rotator.backend()).await?;
                }
                Step::NeedsOperator(what) => return Err(what.into()),
                Step::Finished(report) => return Ok(Some(report)),
                done => {
                    println!("   {done}");
                    if kill(&done) {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Two processes of the service, which follow the store, call Acme and count how that went.
    async fn serve_customers(&self, store: &FileBackend) -> Answer {
        for client in ["billing-1", "billing-2"] {
            let keys = Keyring::builder(store.clone())
                .environment(Environment::Production)
                .service("billing-api")
                .optional("payments/acme-charges")
                .clock(self.clock.clone())
                .load()
                .await?;
            let Ok(charges) = keys.handle("payments/acme-charges") else { continue };
            for _ in 0..20 {
                let key = charges.live()?;
                self.metrics.count(client, key.version(), self.acme.charge(key.expose_secret()));
            }
        }
        Ok(())
    }
}

/// What the application's monitoring counted: per version and client, accepted and refused.
#[derive(Clone, Debug, Default)]
struct Metrics(Arc<Mutex<Counts>>);

type Counts = BTreeMap<(VersionId, &'static str), (u64, u64)>;

impl Metrics {
    fn count(&self, client: &'static str, version: VersionId, accepted: bool) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (clean, refused) = counts.entry((version, client)).or_default();
        *if accepted { clean } else { refused } += 1;
    }

    fn arm(&self, version: VersionId) -> ArmCounts {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut arm = ArmCounts::default();
        for (_, (clean, refused)) in counts.iter().filter(|((of, _), _)| *of == version) {
            arm.clean += clean;
            arm.auth_rejects += refused;
            arm.clients += 1;
        }
        arm
    }
}

#[async_trait]
impl HealthSignal for Metrics {
    async fn health(&self, _cx: &Context, query: &HealthQuery) -> Result<HealthReport> {
        let report = HealthReport::of(self.arm(query.new));
        Ok(query.old.map_or(report, |old| report.against(self.arm(old))))
    }
}

/// The vendor, in this process: keys carry a label and a scope, and a customer has at most two.
/// Where it locks, a real client calls Acme's API, within `cx.remaining()`.
#[derive(Clone, Debug, Default)]
struct Acme(Arc<AcmeState>);

#[derive(Debug)]
struct AcmeState {
    keys: Mutex<Vec<AcmeKey>>,
    capabilities: IssuerCapabilities,
}

/// `Debug` shows no token: that is what [`SecretValue`] is for.
#[derive(Debug)]
struct AcmeKey {
    of: KeyUid,
    label: VersionId,
    reference: IssuerRef,
    scope: Scope,
    token: SecretValue,
    revoked: bool,
}

impl Default for AcmeState {
    fn default() -> Self {
        let mut capabilities = IssuerCapabilities::default(); // keys can be found by their label
        capabilities.max_live = Some(2);
        Self { keys: Mutex::default(), capabilities }
    }
}

impl Acme {
    /// The product: a request is served or refused for its token.
    fn charge(&self, token: &[u8]) -> bool {
        let token = SecretValue::from(token);
        self.keys().iter().any(|key| !key.revoked && key.token.ct_eq(&token))
    }

    fn live(&self) -> usize {
        self.keys().iter().filter(|key| !key.revoked).count()
    }

    fn keys(&self) -> MutexGuard<'_, Vec<AcmeKey>> {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(kind: ErrorKind, operation: Operation) -> Error {
        Error::new(kind, operation, "acme")
    }
}

#[async_trait]
impl KeyIssuer for Acme {
    fn capabilities(&self) -> &IssuerCapabilities {
        &self.0.capabilities
    }

    async fn create(&self, _cx: &Context, new: Issue<'_>) -> Result<Created, CreateError> {
        // Said only when certainly nothing was made. A client whose call timed out does not know
        // and answers `CreateError::Unknown`: the engine then never repeats it, and hunts the label.
        let nothing_made = |kind| CreateError::NotCreated(Self::error(kind, Operation::Create));
        if self.live() >= 2 {
            return Err(nothing_made(ErrorKind::Quota));
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| nothing_made(ErrorKind::Unavailable))?;
        let token = random.iter().fold("acme_".to_owned(), |text, byte| text + &format!("{byte:02x}"));
        let token = SecretValue::new(token.into_bytes());
        let material = Material::one(token.duplicate()).map_err(|_| nothing_made(ErrorKind::Invalid))?;
        let number = self.keys().len() + 1;
        let reference: IssuerRef = format!("ak_{number}").parse().map_err(|_| nothing_made(ErrorKind::Invalid))?;
        let (of, label, scope) = (new.record.uid(), new.version.id, new.record.scope().clone());
        self.keys().push(AcmeKey { of, label, reference: reference.clone(), scope, token, revoked: false });
        Ok(Created::Key(NewKey::new(material).reference(reference)))
    }

    async fn find(&self, _cx: &Context, record: &KeyRecord, version: Option<VersionId>) -> Result<Vec<IssuerKey>> {
        let keys = self.keys();
        let ours = keys.iter().filter(|key| key.of == record.uid() && !key.revoked);
        let found = ours.filter(|key| version.is_none_or(|version| version == key.label));
        Ok(found.map(|key| IssuerKey { label: key.label, reference: key.reference.clone() }).collect())
    }

    async fn status(&self, _cx: &Context, issue: Issue<'_>) -> Result<IssuerStatus> {
        Ok(match self.keys().iter().find(|key| key.label == issue.version.id) {
            None => IssuerStatus::Absent,
            Some(key) if key.revoked => IssuerStatus::Revoked(Evidence::lossy("Acme lists it as revoked")),
            Some(_) => IssuerStatus::Live,
        })
    }

    async fn scope(&self, _cx: &Context, issue: Issue<'_>) -> Result<Option<Scope>> {
        Ok(self.keys().iter().find(|key| key.label == issue.version.id).map(|key| key.scope.clone()))
    }

    async fn deactivate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Self::error(ErrorKind::Unsupported, Operation::Switch))
    }

    async fn activate(&self, _cx: &Context, _: Issue<'_>) -> Result<()> {
        Err(Self::error(ErrorKind::Unsupported, Operation::Switch))
    }

    async fn revoke(&self, _cx: &Context, issue: Issue<'_>) -> Result<Revoke> {
        let mut keys = self.keys();
        keys.iter_mut().filter(|key| key.label == issue.version.id).for_each(|key| key.revoked = true);
        Ok(Revoke::Accepted) // also when it was gone already
    }
}

/// Tries a key out the way the application uses it.
#[async_trait]
impl Validator for Acme {
    async fn probe(&self, _cx: &Context, _: Issue<'_>, material: &Material) -> Result<Probe> {
        let Some(token) = material.value() else { return Ok(Probe::Unclear(Evidence::lossy("not one value"))) };
        Ok(match self.charge(token.expose_secret()) {
            true => Probe::Accepted(Evidence::lossy("a charge of nothing was accepted")),
            false => Probe::Rejected(Evidence::lossy("a charge of nothing was refused with 401")),
        })
    }
}
