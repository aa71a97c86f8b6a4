#!/usr/bin/env bash
# All witnesses: clients and readers that nobody here wrote, against the fake vendors and our Bronze.
#
#   connector-testkit/interop/run.sh BRONZE_FOLDER
#
# Needs node and npm with a registry, python3 with venv, and a package index for pip. Without one it says so and
# leaves out what needs it; with CI=true that is a failure.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bronze=${1:?usage: run.sh BRONZE_FOLDER}

missing() {
    echo "interoperation: $*" >&2
    if [ "${CI:-}" = true ]; then exit 1; fi
}

if command -v node >/dev/null && command -v npm >/dev/null && timeout 60 npm ping --silent >/dev/null 2>&1; then
    echo "-- oidc-provider and our client"
    "$here/oidc_provider.sh"
    echo "-- jsforce against the fake org"
    "$here/jsforce.sh"
    echo "-- @slack/web-api and @slack/socket-mode against the fake workspace"
    "$here/slack_node.sh"
else
    missing "node, npm or a registry for npm is missing"
fi

probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
if ! python3 -m venv "$probe/venv" 2>/dev/null ||
    ! "$probe/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps -d "$probe" simple-salesforce; then
    missing "python3 with venv, or a package index for pip, is missing"
    exit 0
fi

echo "-- simple-salesforce against the fake org"
"$here/simple_salesforce.sh"
echo "-- slack_sdk against the fake workspace"
"$here/slack_sdk.sh"
echo "-- standardwebhooks, svix, stripe and slack_sdk, and our schemes"
"$here/webhook_schemes.sh"
echo "-- pyarrow and DuckDB on our Parquet"
"$here/read_parquet.sh" "$bronze"
