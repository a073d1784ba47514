//! What each store can do, as a table in the guide: generated here, so that it cannot drift.

use std::fmt::Write as _;

use keyward::core::{Capabilities, SecretBackend};

use crate::stores;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/capabilities.md");
const STORES: [&str; 4] = ["memory", "file", "Vault / OpenBao", "AWS Secrets Manager"];

type Row = (&'static str, fn(&Capabilities) -> String);

const ROWS: [Row; 11] = [
    ("conditional writes of records", |c| format!("{:?}", c.record_cas).to_lowercase()),
    ("conditional moves of the pointer", |c| format!("{:?}", c.publish_cas).to_lowercase()),
    ("giving up material", |c| format!("{:?}", c.destroy).to_lowercase()),
    ("native readers find it as", |c| native(c).to_owned()),
    ("several hosts at once", |c| yes(c.multi_host)),
    ("a listing may be as old as", |c| format!("{} s", c.list_staleness.as_secs())),
    ("a write is seen by the next read", |c| yes(c.read_after_write)),
    ("records without permission to read values", |c| yes(c.record_material_split)),
    ("most bytes of material", |c| c.max_material.to_string()),
    ("record writes a key bears in a day", |c| {
        c.record_writes_per_day.map_or_else(|| "unlimited".to_owned(), |n| n.to_string())
    }),
    ("adopts existing secrets", |c| yes(c.adopts)),
];

/// Writes the table anew when it is out of date, and fails then: look at it and commit it.
#[test]
#[ignore = "needs tests/servers/up.sh"]
fn the_table_of_the_guide_says_what_the_stores_say() {
    super::run(async {
        let aws = stores::aws_as_it_is().await;
        let all = [stores::memory().await, stores::file().await, stores::vault().await, aws];
        let table = table(&all.map(|store| store.backend.capabilities().clone()));
        let there = std::fs::read_to_string(PAGE).unwrap_or_default();
        if there != table {
            std::fs::write(PAGE, &table).expect("the guide can be written");
            panic!("src/guide/capabilities.md was out of date and has been written anew: commit it");
        }
    });
}

fn table(all: &[Capabilities]) -> String {
    let mut page = String::from(
        "# Capabilities\n\nWhat each store says it can do; written by the tests from the stores themselves. \
         What a store cannot do\nit answers with `Unsupported`, and the suite for stores checks that \"no\" as well.\n\n",
    );
    let _ = writeln!(page, "| | {} |", STORES.join(" | "));
    let _ = writeln!(page, "| --- |{}", " --- |".repeat(STORES.len()));
    for (name, cell) in ROWS {
        let cells: Vec<_> = all.iter().map(cell).collect();
        let _ = writeln!(page, "| {name} | {} |", cells.join(" | "));
    }
    page
}

fn native(capabilities: &Capabilities) -> &'static str {
    match capabilities.native_current {
        keyward::core::NativeCurrent::None => "none",
        keyward::core::NativeCurrent::AwsCurrent => "`AWSCURRENT`",
        keyward::core::NativeCurrent::KvLatest => "the latest KV version",
        _ => "something newer than this table",
    }
}

fn yes(it_is: bool) -> String {
    if it_is { "yes" } else { "no" }.to_owned()
}
