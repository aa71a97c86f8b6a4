#!/usr/bin/env bash
# Shows that pip's slack_sdk takes the fake workspace for a real one: it pages by cursor, waits where it is told to,
# uploads in three steps, rotates tokens, verifies a signed event, and holds a socket through a reconnect.
#
#   connector-testkit/interop/slack_sdk.sh [path of the fake-slack binary]
#
# Without a path the binary is built by cargo. Needs python3 with venv, and a package index for pip.
set -euo pipefail

version=3.47.0

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
servers=()
cleanup() {
    exec 3>&- 4>&- || true
    for server in "${servers[@]}"; do
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT

binary=${1:-}
if [ -z "$binary" ]; then
    (cd "$here/../.." && cargo build --quiet -p connector-testkit --bin fake-slack)
    target=$(cd "$here/../.." && cargo metadata --no-deps --format-version 1 |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
    binary=$target/debug/fake-slack
fi

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "slack_sdk==$version"

# A server stops when its input closes; descriptors 3 and 4 hold them open until this script ends. What the script
# writes there are events.
wait_for() {
    for _ in $(seq 100); do
        [ -s "$1" ] && return
        sleep 0.1
    done
    echo "FAIL the server did not start" >&2
    exit 1
}
mkfifo "$work/sockets" "$work/posts"
"$binary" --messages 450 --users 230 --seed 7 --limit-every 9 <"$work/sockets" >"$work/sockets.json" &
servers+=($!)
exec 3>"$work/sockets"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$binary" --events-to "http://127.0.0.1:$port/events" <"$work/posts" >"$work/posts.json" &
servers+=($!)
exec 4>"$work/posts"
wait_for "$work/sockets.json"
wait_for "$work/posts.json"

timeout 300 "$work/venv/bin/python" "$here/check_slack_sdk.py" \
    "$work/sockets.json" "$work/sockets" "$work/posts.json" "$work/posts" "$port"
