#!/usr/bin/env bash
# Shows that npm's jsforce takes the fake org for a real one: it signs in, describes, queries page after page and
# reads by Bulk jobs. A check_jsforce_writes.mjs next to it, which writes, runs last.
#
#   connector-testkit/interop/jsforce.sh [path of the fake-salesforce binary]
#
# Without a path the binary is built by cargo. Needs node (20 or later), npm and a package registry for it.
set -euo pipefail

# The last one that runs on node 20.
version=3.10.16
# What jsforce depends on is taken as it was on this day.
day=2026-11-20

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
        node -p 'JSON.parse(require("fs").readFileSync(0)).target_directory')
    binary=$target/debug/fake-salesforce
fi

echo '{"private":true}' >"$work/package.json"
(cd "$work" && timeout 300 npm install --silent --no-audit --no-fund --ignore-scripts --no-save \
    --before="$day" "jsforce@$version")
cp "$here"/check_jsforce*.mjs "$work/"

# jsforce pipes all pages of a Bulk result into one CSV parser, without waiting for one to end and with the header
# of each: read in src/api/bulk2.ts (QueryJobV2.result), and seen here to end in CsvError. So it gets one page.
# The server stops when its input closes; descriptor 3 holds it open until this script ends.
mkfifo "$work/input"
"$binary" --contacts 4500 --deleted-contacts 300 --accounts 120 --seed 7 \
    --bulk-page-rows 100000 <"$work/input" >"$work/org.json" &
server=$!
exec 3>"$work/input"
for _ in $(seq 100); do
    [ -s "$work/org.json" ] && break
    kill -0 "$server" 2>/dev/null || { echo "FAIL the server did not start" >&2; exit 1; }
    sleep 0.1
done

for check in "$work"/check_jsforce*.mjs; do
    timeout 300 node "$check" "$work/org.json"
done
