#!/usr/bin/env bash
# Shows that a certified OpenID provider that nobody here wrote (npm oidc-provider) serves our client: client
# credentials, the authorisation code with PKCE, rotated refresh tokens, and the refusal of one that comes back.
#
#   connector-testkit/interop/oidc_provider.sh
#
# Needs node (20 or later), npm and a package registry for it.
set -euo pipefail

version=9.13.3
# What the provider depends on is taken as it was on this day.
day=2026-11-20

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
server=
cleanup() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap cleanup EXIT

# Built first, so that the provider need not wait for it.
(cd "$here/../.." && cargo test --quiet --locked -p connector-sdk --test it --no-run)

echo '{"private":true}' >"$work/package.json"
(cd "$work" && timeout 300 npm install --silent --no-audit --no-fund --ignore-scripts --no-save \
    --before="$day" "oidc-provider@$version")
cp "$here/oidc_provider.mjs" "$work/"

# It ends by itself should this script be killed.
(cd "$work" && exec timeout 600 node oidc_provider.mjs >"$work/issuer.json" 2>"$work/log") &
server=$!
for _ in $(seq 100); do
    [ -s "$work/issuer.json" ] && break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
done
issuer=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).issuer' "$work/issuer.json") || {
    echo "FAIL the provider did not start" >&2
    cat "$work/log" >&2
    exit 1
}

if ! (cd "$here/../.." && CONNECTOR_OIDC_ISSUER=$issuer timeout 300 cargo test --quiet --locked -p connector-sdk --test it -- \
    --ignored --test-threads 1 auth::oidc:: >"$work/tests" 2>&1) || ! grep -q '^test result: ok. 3 passed' "$work/tests"; then
    cat "$work/tests" "$work/log" >&2
    echo "FAIL our client and oidc-provider $version" >&2
    exit 1
fi
echo "ok   client credentials, PKCE, rotation and reuse with oidc-provider $version"
