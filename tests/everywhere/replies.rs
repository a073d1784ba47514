//! Faults on the wire: at each request of a rotation the reply is lost after the server acted, or
//! the process dies before or after.

use std::pin::pin;
use std::time::Duration;

use keyward::core::Retry;
use keyward::rotation::RotationError;
use keyward_conformance::servers::{Fault, Proxy, server_url};
use keyward_conformance::strict::Host;

use crate::stores::{Kind, Store};
use crate::support::HEALTHY;
use crate::world::World;

/// The process lives, sees an error or none, and repeats.
pub(crate) async fn a_lost_reply_at_every_request_ends_clean(store: Store) {
    at_every_request(store, Fault::LoseReply, async |world, far, _| {
        for _ in 0..20 {
            let rotator = world.rotator_on(far, &Host::steady("a"), HEALTHY);
            match world.finish(&rotator, "rotate").await {
                Ok(_) => return,
                Err(RotationError::Backend(error)) if error.retry() != Retry::No => {}
                Err(error) => panic!("a lost reply became a failure: {error}"),
            }
        }
        panic!("it never ends");
    })
    .await;
}

/// The request never reaches the server, and the process is gone.
pub(crate) async fn a_death_before_every_request_ends_clean(store: Store) {
    at_every_request(store, Fault::Refuse, die_when_reached).await;
}

/// The server acts, and the process is gone before it hears of it.
pub(crate) async fn a_death_after_every_request_ends_clean(store: Store) {
    at_every_request(store, Fault::LoseReply, die_when_reached).await;
}

async fn at_every_request(store: Store, fault: Fault, play: impl AsyncFn(&World, &Store, (&Proxy, usize))) {
    let proxy = Proxy::start(&server(&store)).await;
    let far = store.kind.open(&proxy.url()).await;
    let world = World::provisioned(store).await;
    let began = proxy.requests();
    world.finish(&world.rotator_on(&far, &Host::steady("counting"), HEALTHY), "count").await.expect("no fault");
    let requests = proxy.requests() - began;
    world.settle("without faults").await;
    assert!(requests > 25, "only {requests} requests");
    for request in 0..requests {
        let at = proxy.requests() + request;
        proxy.plan(fault.clone().at(at).times(1));
        play(&world, &far, (&proxy, at)).await;
        proxy.clear();
        world.settle(&format!("request {request} of {requests}, {fault:?}")).await;
    }
    println!("{requests} requests");
}

/// Stops running the process once its fatal request has arrived, lets the server finish, then drops
/// what is left.
async fn die_when_reached(world: &World, far: &Store, (proxy, at): (&Proxy, usize)) {
    let rotator = world.rotator_on(far, &Host::steady("a"), HEALTHY);
    let reached = async {
        while proxy.requests() <= at {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let run = pin!(world.finish(&rotator, "rotate"));
    tokio::select! {
        biased;
        () = reached => tokio::time::sleep(Duration::from_millis(20)).await,
        _ = run => {}
    }
}

pub(crate) fn server(store: &Store) -> String {
    match store.kind {
        Kind::Vault { .. } => server_url("VAULT_ADDR"),
        Kind::Aws { .. } => server_url("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
        Kind::Memory | Kind::File(_) => panic!("nothing is on the wire"),
    }
}
