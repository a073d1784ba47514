//! The contract crate stays small: no runtime, no TLS, no HTTP, no log, no cloud.

use std::process::Command;

#[test]
fn the_tree_of_dependencies_is_small() {
    let args =
        ["tree", "-p", "keyward-core", "-e", "normal", "--prefix", "none", "--format", "{p}", "--offline", "--locked"];
    let output =
        Command::new(env!("CARGO")).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut names: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).filter(|n| !n.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.contains(&"secrecy") && names.len() < 50, "{names:?}");
    let banned = [
        "async-std",
        "async-io",
        "axum",
        "aws",
        "h2",
        "http",
        "hyper",
        "log",
        "mio",
        "native-tls",
        "openssl",
        "rand",
        "reqwest",
        "ring",
        "rusqlite",
        "rustls",
        "smol",
        "socket2",
        "tokio",
        "tower",
        "tracing",
        "ureq",
        "url",
        "vaultrs",
    ];
    let found: Vec<_> =
        names.iter().filter(|n| banned.iter().any(|b| *n == b || n.starts_with(&format!("{b}-")))).collect();
    assert!(found.is_empty(), "{found:?}");
}
