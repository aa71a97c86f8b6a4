#!/usr/bin/env python3
"""Looks for secrets of the tests and of the fakes in what the tests have put out.

    scan.py FILE_OR_FOLDER...     exit status 1 when one is found; the place is named, never the secret
    scan.py --self-check          plants each kind of secret in each form, and expects to find it
"""

import base64
import os
import re
import sys
import tempfile
import urllib.parse

# Secrets that are always the same text. Tests that need one take one of these.
FIXED = [
    "hunter2",
    "fake-consumer-secret",
    "fake-next-consumer-secret",
    "fake-password",
    "fakeSecurityToken",
]
# Secrets that differ from run to run; what follows `canary` in names of tests and files is no secret.
DRAWN = {
    "access token of the fake org": rb"00D[A-Za-z0-9]{12}!AQ[A-Za-z0-9_.-]{8}",
    "refresh token of the fake org": rb"5Aep861[A-Za-z0-9_.-]{8}",
    "canary": rb"canary(?!::|\.rs|[a-z_]*\b(?:\s|$|:))|(?<=[\"'=])canary",
    "private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[A-Za-z0-9+/]{16}",
    "bearer token": rb"(?i)authorization: *bearer +[A-Za-z0-9._~+/-]{6}",
}


def forms(secret):
    """The text itself, percent-encoded, and in base64 at each of its three places."""
    text = secret.encode()
    yield text
    quoted = urllib.parse.quote(secret, safe="").encode()
    if quoted != text:
        yield quoted
    for lead in range(3):
        encoded = base64.b64encode(b"\0" * lead + text)
        # Without the letters that are made of what stands before and after it.
        yield encoded[[0, 2, 3][lead]:].rstrip(b"=")[:-1]


def patterns():
    found = [(f"secret no. {number}", re.escape(form)) for number, secret in enumerate(FIXED, 1) for form in forms(secret)]
    return [(name, re.compile(pattern)) for name, pattern in found + list(DRAWN.items())]


def files(paths):
    for path in paths:
        if os.path.isdir(path):
            for folder, _, names in os.walk(path):
                yield from (os.path.join(folder, name) for name in names)
        elif os.path.exists(path):
            yield path
        else:
            sys.exit(f"there is no {path} to look into")


def scan(paths):
    searched, seen = patterns(), 0
    places = []
    for path in files(paths):
        with open(path, "rb") as file:
            content = file.read()
        seen += 1
        for name, pattern in searched:
            hit = pattern.search(content)
            if hit:
                line = content.count(b"\n", 0, hit.start()) + 1
                places.append(f"{path}:{line}: {name}")
    return seen, places


def self_check():
    clean = [
        "PASS [   0.1s] connector-sdk::it auth::canary::no_debug_shows_a_secret",
        "    running connector-sdk/tests/it/auth/canary.rs",
        "secret [secret] token canary_tests ok",
    ]
    planted = [form for secret in FIXED for form in forms(secret)]
    planted += [
        b"token=canary-t1 ", b"\"canary\"", b"00D5e0000000001!AQabcdefghij", b"5Aep861abcdefghij", b"canary-query",
        b"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAxyz", b"Authorization: Bearer abcdef123",
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "output")
        with open(path, "w") as file:
            file.write("\n".join(clean) + "\n")
        if scan([folder]) != (1, []):
            sys.exit(f"what is no secret is taken for one: {scan([folder])[1]}")
        for secret in planted:
            with open(path, "wb") as file:
                file.write(b"\0\xff some output\n" + secret + b"\n")
            if not scan([folder])[1]:
                sys.exit(f"planted, and not found: {secret!r}")
    print(f"the scan finds each of {len(planted)} planted secrets")


def main(arguments):
    if arguments == ["--self-check"]:
        return self_check()
    if not arguments:
        sys.exit(__doc__)
    seen, places = scan(arguments)
    if places:
        sys.exit("secrets in the output of the tests:\n" + "\n".join(places))
    print(f"no secret in {seen} files")


main(sys.argv[1:])
