#!/usr/bin/env bash
# Shows that others can read our Bronze: pyarrow and DuckDB (whichever of them pip can have) read all Parquet
# files below a folder, count rows per stream, and check the envelope and the numbering.
#
#   connector-testkit/interop/read_parquet.sh BRONZE_FOLDER
#
# Needs python3 with venv, and a package index for pip.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bronze=${1:?usage: read_parquet.sh BRONZE_FOLDER}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
for package in pyarrow duckdb; do
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check "$package" ||
        { echo "SKIP $package: pip cannot have it" >&2; [ "${CI:-}" != true ]; }
done
"$work/venv/bin/python" "$here/check_parquet.py" "$bronze"
