//! The encrypted file: its unlock, its refusals, its damage, and every byte it leaves on disk.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use futures_lite::future::block_on;
use keyward::core::{
    KeyId, ListQuery, Location, Material, NewKey, SecretBackend, SecretBackendExt, SecretValue, Select, Shape, Target,
    VersionId,
};
use keyward::file::{Audit, FileBackend, FileError, InventoryKey, KdfPolicy, KeyFile, Passphrase, Unlock};
use keyward::inventory::Inventory;

use crate::cast::{named, pair};
use crate::secret::{Canary, Kind};
use crate::support::{CHARGES, charges, cx, key};
use crate::witness::{Surface, Witness};

/// A directory for one store.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("keys.keyward")
    }

    /// A file only its owner can read.
    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(content)).expect("a file");
        path
    }
}

fn passphrase(canary: &Canary) -> Passphrase {
    Passphrase::new(canary.text().into()).expect("a passphrase")
}

/// The name of a store, and what opens it with a passphrase.
type Way<'a> = (&'a str, &'a dyn Fn(&Canary) -> Unlock);

/// Two keys with marked values.
async fn fill(w: &Witness, store: &FileBackend) {
    let inventory = Inventory::new(store.clone()).actor("ada");
    let fields = Canary::shaped(Kind::Text, &pair().shape);
    for (draft, material) in [(charges(), Canary::plant(Kind::Text).material()), (pair(), fields)] {
        let imported = inventory.import(draft, NewKey::new(material), "moved in").await;
        w.record("an imported key", &w.good("import", imported));
    }
}

#[test]
fn no_way_into_a_store_shows_its_passphrase() {
    let w = Witness::new();
    for kind in [Kind::Text, Kind::Token] {
        let (site, right, wrong) = (Site::new(), Canary::plant(kind), Canary::plant(kind));
        let key_file = KeyFile::create(site.path("unlock.key")).expect("a key file");
        let both = |canary: &Canary| Unlock::from((key_file.clone(), passphrase(canary)));
        let alone = |canary: &Canary| Unlock::from(passphrase(canary));
        let ways: [Way<'_>; 2] = [("alone", &alone), ("both", &both)];
        for (name, way) in ways {
            let path = site.path(name);
            let builder = || FileBackend::builder().kdf(KdfPolicy::minimum());
            w.debug("an unlock", &way(&right));
            w.debug("a passphrase", &passphrase(&right));
            block_on(async {
                let store = w.good("create", builder().create(&path, way(&right)).await);
                fill(&w, &store).await;
                w.shown("what a store says of itself", &w.good("info", store.info(&cx()).await));
                w.directory(site.0.path());
                drop(store);
                w.refused("create again", builder().create(&path, way(&right)).await);
                w.refused("open with another passphrase", builder().open(&path, way(&wrong)).await);
                w.refused("open with a key file only", builder().open(&path, key_file.clone()).await);
                let bounded = KdfPolicy::minimum().with_max_memory_kib(1);
                let opened = FileBackend::builder().kdf(bounded).open(&path, way(&right)).await;
                let store = w.good("open", opened);
                w.debug("a store", &store);
                w.good("verify", store.verify(&cx()).await);
                w.directory(site.0.path());
            });
        }
        let other = KeyFile::create(site.path("other.key")).expect("a key file");
        let mixed = Unlock::from((other, passphrase(&right)));
        let opened = block_on(FileBackend::open(site.path("both"), mixed));
        let error = w.refused("open with another key file", opened);
        w.error("as an error of the contract", &keyward::core::Error::from(error));
        w.directory(site.0.path());
    }
    w.refused("no passphrase", Passphrase::new("".into()));
    w.finish("ways into a store", &[Surface::Debug, Surface::Chain, Surface::Disk]);
}

#[test]
fn no_store_shows_the_key_that_opens_it() {
    let (w, site, keys) = (Witness::new(), Site::new(), Site::new());
    let canary = Canary::plant(Kind::Token);
    let secret: &[u8; 32] = canary.bytes().first_chunk().expect("32 bytes");
    let line = format!("keyward-key-v1:{}\n", data_encoding::HEXLOWER.encode(secret));
    let key_file = KeyFile::at(keys.write("unlock.key", line.as_bytes()));
    w.debug("a key file", &key_file);
    w.debug("an unlock", &Unlock::from(key_file.clone()));
    w.good("a loaded key", key_file.load());
    w.debug("an inventory key", &InventoryKey::from_bytes(secret));
    block_on(async {
        let store = w.good("create", FileBackend::create(site.store(), key_file.clone()).await);
        fill(&w, &store).await;
        w.debug("the key of its inventory", &store.inventory_key());
        w.shown("what a store says of itself", &w.good("info", store.info(&cx()).await));
        w.directory(site.0.path());
        drop(store);
        w.good("open", FileBackend::open(site.store(), key_file).await);
    });
    w.directory(site.0.path());
    let found = w.take_found();
    assert!(found.is_empty(), "the key is shown: {found:?}");
    // The key file itself is the one place for it.
    w.directory(keys.0.path());
    assert_eq!(w.take_found().len(), 1, "the search is blind");
    w.finish("the key of a store", &[Surface::Debug, Surface::Disk]);
}

#[test]
fn no_file_that_is_refused_has_its_content_repeated() {
    let w = Witness::new();
    let site = Site::new();
    let unlock = || KeyFile::at(site.path("unlock.key"));
    KeyFile::create(site.path("unlock.key")).expect("a key file");
    let open = |path: &Path, unlock: KeyFile| {
        let error: FileError = w.refused("open", block_on(FileBackend::open(path, unlock)));
        w.error("as an error of the contract", &keyward::core::Error::from(error));
    };
    for kind in Kind::ALL {
        let content: Vec<u8> = Canary::plant(kind).bytes().iter().copied().cycle().take(16 * 4096).collect();
        let header = [&b"SQLite format 3\0"[..], &content].concat();
        for (name, content) in [("short", &content[..99]), ("long", &content), ("header", &header), ("empty", &[])] {
            open(&site.write(name, content), unlock());
        }
        let key = |rest: &[u8]| [&b"keyward-key-v1:"[..], rest].concat();
        let keys = [content[..79].to_vec(), content[..80].to_vec(), key(&content[..64]), key(&content[..65])];
        for content in keys {
            let path = site.write("secret.key", &content);
            w.refused("a key file that is none", KeyFile::at(&path).load());
            w.refused("a key file that is there", KeyFile::create(&path));
            w.refused("create", block_on(FileBackend::create(site.path("never"), KeyFile::at(&path))));
        }
        let readable = site.write("readable", &content);
        fs::set_permissions(&readable, Permissions::from_mode(0o644)).expect("a mode");
        open(&readable, unlock());
        let link = site.path(&format!("link-{kind:?}"));
        symlink(&readable, &link).expect("a link");
        open(&link, unlock());
    }
    open(site.0.path(), unlock());
    open(&site.path("absent"), unlock());
    open(&site.path("short"), KeyFile::at(site.path("absent.key")));
    w.finish("files that are refused", &[Surface::Chain]);
}

#[test]
fn no_damaged_store_shows_what_it_held() {
    let (w, site) = (Witness::new(), Site::new());
    let unlock = KeyFile::create(site.path("unlock.key")).expect("a key file");
    block_on(async {
        let store = w.good("create", FileBackend::create(site.store(), unlock.clone()).await);
        fill(&w, &store).await;
    });
    let sound = fs::read(site.store()).expect("the closed store");
    let mut refused = 0;
    // An odd distance, so that every kind of page is hit at another place.
    for at in (0..sound.len()).step_by(1_009) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x40;
        refused += block_on(damage(&w, &site, &unlock, &damaged));
    }
    for length in (0..sound.len()).step_by(4_096) {
        refused += block_on(damage(&w, &site, &unlock, &sound[..length]));
    }
    println!("canary: {} bytes of store, {refused} refusals of damage", sound.len());
    assert!(refused > 50, "only {refused} refusals");
    w.finish("damaged stores", &[Surface::Debug, Surface::Chain, Surface::Disk]);
}

/// Opens and reads a damaged copy as far as that goes; answers how often it was refused.
async fn damage(w: &Witness, site: &Site, unlock: &KeyFile, content: &[u8]) -> usize {
    let copy = Site::new();
    let path = copy.write("keys.keyward", content);
    let store = match w.result("open", FileBackend::builder().audit(Audit::Relaxed).open(&path, unlock.clone()).await) {
        Ok(store) => store,
        Err(_) => return 1,
    };
    let mut refused = usize::from(w.result("verify", store.verify(&cx()).await).is_err());
    if let Ok(listed) = w.result("list", store.list_all(&cx(), &ListQuery::all()).await) {
        refused += listed.into_iter().filter(|item| w.result("a record", item.clone()).is_err()).count();
    }
    let targets = [(CHARGES, Shape::One), (crate::cast::PAIR, pair().shape)];
    for (id, shape) in targets {
        let target = Target::new(key(id), Location::Derived, shape);
        refused += usize::from(w.result("read", store.read_one(&cx(), &target, Select::Current).await).is_err());
        let other = Canary::plant(Kind::Text).material();
        refused +=
            usize::from(w.result("stage", store.stage(&cx(), &target, VersionId::generate(), &other).await).is_err());
    }
    w.directory(copy.0.path());
    w.directory(site.0.path());
    refused
}

#[test]
fn no_store_that_is_full_shows_what_did_not_fit() {
    let (w, site) = (Witness::new(), Site::new());
    block_on(async {
        let unlock = KeyFile::create(site.path("unlock.key")).expect("a key file");
        let store = w.good("create", FileBackend::create(site.store(), unlock.clone()).await);
        fill(&w, &store).await;
        drop(store);
        let room = fs::metadata(site.store()).expect("the store").len() + 8_192;
        let store = w.good("open", FileBackend::builder().max_bytes(room).open(site.store(), unlock).await);
        let id: KeyId = key("production/payments/large");
        let inventory = Inventory::new(store.clone()).actor("ada");
        let canary = Canary::plant(Kind::Binary);
        let large = || {
            let bytes = canary.bytes().iter().copied().cycle().take(Material::MAX_LEN).collect();
            Material::one(SecretValue::new(bytes)).expect("within the limits")
        };
        let target = Target::new(id.clone(), Location::Derived, Shape::One);
        w.refused("stage without room", store.stage(&cx(), &target, VersionId::generate(), &large()).await);
        let imported = inventory.import(named(id.as_str(), charges()), NewKey::new(large()), "moved in").await;
        w.refused("import without room", imported);
        let target = Target::new(key(CHARGES), Location::Derived, Shape::One);
        for _ in 0..200 {
            // Until the log has no room either.
            if w.result("read", store.read_one(&cx(), &target, Select::Current).await).is_err() {
                break;
            }
        }
        w.debug("a full store", &store);
        w.directory(site.0.path());
    });
    w.directory(site.0.path());
    w.finish("a full store", &[Surface::Chain, Surface::Disk]);
}
