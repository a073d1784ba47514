//! Values are in the store and at the issuer, and nowhere else.

use std::fmt::{Debug, Display};
use std::sync::Arc;

use keyward::core::{AuditQuery, ManualClock, SecretBackend};
use keyward::leak::{LeakResponse, LeakStep, Leaked};
use keyward::rotation::Step;
use keyward_conformance::strict::{Fault, FaultPlan, Host, StrictFake};

use crate::support::{CHARGES, cx, key};
use crate::world::World;

/// How every value of the fake issuer begins.
const VALUE: &str = "fake_";

pub(crate) async fn f57_no_value_is_in_any_message_whatever_fails(_: StrictFake, clock: Arc<ManualClock>) {
    let (mut call, mut messages) = (0, 0);
    loop {
        let world = World::in_service(StrictFake::with_clock(clock.clone()), clock.clone()).await;
        let host = Host::new("a", FaultPlan::none().at(call, Fault::LostReply));
        let mut said = Said::default();
        rotate(&world, &host, &mut said).await;
        respond(&world, &host, &mut said).await;
        said.debug(&world.record().await);
        said.add(String::from_utf8_lossy(&world.record().await.encode().expect("small")).into_owned());
        let log = world.store.audit().expect("a log");
        said.debug(&log.entries(&cx(), &AuditQuery::default(), None).await.expect("entries"));
        said.debug(&host.trace());
        assert!(!said.0.is_empty());
        let told = said.0.iter().find(|text| text.contains(VALUE));
        assert!(told.is_none(), "call {call}: {}", told.map_or("", String::as_str));
        messages += said.0.len();
        if host.calls() <= call {
            break;
        }
        call += 1;
    }
    assert!(call > 50 && messages > 2_000, "only {call} calls and {messages} messages");
}

#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn add(&mut self, text: String) {
        self.0.push(text);
    }

    fn debug(&mut self, what: &impl Debug) {
        self.add(format!("{what:?}"));
    }

    fn both(&mut self, what: &(impl Debug + Display)) {
        self.debug(what);
        self.add(what.to_string());
    }
}

async fn rotate(world: &World<StrictFake>, host: &Host, said: &mut Said) {
    let rotator = world.rotator(host);
    said.debug(&rotator);
    for _ in 0..3 {
        let mut run = match rotator.start_or_resume(&key(CHARGES), "rotate").await {
            Ok(run) => run,
            Err(error) => {
                said.both(&error);
                continue;
            }
        };
        for _ in 0..200 {
            said.debug(&run);
            match run.step().await {
                Ok(step) => {
                    said.both(&step);
                    match step {
                        Step::Finished(_) => return,
                        Step::Wait { at_most, .. } => world.clock.advance(at_most),
                        _ => {}
                    }
                }
                Err(error) => said.both(&error),
            }
        }
    }
    panic!("the run does not end");
}

async fn respond(world: &World<StrictFake>, host: &Host, said: &mut Said) {
    let rotator = world.rotator(host);
    for _ in 0..3 {
        let mut response = match LeakResponse::open(&rotator, &world.report(Leaked::Current)).await {
            Ok(response) => response,
            Err(error) => {
                said.both(&error);
                continue;
            }
        };
        for _ in 0..200 {
            said.debug(&response);
            match response.step().await {
                Ok(step) => {
                    said.both(&step);
                    match step {
                        LeakStep::AwaitingReview(_) => return,
                        LeakStep::Wait { at_most, .. } => world.clock.advance(at_most),
                        _ => {}
                    }
                }
                Err(error) => said.both(&error),
            }
        }
    }
    panic!("the response does not end");
}
