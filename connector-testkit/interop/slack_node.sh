#!/usr/bin/env bash
# Shows that npm's @slack/web-api and @slack/socket-mode take the fake workspace for a real one: they page, wait where
# they are told to, upload in three steps, refresh tokens, and hold a socket through a reconnect.
#
#   connector-testkit/interop/slack_node.sh [path of the fake-slack binary]
#
# Without a path the binary is built by cargo. Needs node (20 or later), npm and a package registry for it.
set -euo pipefail

web=8.2.0
socket=3.1.0
# What they depend on is taken as it was on this day.
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
    (cd "$here/../.." && cargo build --quiet -p connector-testkit --bin fake-slack)
    target=$(cd "$here/../.." && cargo metadata --no-deps --format-version 1 |
        node -p 'JSON.parse(require("fs").readFileSync(0)).target_directory')
    binary=$target/debug/fake-slack
fi

echo '{"private":true}' >"$work/package.json"
(cd "$work" && timeout 300 npm install --silent --no-audit --no-fund --ignore-scripts --no-save \
    --before="$day" "@slack/web-api@$web" "@slack/socket-mode@$socket")
cp "$here/check_slack_node.mjs" "$work/"

# The server stops when its input closes; descriptor 3 holds it open until this script ends. What is written there are
# events.
mkfifo "$work/input"
"$binary" --messages 450 --users 230 --seed 7 --limit-every 9 <"$work/input" >"$work/slack.json" &
server=$!
exec 3>"$work/input"
for _ in $(seq 100); do
    [ -s "$work/slack.json" ] && break
    kill -0 "$server" 2>/dev/null || { echo "FAIL the server did not start" >&2; exit 1; }
    sleep 0.1
done

timeout 300 node "$work/check_slack_node.mjs" "$work/slack.json" "$work/input"
