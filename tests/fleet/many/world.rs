//! Many keys on a store, five vendors, and a clock that runs while somebody works.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use keyward::core::{
    Change, Clock, Expect, KeyDraft, KeyId, KeyRecord, ListQuery, ManualClock, Operation, Pages, Read, SecretBackend,
    SecretBackendExt, Select, Shows, SystemClock,
};
use keyward::rotation::{FleetBuilder, FleetReport, FleetRotator, Outcome, Rotator, RotatorBuilder, Schedule};
use keyward_conformance::strict::{Faulty, Host};

use super::vendor::{Gauge, Vendor};
use crate::support::{HEALTHY, cx, key, reports};

pub(crate) type Store = Arc<dyn SecretBackend>;

pub(crate) const VENDORS: usize = 5;
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vendors: Vec<Vendor>,
    pub(crate) everywhere: Arc<Gauge>,
}

impl World {
    /// So many keys, one after the other at each vendor, none with a version.
    pub(crate) async fn registered(store: Store, keys: usize) -> Self {
        let world = Self::empty(store);
        for n in 0..keys {
            world.register(world.draft(n)).await;
        }
        world
    }

    pub(crate) fn empty(store: Store) -> Self {
        let everywhere = Arc::default();
        let vendors = (0..VENDORS).map(|_| Vendor::new(&everywhere)).collect();
        Self { store, clock: Arc::default(), vendors, everywhere }
    }

    pub(crate) fn draft(&self, n: usize) -> KeyDraft {
        let mut draft = reports();
        draft.id = id(n);
        draft.issuer = format!("vendor-{}", n % VENDORS).parse().expect("a name");
        draft
    }

    pub(crate) async fn register(&self, draft: KeyDraft) {
        let change = Change::new("ada".parse().expect("an actor"), self.clock.now());
        let record = KeyRecord::register(&draft, &change).expect("a record");
        self.store.swap(&cx(), &draft.id, Expect::Absent, &record).await.expect("register");
    }

    /// Keys that serve their first version.
    pub(crate) async fn in_service(store: Store, keys: usize) -> Self {
        let world = Self::registered(store, keys).await;
        let mut fleet = world.fleet().schedule(Schedule::default().first_versions()).build().expect("a fleet");
        let report = world.while_time_goes_by(fleet.pass()).await;
        assert_eq!(report.summary().completed, keys, "{report}");
        world
    }

    pub(crate) fn rotator<B: SecretBackend>(&self, store: B, host: &Host) -> RotatorBuilder<B> {
        let rotator = Rotator::builder(store)
            .actor("fleet")
            .health(HEALTHY)
            .clock(self.clock.clone())
            .poll_every(Duration::from_secs(12 * 3_600));
        self.vendors.iter().enumerate().fold(rotator, |rotator, (n, vendor)| {
            let name = format!("vendor-{n}");
            rotator.issuer(&name, host.wrap(vendor.clone())).validator(&name, host.wrap(vendor.clone()))
        })
    }

    /// A fleet as one host sees the world.
    pub(crate) fn fleet_on(&self, host: &Host) -> FleetBuilder<Faulty<Store>> {
        let store = host.wrap(self.store.clone());
        FleetRotator::builder(self.rotator(store, host).build().expect("a rotator")).pass_limit(DAY)
    }

    pub(crate) fn fleet(&self) -> FleetBuilder<Store> {
        let rotator = Rotator::builder(self.store.clone())
            .actor("fleet")
            .health(HEALTHY)
            .clock(self.clock.clone())
            .poll_every(Duration::from_secs(12 * 3_600));
        let rotator =
            self.vendors.iter().enumerate().fold(rotator, |rotator, (n, vendor)| {
                rotator.issuer_and_validator(&format!("vendor-{n}"), vendor.clone())
            });
        FleetRotator::builder(rotator.build().expect("a rotator")).pass_limit(DAY)
    }

    /// Work with a clock that shows a quarter of a second more every millisecond.
    pub(crate) async fn while_time_goes_by<T>(&self, work: impl Future<Output = T>) -> T {
        let time = async {
            loop {
                SystemClock.sleep(Duration::from_millis(1)).await;
                self.clock.advance(Duration::from_millis(250));
            }
        };
        future::or(work, time).await
    }

    /// The same, until `host` dies or has made so many calls: then the work is dropped where it is.
    pub(crate) async fn until_killed<T>(&self, host: &Host, calls: usize, work: impl Future<Output = T>) -> Option<T> {
        let killed = async {
            while !host.crashed() && host.calls() < calls {
                SystemClock.sleep(Duration::from_millis(1)).await;
                self.clock.advance(Duration::from_millis(250));
            }
            None
        };
        future::or(async { Some(work.await) }, killed).await
    }

    /// Moves the clock to where the fleet has something to do, at least by a few hours, as a wave
    /// does that is looked at now and then.
    pub(crate) fn sleep_until(&self, report: &FleetReport) {
        let next = report.next_due.map(|at| (at - self.clock.now()).to_std().unwrap_or_default());
        self.clock.advance(next.unwrap_or_default().clamp(Duration::from_secs(3 * 3_600), DAY));
    }

    pub(crate) async fn record(&self, n: usize) -> KeyRecord {
        crate::support::load(&self.store, &id(n)).await
    }

    /// Every record, by pages.
    pub(crate) async fn each_record(&self, mut look: impl FnMut(KeyRecord)) {
        let (mut next, mut pages) = (None, Pages::of(Operation::List));
        loop {
            let page = self.store.list(&cx(), &ListQuery::all(), next).await.expect("a page");
            page.items.into_iter().for_each(|record| look(record.expect("a record").value));
            next = pages.after(page.next).expect("no circle");
            if next.is_none() {
                return;
            }
        }
    }

    pub(crate) fn vendor_of(&self, record: &KeyRecord) -> &Vendor {
        let n: usize = record.issuer().as_str().trim_start_matches("vendor-").parse().expect("a number");
        &self.vendors[n]
    }

    /// A record at rest: one version that may work, the one the vendor has, shown to readers.
    pub(crate) async fn check_at_rest(&self, record: &KeyRecord) {
        let id = record.id();
        assert!(record.run().is_none(), "{id}: a run is under way");
        let primary = record.primary().unwrap_or_else(|| panic!("{id}: no primary")).id;
        let may_work: Vec<_> = record.versions().iter().filter(|v| v.state.may_work()).map(|v| v.id).collect();
        assert_eq!(may_work, [primary], "{id}: versions of the record");
        assert_eq!(self.vendor_of(record).live(record.uid()), [primary], "{id}: keys at the vendor");
        let shows = self.store.pointer(&cx(), &record.target()).await.expect("a pointer").shows;
        assert!(matches!(shows, Shows::Ours { version, .. } if version == primary), "{id}: shown {shows:?}");
        let read = self.store.read_one(&cx(), &record.target(), Select::Current).await.expect("a read");
        assert!(matches!(read, Read::Found { version, .. } if version == primary), "{id}: read");
    }
}

pub(crate) fn id(n: usize) -> KeyId {
    key(&format!("production/analytics/reports-{n:05}"))
}

pub(crate) fn outcome_of(report: &FleetReport, n: usize) -> Outcome {
    let found = report.keys.iter().find(|row| row.key == id(n));
    found.unwrap_or_else(|| panic!("key {n} is not in the report:\n{report}")).outcome.clone()
}
