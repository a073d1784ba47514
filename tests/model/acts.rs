//! What a rotator decides when it has read the record, and what becomes of it.

use keyward::core::VersionState;

use super::record::{Death, Id, Move, Phase, Publication, Record, first};
use super::rules::{Flaw, published_given_up};
use super::state::{Doing, Issued, Mover, State};
use super::steps::{Steps, What, Who};

impl State {
    /// The remote calls a rotator may decide on when it reads this record, the newest or not.
    pub(super) fn plans(&self, record: &Record) -> Option<Doing> {
        let run = record.run?;
        let mover = |version, publication, back| Mover {
            version,
            publication,
            back,
            sure: true,
            first_until: run.version,
            fresh_until: record.fresh_publications(),
        };
        Some(match (run.phase, run.previous) {
            (Phase::Validated, _) => Doing::Read { token: self.shows },
            (Phase::Promoting { publication, expect: Some(token) }, _) => {
                Doing::Publish { mover: mover(run.version, publication, false), token, again: false }
            }
            (Phase::Promoting { publication, expect: None }, _) => {
                Doing::Look { mover: mover(run.version, publication, false) }
            }
            (Phase::RollingBack { publication }, Some(to)) => Doing::Look { mover: mover(to, publication, true) },
            _ => return None,
        })
    }
}

impl Steps<'_> {
    /// A rotator goes on with what it was about to do, or dies.
    pub(super) fn of_one_who_acts(&mut self, at: usize) {
        let (who, record) = (Who::Rotator(at), self.from.record);
        match self.from.rotators[at] {
            Doing::Idle => return,
            Doing::Create { version } => self.create(at, version),
            Doing::Stage { version } => {
                self.call(at, "stages the material", version, Doing::Store { version }, |to| {
                    to.keys[version].staged = true;
                });
            }
            Doing::Store { version } => self.store(at, version),
            Doing::Refused { version } => self.refused(at, version),
            Doing::NoteNever { version, next } => {
                let then = next.map_or(Doing::Idle, |version| Doing::Create { version });
                let made = Move::Revoked { version, death: Death::NeverCreated };
                if !self.swap(who, made, true, then) {
                    self.call(at, "has nothing to note", version, then, |_| {});
                }
            }
            Doing::Read { token } => drop(self.swap(who, Move::Promote { expect: token }, true, Doing::Idle)),
            Doing::Look { mover } => self.look(at, mover),
            Doing::Publish { mover, token, again } => self.publish(at, mover, token, again),
            Doing::Seen { .. } if record.phase() == Some(Phase::Validated) => {
                let promoted = record.after(Move::Promote { expect: self.from.shows });
                self.put_wrong(who, Move::Confirm, promoted.and_then(|record| record.after(Move::Confirm)));
            }
            Doing::Seen { back: true } => drop(self.swap(who, Move::RolledBack, true, Doing::Idle)),
            Doing::Seen { back: false } => drop(self.swap(who, Move::Confirm, true, Doing::Idle)),
            Doing::LookedAway => self.put_wrong(who, Move::Abandon, record.wrongly_abandoned()),
        }
        let mut to = self.from;
        to.rotators[at] = Doing::Idle;
        self.push(who, What::Dies, false, to);
    }

    fn call(&mut self, at: usize, what: &'static str, id: Id, then: Doing, effect: impl FnOnce(&mut State)) {
        let mut to = self.from;
        effect(&mut to);
        to.rotators[at] = then;
        self.push(Who::Rotator(at), What::Does(what, id), true, to);
    }

    /// The one create of a version: answered, refused, unclear, or late.
    fn create(&mut self, at: usize, version: Id) {
        let first_found = self.found.len();
        if self.has_room() {
            self.call(at, "has the issuer make the key", version, Doing::Stage { version }, |to| {
                to.keys[version].issued = Issued::Live;
            });
            self.call(at, "has the issuer make the key and loses the reply", version, Doing::Idle, |to| {
                to.keys[version].issued = Issued::Live;
            });
        } else {
            self.call(at, "finds the issuer full", version, Doing::Refused { version }, |to| {
                to.keys[version].issued = Issued::Never;
            });
        }
        self.call(at, "sends a create that is late", version, Doing::Idle, |to| {
            to.keys[version].issued = Issued::Coming;
        });
        let asked_before = self.from.keys[version].issued != Issued::Nothing;
        for (step, to) in &mut self.found[first_found..] {
            step.fair = to.rotators[at] != Doing::Idle;
            step.breaks = asked_before.then_some("I11: one version is created twice");
        }
    }

    fn store(&mut self, at: usize, version: Id) {
        let (who, record) = (Who::Rotator(at), self.from.record);
        let given_up = record.state(version) >= Some(VersionState::RevokePending);
        let stored = if self.still_planned(version) {
            self.swap(who, Move::Store, true, Doing::Idle)
        } else {
            given_up && self.swap(who, Move::Adopt { version }, true, Doing::Idle)
        };
        if !stored {
            self.call(at, "is not waited for any more", version, Doing::Idle, |_| {});
        }
    }

    fn refused(&mut self, at: usize, version: Id) {
        let record = self.from.record;
        let next = (record.planned() < self.rules.versions).then_some(record.planned());
        let made = if next.is_some() { Move::Replan } else { Move::Abandon };
        let then = Doing::NoteNever { version, next };
        if !(self.still_planned(version) && self.swap(Who::Rotator(at), made, true, then)) {
            self.call(at, "is not waited for any more", version, Doing::Idle, |_| {});
        }
    }

    fn still_planned(&self, version: Id) -> bool {
        super::rules::planned(&self.from.record) == Some(version)
    }

    fn look(&mut self, at: usize, mover: Mover) {
        let shows = self.from.shows;
        let then = if shows == mover.publication {
            seen(mover)
        } else if self.knows(mover, shows) {
            Doing::Publish { mover, token: shows, again: mover.back }
        } else {
            Doing::Idle
        };
        self.call(at, "looks at the pointer", mover.version, then, |_| {});
    }

    fn publish(&mut self, at: usize, mover: Mover, token: Publication, again: bool) {
        let (id, shows) = (mover.version, self.from.shows);
        if !self.from.keys[id].staged {
            self.call(at, "finds no material to publish", id, Doing::Idle, |_| {});
        } else if shows == mover.publication {
            self.call(at, "finds the pointer where it should be", id, seen(mover), |_| {});
        } else if shows == token {
            self.call(at, "moves the pointer", id, seen(mover), |to| to.shows = mover.publication);
            let breaks = published_given_up(&self.from.record, id);
            self.found.last_mut().expect("just pushed").0.breaks = breaks;
        } else if !again && self.knows(mover, shows) {
            let then = Doing::Publish { mover, token: shows, again: true };
            self.call(at, "finds the pointer moved by one it knows", id, then, |_| {});
        } else {
            self.call(at, "finds the pointer moved", id, Doing::Idle, |_| {});
        }
    }

    fn knows(&self, mover: Mover, shows: Publication) -> bool {
        mover.knows(shows) || self.rules.flawed(Flaw::OverwritesWhatItDoesNotKnow)
    }

    /// Plans that only a flawed protocol makes.
    pub(super) fn wrong_plans(&self) -> Option<Doing> {
        let (record, rules) = (self.from.record, self.rules);
        let run = record.run?;
        if rules.flawed(Flaw::PublishesUnjournalled) && run.phase == Phase::Validated {
            let mover = Mover {
                version: run.version,
                publication: first(run.version),
                back: false,
                sure: true,
                first_until: run.version,
                fresh_until: record.fresh_publications(),
            };
            return Some(Doing::Publish { mover, token: self.from.shows, again: true });
        }
        let moving = matches!(run.phase, Phase::Promoting { .. }) && self.from.shown() != Some(run.version);
        (rules.flawed(Flaw::LooksInsteadOfFencing) && moving).then_some(Doing::LookedAway)
    }
}

fn seen(mover: Mover) -> Doing {
    if mover.sure { Doing::Seen { back: mover.back } } else { Doing::Idle }
}
