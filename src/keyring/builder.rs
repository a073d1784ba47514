//! What a service declares before it loads its keys.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::{
    Actor, Clock, Environment, HolderId, KeyId, NameError, SecretBackend, ServiceName, SystemClock, TextError,
};

use super::ring::{Ring, Settings, context, parse, refusal};
use super::slot::Slot;
use super::tick::Ticker;
use super::{KeyProblem, Keyring, LoadError, Problem, ReportedHealth};

/// What a service declares before it loads its keys; made by [`Keyring::builder`].
///
/// Nothing is checked or read before [`KeyringBuilder::load`], which lists every mistake at once.
/// `Debug` counts the names and repeats none: whoever mixes up arguments gives a value for a name.
#[must_use = "nothing happens before load()"]
pub struct KeyringBuilder {
    backend: Arc<dyn SecretBackend>,
    environment: Option<Environment>,
    service: Option<Result<ServiceName, NameError>>,
    actor: Option<Result<Actor, TextError>>,
    instance: Option<Result<Actor, TextError>>,
    names: Vec<(String, bool)>,
    clock: Option<Arc<dyn Clock>>,
    soft: Duration,
    hard: Duration,
    health: Arc<ReportedHealth>,
}

impl fmt::Debug for KeyringBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("KeyringBuilder");
        debug.field("environment", &self.environment).field("names", &self.names.len());
        debug.field("soft", &self.soft).field("hard", &self.hard).finish_non_exhaustive()
    }
}

impl KeyringBuilder {
    pub(super) fn new(backend: Arc<dyn SecretBackend>) -> Self {
        Self {
            backend,
            environment: None,
            service: None,
            actor: None,
            instance: None,
            names: Vec::new(),
            clock: None,
            soft: Keyring::SOFT_TTL,
            hard: Keyring::HARD_TTL,
            health: Arc::default(),
        }
    }

    /// Where this process runs. Keys of any other environment cannot be asked for.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Which service this process is. It must be in the scope of each key.
    pub fn service(mut self, name: &str) -> Self {
        self.service = Some(name.parse());
        self
    }

    /// A key without which the service cannot start: `function/name`, such as
    /// `payments/stripe-charges`.
    pub fn require(mut self, name: &str) -> Self {
        self.names.push((name.to_owned(), true));
        self
    }

    /// A key the service can do without while it does not exist.
    ///
    /// Only absence is forgiven. Any other problem is a [warning](Keyring::warnings), and the
    /// handle says so.
    pub fn optional(mut self, name: &str) -> Self {
        self.names.push((name.to_owned(), false));
        self
    }

    /// Who stands in the audit log as the reader; the service by default.
    pub fn actor(mut self, actor: &str) -> Self {
        self.actor = Some(actor.parse());
        self
    }

    /// Which process of the service this is, such as its host name. Once named, its use of each
    /// version is noted in the adoption ledger of the store, where there is one.
    pub fn consumer_instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.parse());
        self
    }

    /// How often the store is asked, give or take a fifth; [`Keyring::SOFT_TTL`] by default.
    pub fn soft_ttl(mut self, ttl: Duration) -> Self {
        self.soft = ttl;
        self
    }

    /// How long a value is served after the store last confirmed it; [`Keyring::HARD_TTL`] by
    /// default. Keep it shorter than the overlap of the keys' rotation policy.
    pub fn hard_ttl(mut self, ttl: Duration) -> Self {
        self.hard = ttl;
        self
    }

    /// Another clock than the machine's, for tests and simulations.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Where reports are counted, when several keyrings share one signal.
    pub fn reports_to(mut self, health: Arc<ReportedHealth>) -> Self {
        self.health = health;
        self
    }

    /// Reads all keys in one batched pass: every handle, or one error with every problem.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// use keyward::core::{Environment, MemoryBackend};
    /// use keyward::keyring::{Keyring, Problem};
    /// let outcome = Keyring::builder(MemoryBackend::default())
    ///     .environment(Environment::Production)
    ///     .service("billing-api")
    ///     .require("payments/stripe-charges")
    ///     .require("staging/payments/stripe-charges")
    ///     .load()
    ///     .await;
    /// let error = outcome.unwrap_err();
    /// assert_eq!(error.problems().len(), 2);
    /// assert!(matches!(error.problems()[0].problem, Problem::Missing));
    /// assert!(matches!(error.problems()[1].problem, Problem::OtherEnvironment { .. }));
    /// # });
    /// ```
    ///
    /// # Errors
    /// [`LoadError`] when anything but the absence of an optional key, or a problem with an
    /// optional key alone, stands in the way. It lists the problems of optional keys as well.
    pub async fn load(mut self) -> Result<Keyring, LoadError> {
        let names = std::mem::take(&mut self.names);
        let settings = self.settings().map_err(LoadError::new)?;
        let cx = context(&settings.actor, "load keys at start");
        let (slots, mut problems) = declare(&settings, names);
        problems.extend(refuse(&settings, &cx, &problems).await);

        let ring = Ring::new(settings, slots);
        let found = ring.refresh("load keys at start").await.problems;
        let slot = |problem: &KeyProblem| ring.slots.iter().find(|slot| Some(slot.place) == problem.place);
        let is_required = |problem: &KeyProblem| slot(problem).is_none_or(|slot| slot.required);
        let found: Vec<_> = found.into_iter().filter(|p| is_required(p) || !p.problem.is_absence()).collect();

        if problems.is_empty() && !found.iter().any(is_required) {
            return Ok(Keyring::new(ring, found));
        }
        problems.extend(found);
        problems.sort_by_key(|problem| problem.place);
        Err(LoadError::new(problems))
    }

    /// Checks the settings against each other.
    fn settings(self) -> Result<Settings, Vec<KeyProblem>> {
        let mut problems = Vec::new();
        let mut fail = |problem| problems.push(KeyProblem::setting(problem));

        if self.environment.is_none() {
            fail(Problem::Setting("no environment was declared; call environment()"));
        }
        let service = match self.service {
            Some(service) => service.map_err(|e| fail(Problem::BadService(e))).ok(),
            None => {
                fail(Problem::Setting("no service was named; call service()"));
                None
            }
        };
        let actor = self.actor.transpose().map_err(|e| fail(Problem::BadText(e))).ok().flatten();
        let instance = self.instance.transpose().map_err(|e| fail(Problem::BadText(e))).ok().flatten();
        if self.soft.is_zero() || self.hard <= self.soft.mul_f64(1.2) {
            fail(Problem::Setting("the hard limit must be more than 1.2 times the soft limit, and neither zero"));
        }
        let (Some(environment), Some(service), true) = (self.environment, service, problems.is_empty()) else {
            return Err(problems);
        };
        let by_service = || service.as_str().parse().expect("a service name is an acceptable actor");
        let instance: Option<Box<str>> = instance.map(|name| name.as_str().into());
        Ok(Settings {
            backend: self.backend,
            environment,
            actor: actor.unwrap_or_else(by_service),
            service,
            client: instance.clone().unwrap_or_else(|| HolderId::generate().to_string().into()),
            instance,
            ticker: self.clock.clone().map_or(Ticker::Machine, Ticker::Given),
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            soft: self.soft,
            hard: self.hard,
            health: self.health,
        })
    }
}

/// A slot for each name; a problem for each that names no key of ours. A key named twice has one
/// slot, and is required when it was once.
fn declare(settings: &Settings, names: Vec<(String, bool)>) -> (Vec<Arc<Slot>>, Vec<KeyProblem>) {
    let mut keys: BTreeMap<KeyId, (usize, bool)> = BTreeMap::new();
    let mut problems = Vec::new();
    for ((name, required), place) in names.into_iter().zip(1..) {
        match parse(&settings.environment, &name) {
            Err(error) => problems.push(KeyProblem::of(None, place, Problem::BadName(error))),
            Ok(key) if *key.environment() != settings.environment => {
                let declared = settings.environment.clone();
                problems.push(KeyProblem::of(Some(&key), place, Problem::OtherEnvironment { declared }));
            }
            Ok(key) => keys.entry(key).or_insert((place, false)).1 |= required,
        }
    }
    let slot = |(key, (place, required))| Arc::new(Slot::new(key, place, required, settings.ticker.clone()));
    let mut slots: Vec<_> = keys.into_iter().map(slot).collect();
    slots.sort_by_key(|slot| slot.place);
    (slots, problems)
}

/// Puts each refusal of another environment's key on the audit log, where the store keeps one.
/// A log that cannot be written is a problem of its own.
async fn refuse(settings: &Settings, cx: &keyward_core::Context, problems: &[KeyProblem]) -> Vec<KeyProblem> {
    let Some(log) = settings.backend.audit() else { return Vec::new() };
    let mut more = Vec::new();
    for problem in problems {
        let (Problem::OtherEnvironment { declared }, Some(key)) = (&problem.problem, &problem.key) else { continue };
        if let Err(error) = log.append(cx, &refusal(cx, key, declared)).await {
            more.push(KeyProblem { problem: Problem::Store(error), ..problem.clone() });
        }
    }
    more
}
