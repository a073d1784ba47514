#!/usr/bin/env bash
# Stops the servers that up.sh started, and no other process. Safe to run twice.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
state=${TEST_SERVERS_DIR:-$here/../../target/test-servers}
if [ ! -d "$state" ]; then exit 0; fi
state=$(cd "$state" && pwd -P)
exec 9>"$state/lock"
flock -w 300 9

# A process is ours only while it runs from our state folder: numbers are used again.
ours() { [ "$(readlink "/proc/$1/cwd" 2>/dev/null)" = "$state" ]; }

rm -f "$state/env"
for name in moto ministack bao; do
  if [ ! -s "$state/$name.pid" ]; then continue; fi
  pid=$(cat "$state/$name.pid")
  for signal in TERM KILL; do
    if ! ours "$pid"; then break; fi
    kill -s "$signal" "$pid" 2>/dev/null || true
    for _ in $(seq 50); do
      if ! ours "$pid"; then break; fi
      sleep 0.1
    done
  done
  rm -f "$state/$name.pid" "$state/$name.url"
done
