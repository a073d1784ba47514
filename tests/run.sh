#!/usr/bin/env bash
# All tests, on a fresh machine too: installs what is missing, then runs every group.
#
#   tests/run.sh            every group
#   tests/run.sh lint       only the groups named: tools lint docs house servers
#                           tests examples
#
# Needs the Rust toolchain; everything else is installed here or is an error.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TERM_COLOR=never
ran=()
wanted=("$@")
scratch=
servers_up=
servers_ours=
server_mark='needs tests/servers/up.sh'

cleanup() {
  if [ -n "$scratch" ]; then rm -rf "$scratch"; fi
  if [ -n "$servers_ours" ]; then tests/servers/down.sh; fi
}
trap cleanup EXIT

group() { # name, function
  if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $1 "* ]]; then return; fi
  printf '\n== %s\n' "$1"
  local began=$SECONDS
  "$2"
  ran+=("$1 ($((SECONDS - began)) s)")
}

tools() {
  command -v cargo >/dev/null || { echo "install the Rust toolchain first (rust-version in Cargo.toml)"; exit 1; }
  if ! command -v cc >/dev/null; then
    echo "no C compiler: installing one for SQLite"
    { apt-get update -q && apt-get install -qy gcc libc6-dev; } || {
      echo "could not install a C compiler; install one and run this again"; exit 1; }
  fi
  for component in rustfmt clippy; do
    cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component"
  done
  cargo --version
}

lint() {
  cargo fmt --all --check
  cargo clippy --workspace --all-targets --locked -- -D warnings
  cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
  cargo clippy -p keyward --no-default-features --lib --locked -- -D warnings
}

docs() {
  RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --locked
}

# The arrows point one way, the contract stays light, the files stay small.
house() {
  local tree
  tree=$(cargo tree -p keyward-core -e normal --locked --prefix none | awk '{print $1}' | sort -u)
  if grep -E '^(tokio|async-std|smol|async-io|hyper|reqwest|rustls|native-tls|openssl|rusqlite|tracing|log)$' <<<"$tree"; then
    echo "keyward-core must hold no runtime, TLS, HTTP or log crate"; exit 1
  fi
  for backend in core seal file remote aws vault; do
    tree=$(cargo tree -p "keyward-$backend" --all-features -e normal --locked --prefix none | awk '{print $1}' | sort -u)
    if grep -x keyward <<<"$tree"; then echo "keyward-$backend must not depend on keyward"; exit 1; fi
  done
  for crate in hyper reqwest rustls; do
    tree=$(cargo tree --workspace --all-features -e normal --locked --prefix none | awk -v crate="$crate" '$1 == crate {print $2}' | sort -u)
    if [ "$(wc -l <<<"$tree")" -gt 1 ]; then printf 'more than one %s:\n%s\n' "$crate" "$tree"; exit 1; fi
  done
  # Server tests are found by their folder; anywhere else they would never run.
  if git grep -n "^ *#\[ignore = \"$server_mark\"" -- 'src/*.rs' 'backends/*/src/*.rs'; then
    echo "a test that needs a server belongs in a tests folder"; exit 1
  fi
  local long
  long=$(git ls-files '*.rs' | xargs wc -l | awk '$2 != "total" && $1 > 800 {print $1, $2}')
  if [ -n "$long" ]; then printf 'files over 800 lines:\n%s\n' "$long"; exit 1; fi
  git ls-files '*.rs' | xargs wc -l | awk '$2 != "total" {print $1}' | sort -n |
    awk '{a[NR] = $1} END {printf "rust files: %d, median %d lines, 90th percentile %d\n", NR, a[int((NR + 1) / 2)], a[int(NR * 0.9)]}'
}

servers() {
  # Servers that ran before this stay.
  if [ ! -e target/test-servers/env ]; then servers_ours=yes; fi
  tests/servers/up.sh
  # shellcheck source=/dev/null
  . target/test-servers/env
  servers_up=yes
}

# The test programs with a test that is marked as one for servers.
server_tests() {
  git grep -l "$server_mark" -- '*.rs' | sed -nE 's#^(backends/[a-z]+/)?tests/([a-z_]+)(\.rs|/.*)$#\2#p' | sort -u
}

tests() {
  if [ -z "$servers_up" ]; then servers; fi
  KEYWARD_INTERLEAVINGS=100000 cargo test --workspace --all-features --locked
  local programs=() name
  for name in $(server_tests); do programs+=(--test "$name"); done
  if [ ${#programs[@]} -eq 0 ]; then echo "no server tests found"; exit 1; fi
  cargo test --workspace --all-features --locked "${programs[@]}" -- --ignored
}

examples() {
  scratch=$(mktemp -d)
  cargo build --examples --all-features --locked
  mkdir -p target
  local out="$PWD/target/examples.log"
  : >"$out"
  if [ -z "$servers_up" ]; then servers; fi
  for example in load_at_startup fleet rotate rotate_embedded write_a_backend aws vault; do
    printf -- '-- %s\n' "$example" | tee -a "$out"
    cargo run -q --all-features --locked --example "$example" >>"$out"
  done
  printf -- '-- quickstart\n' | tee -a "$out"
  cargo run -q --locked --example quickstart -- "$scratch/store" </dev/null | tee -a "$out"
  # It asks before it writes into a directory that holds a store; no answer is a no.
  if cargo run -q --locked --example quickstart -- "$scratch/store" </dev/null >/dev/null 2>&1; then
    echo "quickstart wrote into an existing store without asking"; exit 1
  fi
  cargo run -q --locked --example quickstart -- "$scratch/store" show >>"$out"
  # A generated token is <prefix>_<32 base62>_<6 base62>, one of the vendor Acme is acme_<64 hex>; no output may hold one.
  if grep -E '[a-z0-9_]+_[0-9A-Za-z]{32}_[0-9A-Za-z]{6}|acme_[0-9a-f]{64}' "$out"; then
    echo "an example printed a key value"; exit 1
  fi
}

group tools tools
group lint lint
group docs docs
group house house
group servers servers
group tests tests
group examples examples

printf '\nran: %s\n' "${ran[*]}"
