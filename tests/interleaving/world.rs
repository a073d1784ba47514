//! One key, its store and its issuer, and the weather around them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::block_on;
use keyward::core::{IssuerCapabilities, KeyRecord, ManualClock, VersionId};
use keyward::rotation::Rotator;
use keyward_conformance::strict::{FakeIssuer, FakeValidator, Host, Late, StrictFake};

use crate::careless::Careless;
use crate::cast::HostRotator;
use crate::dice::Dice;
use crate::plan::Plan;
use crate::support::{CHARGES, Counts, FAILING, HEALTHY, charges, key, register};

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Careless,
    pub(crate) issuer: FakeIssuer,
    validator: FakeValidator,
    health: Counts,
    /// The issuer allows two keys.
    pub(crate) capped: bool,
    /// How many leak reports still count.
    pub(crate) leaks: Cell<usize>,
    stale: Cell<bool>,
    /// What was checked last: a revision, how much misuse, and what was changed.
    pub(crate) revision: Cell<usize>,
    pub(crate) misuse: Cell<usize>,
    pub(crate) touched: Cell<(u64, u64)>,
    /// Versions the record had switched off at some time.
    pub(crate) switched: RefCell<BTreeSet<VersionId>>,
    defects: RefCell<Vec<String>>,
}

impl World {
    /// A registered key, in most worlds with a first version in service.
    pub(crate) fn new(plan: &Plan, careless: bool) -> Self {
        let clock = Arc::new(ManualClock::default());
        let fake = StrictFake::with_clock(clock.clone());
        let mut capabilities = IssuerCapabilities::default();
        (capabilities.max_live, capabilities.reversible) = (plan.cap, plan.reversible);
        let issuer = FakeIssuer::new(capabilities);
        block_on(register(&fake, &clock, charges()));
        let world = Self {
            clock,
            store: Careless { store: fake, careless },
            validator: FakeValidator::new(&issuer),
            issuer,
            health: if plan.failing { FAILING } else { HEALTHY },
            capped: plan.cap.is_some(),
            leaks: Cell::new(plan.leaks),
            stale: Cell::new(false),
            revision: Cell::new(1),
            misuse: Cell::new(0),
            touched: Cell::new((0, 0)),
            switched: RefCell::default(),
            defects: RefCell::default(),
        };
        if plan.in_service {
            let rotator = world.rotator(&Host::steady("setup"));
            block_on(world.drive_run(&rotator, 100));
        }
        world
    }

    pub(crate) fn rotator(&self, host: &Host) -> HostRotator {
        Rotator::builder(host.wrap(self.store.clone()))
            .actor(host.name())
            .issuer("acme", host.wrap(self.issuer.clone()))
            .validator("acme", host.wrap(self.validator.clone()))
            .health(self.health)
            .clock(self.clock.clone())
            .takeover_after(Duration::from_secs(10))
            .poll_every(Duration::from_secs(3_600))
            .build()
            .expect("a rotator")
    }

    pub(crate) fn record(&self) -> KeyRecord {
        self.store.store.record(&key(CHARGES)).expect("a record")
    }

    /// Something that happens outside every host.
    pub(crate) fn weather(&self, dice: &mut Dice) {
        match dice.below(5) {
            0 => {
                self.stale.set(true);
                self.store.store.serve_stale(1 + dice.below(3));
            }
            1 => self.issuer.delay_creates([Some(Late::AfterCalls(dice.below(40)))]),
            2 => self.issuer.delay_creates([Some(Late::ByHand)]),
            3 => drop(self.issuer.land_late()),
            _ => self.issuer.revokes_linger(u32::try_from(dice.below(3)).expect("small")),
        }
    }

    pub(crate) fn reads_stale(&self) -> bool {
        self.stale.get()
    }

    pub(crate) fn defect(&self, what: &str) {
        self.defects.borrow_mut().push(what.to_owned());
    }

    pub(crate) fn has_defects(&self) -> bool {
        !self.defects.borrow().is_empty()
    }

    pub(crate) fn defects(&self) -> Vec<String> {
        self.defects.borrow().clone()
    }
}
