#!/usr/bin/env python3
"""Looks for secrets of the tests and of the fakes in what the tests have put out.

    scan.py FILE_OR_FOLDER...     exit status 1 when one is found; the place is named, never the secret
    scan.py --self-check          plants each kind of secret in each form, and expects to find it

It looks through the text as it is, and without percent-encoding, escapes and base64.
"""

import base64
import json
import os
import re
import sys
import tempfile
import urllib.parse

# Secrets that are always the same text. Tests that need one take one of these.
CANARY = "canary-7f3a9c"
FIXED = [
    CANARY,
    "hunter2",
    "s3cret",
    "fake-consumer-secret",
    "fake-next-consumer-secret",
    "fake-password",
    "fakeSecurityToken",
]
# Secrets that differ from run to run, and what they look like.
DRAWN = {
    "access token of the fake org": rb"00D[A-Za-z0-9]{12}!AQ[A-Za-z0-9_.-]{8}",
    "refresh token of the fake org": rb"5Aep861[A-Za-z0-9_.-]{8}",
    "private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[A-Za-z0-9+/]{16}",
    "bearer token": rb"(?i)authorization: *bearer +[A-Za-z0-9._~+/-]{6}",
    "user and password": rb"(?i)authorization: *basic +[A-Za-z0-9+/]{6}",
}
# What may be base64 of something longer than a word.
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")


def forms(secret):
    """The text itself, and in base64 at each of its three places."""
    text = secret.encode()
    yield text
    for lead in range(3):
        encoded = base64.b64encode(b"\0" * lead + text)
        # Without the letters that are made of what stands before and after it.
        yield encoded[[0, 2, 3][lead]:].rstrip(b"=")[:-1]


def decoded(content):
    """What is in base64 in it: each run of its letters, begun at each of four places."""
    for run in BASE64.findall(content):
        run = run.translate(bytes.maketrans(b"-_", b"+/"))
        for lead in range(4):
            cut = run[lead:]
            cut = cut[:len(cut) // 4 * 4]
            if cut:
                yield base64.b64decode(cut)


def views(content):
    """The content as it is, and without its encodings, each with what it is called."""
    yield "", content
    plain = urllib.parse.unquote_to_bytes(content) if b"%" in content else content
    if plain != content:
        yield " (percent-encoded)", plain
    escapes = re.sub(rb"\\+u00([0-7][0-9a-fA-F])", lambda found: bytes([int(found[1], 16)]), plain)
    escapes = re.sub(rb"\\+([\"'/])", rb"\1", re.sub(rb"\\+n", b"\n", escapes))
    if escapes != plain:
        yield " (escaped)", escapes
    yield " (in base64)", b"\n".join(decoded(plain))


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
        for how, view in views(content):
            for name, pattern in searched:
                hit = pattern.search(view)
                if hit:
                    line = view.count(b"\n", 0, hit.start()) + 1 if not how else "?"
                    places.append(f"{path}:{line}: {name}{how}")
    return seen, places


def planted():
    """Each kind of secret in each form that a program may put it out in."""
    token, refresh = "00D5e0000000001!AQabcdefghij", "5Aep861abcdefghij"
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAxyz"
    for secret in [*FIXED, token, refresh, key]:
        text = secret.encode()
        yield text
        yield urllib.parse.quote(secret, safe="").encode()
        yield "".join(f"%{byte:02x}" for byte in text).encode()
        yield json.dumps(secret)[1:-1].encode()
        yield "".join(f"\\u{byte:04x}" for byte in text).encode()
        for lead in range(3):
            # With what stands around it where user and password are one text.
            around = b"user:"[:lead] + text + b":more"
            yield base64.b64encode(around)
            yield base64.urlsafe_b64encode(around).rstrip(b"=")
            yield urllib.parse.quote(base64.b64encode(around).decode(), safe="").encode()
    for prose in ["password {} was wrong", "token: {}", "secret {}: refused", "\"{}\"", "token={}&a", "x{}-t1"]:
        yield prose.format(CANARY).encode()
    yield b"Authorization: Bearer abcdef123"
    yield b"authorization: Basic dXNlcjpwYXNz"


def self_check():
    clean = [
        "PASS [   0.1s] connector-sdk::it auth::canary::no_debug_shows_a_secret",
        "    running connector-sdk/tests/it/auth/canary.rs",
        "secret [secret] token canary_tests ok, and the canary sings",
        "a/long/path/of/base64/letters/connector/sdk/tests/it/auth/canary and 0123456789abcdef0123456789abcdef",
    ]
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "output")
        with open(path, "w") as file:
            file.write("\n".join(clean) + "\n")
        if scan([folder]) != (1, []):
            sys.exit(f"what is no secret is taken for one: {scan([folder])[1]}")
        for secret in planted():
            count += 1
            with open(path, "wb") as file:
                file.write(b"\0\xff some output 100%\n" + secret + b"\n")
            if not scan([folder])[1]:
                sys.exit(f"planted, and not found: {secret!r}")
    print(f"the scan finds each of {count} planted secrets")


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
