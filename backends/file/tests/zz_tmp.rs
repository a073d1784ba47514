mod common;
use common::*;
use futures_lite::future::block_on;
use keyward_core::*;
#[test]
fn speed() {
    let site = Site::new();
    let store = site.open();
    let id = key("one");
    register(&store, &id);
    publish(&store, &id, "sk");
    let c = cx();
    let t = std::time::Instant::now();
    for _ in 0..5000 {
        block_on(store.load_one(&c, &id)).unwrap();
    }
    println!("load {:?}", t.elapsed() / 5000);
    let t = std::time::Instant::now();
    let tg = target(&id);
    for _ in 0..2000 {
        block_on(store.pointer(&c, &tg)).unwrap();
    }
    println!("pointer {:?}", t.elapsed() / 2000);
    let t = std::time::Instant::now();
    for _ in 0..2000 {
        block_on(store.read_one(&c, &tg, Select::Current)).unwrap();
    }
    println!("strict read {:?}", t.elapsed() / 2000);
    let mut s = block_on(store.load_existing(&c, &id)).unwrap();
    let t = std::time::Instant::now();
    for _ in 0..1000 {
        let n = next(&s.value);
        let Swap::Applied(st) = block_on(store.swap(&c, &id, Expect::At(s.stamp.clone()), &n)).unwrap() else {
            panic!()
        };
        s = Stamped { value: n, stamp: st };
    }
    println!("swap {:?}", t.elapsed() / 1000);
    drop(store);
    let t = std::time::Instant::now();
    for _ in 0..100 {
        drop(site.open());
    }
    println!("open+close {:?}", t.elapsed() / 100);
}
