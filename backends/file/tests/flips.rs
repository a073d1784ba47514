//! Single bits, in rows and anywhere in the file.

mod common;

use common::{Site, copy_of, cx, filled, key, material, target, verify_finds};
use futures_lite::future::block_on;
use keyward_core::{Read, SecretBackendExt, Select};
use keyward_file::{FileBackend, FileError, KeyFile};

#[test]
fn a_flipped_bit_anywhere_in_a_table() {
    let site = filled();
    let columns = [
        ("records", "id"),
        ("records", "sealed"),
        ("pointers", "id"),
        ("pointers", "sealed"),
        ("material", "id"),
        ("material", "sealed"),
        ("audit", "sealed"),
        ("audit", "link"),
        ("state", "sealed"),
        ("header", "value"),
    ];
    let mut flips = 0;
    for (table, column) in columns {
        let rows: Vec<(i64, usize)> = {
            let raw = site.raw();
            let mut query = raw.prepare(&format!("SELECT rowid, length({column}) FROM {table}")).unwrap();
            query
                .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)))
                .unwrap()
                .map(Result::unwrap)
                .collect()
        };
        // Five places of the second row: the ends, the salt, the commitment and the middle.
        let (rowid, length) = *rows.get(1).unwrap_or(&rows[0]);
        let places: std::collections::BTreeSet<usize> =
            [0, 20, 40, length / 2, length - 1].map(|at| at.min(length - 1)).into();
        for at in places {
            let copy = Site { key: site.key.clone(), ..copy_of(&site) };
            let raw = copy.raw();
            let mut bytes: Vec<u8> = raw
                .query_row(&format!("SELECT {column} FROM {table} WHERE rowid = ?1"), [rowid], |row| row.get(0))
                .unwrap();
            bytes[at] ^= 1 << (at % 8);
            raw.execute(&format!("UPDATE {table} SET {column} = ?1 WHERE rowid = ?2"), (bytes, rowid)).unwrap();
            drop(raw);
            match block_on(FileBackend::open(&copy.store, KeyFile::at(&copy.key))) {
                Ok(store) => verify_finds(&store, &format!("{table}.{column} at {at}")),
                Err(error) => assert!(matches!(error, FileError::Damaged { .. } | FileError::Unlock { .. }), "{error}"),
            }
            flips += 1;
        }
    }
    println!("{flips} flips, every one noticed");
}

#[test]
fn a_flipped_bit_anywhere_in_the_file_is_never_another_value() {
    let site = filled();
    let whole = std::fs::read(&site.store).unwrap();
    let (mut refused, mut noticed, mut same) = (0, 0, 0);
    for at in (0..whole.len()).step_by(229) {
        let copy = copy_of(&site);
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&copy.store, bytes).unwrap();
        let Ok(store) = block_on(FileBackend::open(&copy.store, KeyFile::at(&site.key))) else {
            refused += 1;
            continue;
        };
        for name in ["one", "two", "three"] {
            match block_on(store.read_one(&cx(), &target(&key(name)), Select::Current)) {
                Ok(Read::Found { material: found, .. }) => {
                    assert!(found.ct_eq(&material(&format!("sk_test_{name}_1"))))
                }
                Ok(Read::Unchanged) => panic!("nothing to be unchanged from"),
                Err(_) => {}
            }
        }
        match block_on(store.verify(&cx())) {
            Ok(_) => same += 1,
            Err(_) => noticed += 1,
        }
    }
    println!("{refused} refused at opening, {noticed} noticed by verify, {same} in bytes that mean nothing");
    assert!(refused > 0 && noticed > 0);
}
