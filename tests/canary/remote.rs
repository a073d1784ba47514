//! The same tour on real servers, with everything their clients log watched at TRACE.

use futures_lite::future::block_on;

use crate::cast::Hasty;
use crate::opened::{self, Store};
use crate::stores::every_method;
use crate::tour::Tour;
use crate::witness::{Surface, Witness};

const SEEN: [Surface; 4] = [Surface::Debug, Surface::Display, Surface::Chain, Surface::Json];

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn no_call_on_vault_shows_a_secret() {
    tour("Vault", opened::vault());
}

#[test]
#[ignore = "needs tests/servers/up.sh"]
fn no_call_on_aws_shows_a_secret() {
    tour("AWS", opened::aws());
}

fn tour(name: &str, store: impl Future<Output = Store>) {
    let (witness, clock) = (Witness::new(), Hasty::default());
    block_on(async {
        let store = store.await.backend;
        witness.debug("an open store", &store);
        Tour { witness: &witness, store: store.clone(), clock: clock.clone() }.whole().await;
        every_method(&witness, &store, &clock).await;
    });
    // What is traced, by us or by a client, is watched for the whole process.
    witness.finish(name, &SEEN);
}
