#!/usr/bin/env bash
# Everything that must hold: formatting, lints, tests, doc tests, examples. One command, no arguments.
# With CI=true a missing tool or fixture is a failure; otherwise what needs it is left out, and said.
set -euo pipefail
cd "$(dirname "$0")"

step() { printf '\n== %s\n' "$*"; }
missing() {
    if [ "${CI:-}" = true ]; then echo "missing: $*" >&2; exit 1; fi
    echo "left out, because it is missing: $*" >&2
}

# Debian packages that the tests need. None of them is needed to build the SDK.
packages=(gcc python3 python3-venv python3-dkim python3-nacl xmlsec1 dovecot-imapd dovecot-lmtpd postfix procps)
absent=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || absent+=("$package")
done
if [ ${#absent[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        # A mail server that somebody uses is not put out of the way for tests (nothing is removed), and on a machine with
        # services of its own nobody gets new ones unasked.
        if [ "${CI:-}" != true ] && [ -d /run/systemd/system ]; then
            missing "${absent[*]} (apt-get install --no-install-recommends ${absent[*]}, then disable the services \`postfix\` and \`dovecot\`: the tests start their own)"
        else
            step "installing ${absent[*]}"
            export DEBIAN_FRONTEND=noninteractive
            case " ${absent[*]} " in *" postfix "*)
                echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections ;;
            esac
            # The mail servers are started by the tests, in folders of their own: here they begin nothing.
            policy=/usr/sbin/policy-rc.d
            if [ ! -e "$policy" ]; then
                printf '#!/bin/sh\nexit 101\n' >"$policy"
                chmod +x "$policy"
                trap 'rm -f "$policy"' EXIT
            fi
            install() { timeout 900 apt-get install -y -q --no-remove --no-install-recommends "${absent[@]}"; }
            install || { timeout 300 apt-get update -q && install; }
            if [ "$(trap -p EXIT)" ]; then rm -f "$policy"; trap - EXIT; fi
        fi
    else
        missing "${absent[*]} (apt-get install ${absent[*]})"
    fi
fi

# Recorded answers of real vendors lie outside the project.
if [ -z "${CONNECTOR_FIXTURES:-}" ]; then
    for folder in ../shared/fixtures ../../shared/fixtures; do
        if [ -d "$folder" ]; then CONNECTOR_FIXTURES=$(realpath "$folder"); export CONNECTOR_FIXTURES; break; fi
    done
fi
[ -n "${CONNECTOR_FIXTURES:-}" ] || echo "CONNECTOR_FIXTURES is not set: the tests of recorded answers say so and do nothing" >&2

# A build server builds once: what makes the next build faster only fills its disk.
[ "${CI:-}" != true ] || export CARGO_INCREMENTAL=0

step "formatting"
cargo fmt --all --check

step "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings
# Sixty crates for the desktop's secret service, all in Rust; what the feature changes is in these two.
cargo clippy -p connector-host -p connector-cli --features connector-cli/keyring --all-targets --locked -- -D warnings

# What tests and examples put out is kept, and looked through for secrets at the end.
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir "$out/kept" "$out/kept/cli"
export CONNECTOR_KEEP_OUTPUT="$out/kept/cli"

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
    # Everything goes to the log, the output of tests that pass too; here only how each went.
    cargo nextest run --workspace --locked --no-fail-fast --success-output final --failure-output final 2>&1 |
        tee "$out/kept/tests.log" | { grep --line-buffered -E '^ *(PASS|FAIL|SLOW|TERMINATING|LEAK|Summary)' || true; } ||
        { cat "$out/kept/tests.log"; exit 1; }
else
    cargo test --workspace --locked --lib --bins --tests -- --show-output 2>&1 | tee "$out/kept/tests.log"
fi
unset CONNECTOR_KEEP_OUTPUT
cargo test -p connector-host --features keyring --locked --lib keyring -- --show-output 2>&1 | tee "$out/kept/keyring.log"

step "the author's path"
# The README's section, command by command, in a crate of its own. One build of the workspace's crates more.
cargo test --workspace --locked --test it -- --ignored --exact author::every_command_of_the_readme_works_from_an_empty_folder

step "doc tests"
cargo test --workspace --locked --doc -- --show-output 2>&1 | tee "$out/kept/doc.log"

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --locked --no-deps --quiet

step "examples"
cargo run --locked --quiet --example quickstart -- --contacts 5000 --accounts 500 --bronze "$out/kept/bronze" 2>&1 |
    tee "$out/kept/quickstart.log"
cargo run --locked --quiet --example resilient_client 2>&1 | tee "$out/kept/resilient_client.log"

step "interoperation"
connector-testkit/interop/run.sh "$out/kept/bronze" 2>&1 | tee "$out/kept/interop.log"

step "secrets in what was put out"
connector-testkit/canary/scan.py --self-check
connector-testkit/canary/scan.py "$out/kept"

step "all is well"
