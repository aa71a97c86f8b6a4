#!/usr/bin/env bash
# Shows that pip's standardwebhooks, svix, stripe and slack_sdk take what we sign, and that we take what they sign; and
# that both refuse what was changed.
#
#   connector-testkit/interop/webhook_schemes.sh [path of the example `scheme` of connector-ingress]
#
# Without a path the example is built by cargo. Needs python3 with venv, and a package index for pip.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

binary=${1:-}
if [ -z "$binary" ]; then
    (cd "$here/../.." && cargo build --quiet -p connector-ingress --example scheme)
    target=$(cd "$here/../.." && cargo metadata --no-deps --format-version 1 |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
    binary=$target/debug/examples/scheme
fi

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    standardwebhooks==1.1.0 svix==2.9.1 stripe==16.1.0 slack_sdk==3.47.0 cryptography==50.0.2

timeout 300 "$work/venv/bin/python" "$here/check_webhook_schemes.py" "$binary"
