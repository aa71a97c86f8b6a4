#!/usr/bin/env bash
# Shows that pip's simple-salesforce takes the fake org for a real one: it logs in (SOAP, client credentials,
# JWT), describes, queries page after page, with and without the recycle bin, by REST and by Bulk jobs, and asks
# for deletions and changes. A check_simple_salesforce_writes.py next to it, which writes, runs last.
#
#   connector-testkit/interop/simple_salesforce.sh [path of the fake-salesforce binary]
#
# Without a path the binary is built by cargo. Needs python3 with venv, and a package index for pip.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
server=
cleanup() {
    exec 3>&- || true
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap cleanup EXIT

binary=${1:-}
if [ -z "$binary" ]; then
    (cd "$here/../.." && cargo build --quiet -p connector-testkit --bin fake-salesforce)
    target=$(cd "$here/../.." && cargo metadata --no-deps --format-version 1 |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
    binary=$target/debug/fake-salesforce
fi

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check simple-salesforce

# A key of this run's own for the JWT login.
"$work/venv/bin/python" "$here/rsa_key.py" "$work/private.pem" "$work/public.pem"

# The server stops when its input closes; descriptor 3 holds it open until this script ends.
mkfifo "$work/input"
"$binary" --contacts 4500 --deleted-contacts 300 --accounts 120 --seed 7 \
    --jwt-public-key "$work/public.pem" <"$work/input" >"$work/org.json" &
server=$!
exec 3>"$work/input"
for _ in $(seq 100); do
    [ -s "$work/org.json" ] && break
    kill -0 "$server" 2>/dev/null || { echo "FAIL the server did not start" >&2; exit 1; }
    sleep 0.1
done

"$work/venv/bin/python" "$here/check_simple_salesforce.py" "$work/org.json" "$work/private.pem"
if [ -e "$here/check_simple_salesforce_writes.py" ]; then
    "$work/venv/bin/python" "$here/check_simple_salesforce_writes.py" "$work/org.json" "$work/private.pem"
fi
