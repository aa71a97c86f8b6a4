"""Compares our schemes with the vendors' own libraries, in both directions.

For each body: what a library signs, we take, and what we sign, the library takes; with one byte changed, with another
secret, and long after, neither does. The libraries read bodies as UTF-8: bodies that are none are compared with the HMAC
of Python and with `cryptography` (Ed25519).
"""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from datetime import datetime, timezone

import slack_sdk.signature
import standardwebhooks
import stripe
import svix.webhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

NOW = int(time.time())
TEXTS = [
    '{"test": 2432232314}',
    ' {"é" : "🦌\u2028", "n": 1.0}\r\n',
    '{"a":"\x00\x7f"}',
    "",
    "no json",
    "x" * 300_000,
]
BYTES = [b"\xff\xfe\x00\r\n\xc3\x28", bytes(range(256)) * 40]
SHARED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

failures = 0
checks = 0


def check(what, holds):
    global failures, checks
    checks += 1
    if not holds:
        failures += 1
        print(f"FAIL {what}", file=sys.stderr)


class Ours:
    """The example `scheme` of connector-ingress."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, question):
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def sign(self, settings, body, at=NOW, id="msg_1"):
        answer = self.ask({"sign": settings, "id": id, "at": at, "body": base64.b64encode(body).decode()})
        return answer["headers"]

    def judge(self, settings, headers, body, now=NOW):
        body = base64.b64encode(body).decode()
        return self.ask({"judge": settings, "headers": headers, "now": now, "body": body})


def takes(what, *errors):
    try:
        what()
        return True
    except errors:
        return False


def both_ways(name, ours, settings, other, sign, verify, ids=True):
    """`sign(body)` answers headers, `verify(headers, body)` whether the library takes them; `other` are the settings with
    another secret."""
    for text in TEXTS:
        label = f"{name} {text[:20]!r}"
        body = text.encode()
        theirs = sign(text)
        judged = ours.judge(settings, theirs, body)
        check(f"{label}: we take what they sign: {judged}", judged.get("status") == 200)
        if ids:
            check(f"{label}: the id", judged.get("id") == "msg_1")
        check(f"{label}: not another body", ours.judge(settings, theirs, body + b" ")["status"] == 401)
        check(f"{label}: not another secret", ours.judge(other, theirs, body)["status"] == 401)
        for late in (301, -301):
            check(f"{label}: not {late} s late", ours.judge(settings, theirs, body, NOW + late)["status"] == 401)
        said = ours.sign(settings, body)
        check(f"{label}: they take what we sign", verify(said, text))
        check(f"{label}: nor do they another body", not verify(said, text + " "))
        check(f"{label}: nor by another secret", not verify(ours.sign(other, body), text))
        check(f"{label}: nor an old one", not verify(ours.sign(settings, body, at=NOW - 400), text))
        signatures = [key for key in theirs if "signature" in key.lower()]
        for key in signatures:
            check(f"{label}: to the letter", {k.lower(): v for k, v in theirs.items()}[key.lower()] == said[key.lower()])


def standard(ours, name, module, error, prefix):
    library = module(SHARED)

    def sign(text):
        moment = datetime.fromtimestamp(NOW, tz=timezone.utc)
        signature = library.sign("msg_1", moment, text)
        return {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": str(NOW), f"{prefix}-signature": signature}

    def verify(headers, text):
        # Parsing is the caller's affair.
        def call():
            if name == "svix":
                library.verify(text.encode(), headers)
            else:
                library.verify(text.encode(), headers, json_parse=False)

        return takes(call, error)

    settings = {"scheme": name, "secrets": [SHARED]}
    both_ways(name, ours, settings, {"scheme": name, "secrets": [OTHER]}, sign, verify)
    # While a secret is changed: we sign with both, they have one; they sign with one, we have both.
    both = {"scheme": name, "secrets": [OTHER, SHARED]}
    check(f"{name}: rotation, ours", verify(ours.sign(both, b"{}"), "{}"))
    check(f"{name}: rotation, theirs", ours.judge(both, sign("{}"), b"{}")["status"] == 200)


def of_stripe(ours):
    secret = "whsec_test_secret"
    event = stripe.WebhookSignature

    def sign(text):
        return {"Stripe-Signature": event.generate_signature_header(text, secret, NOW)}

    def verify(headers, text):
        header = headers["stripe-signature"]
        return takes(
            lambda: event.verify_header(text, header, secret, tolerance=300), stripe.SignatureVerificationError
        )

    settings = {"scheme": "stripe", "secrets": [secret]}
    both_ways("stripe", ours, settings, {"scheme": "stripe", "secrets": ["another"]}, sign, verify, ids=False)
    text = '{"id": "evt_1", "object": "event", "type": "x", "data": {"object": {}}}'
    judged = ours.judge(settings, sign(text), text.encode())
    check("stripe: the id stands in the body", judged == {"status": 200, "id": "evt_1"})
    both = {"scheme": "stripe", "secrets": ["another", secret]}
    built = stripe.Webhook.construct_event(text, ours.sign(both, text.encode())["stripe-signature"], secret)
    check("stripe: an event is made of what we sign with two secrets", built.id == "evt_1")
    # Here we are stricter: their libraries let the future pass.
    future = {"Stripe-Signature": event.generate_signature_header(text, secret, NOW + 4000)}
    check("stripe: the future is refused", ours.judge(settings, future, text.encode())["status"] == 401)


def of_slack(ours):
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    verifier = slack_sdk.signature.SignatureVerifier(secret)

    def sign(text):
        signature = verifier.generate_signature(timestamp=str(NOW), body=text)
        return {"X-Slack-Request-Timestamp": str(NOW), "X-Slack-Signature": signature}

    def verify(headers, text):
        return verifier.is_valid(text, headers["x-slack-request-timestamp"], headers["x-slack-signature"])

    settings = {"scheme": "slack", "secrets": [secret]}
    other = {"scheme": "slack", "secrets": ["another"]}
    both_ways("slack", ours, settings, other, sign, verify, ids=False)


def of_bytes(ours):
    """Bodies that are no text: HMAC and Ed25519 without the libraries, which decode first."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    pair = {
        "whsk_" + base64.b64encode(private.private_bytes_raw() + public).decode(),
        "whsk_" + base64.b64encode(private.private_bytes_raw()).decode(),
    }
    takes_it = {"scheme": "standard-webhooks", "secrets": ["whpk_" + base64.b64encode(public).decode()]}
    stranger = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    other = {"scheme": "standard-webhooks", "secrets": ["whpk_" + base64.b64encode(stranger).decode()]}
    for body in [text.encode() for text in TEXTS] + BYTES:
        signed = f"msg_1.{NOW}.".encode() + body
        tag = base64.b64encode(private.sign(signed)).decode()
        theirs = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW), "webhook-signature": f"v1a,{tag}"}
        check("v1a: we take what cryptography signs", ours.judge(takes_it, theirs, body)["status"] == 200)
        check("v1a: not another body", ours.judge(takes_it, theirs, body + b"\0")["status"] == 401)
        check("v1a: not another key", ours.judge(other, theirs, body)["status"] == 401)
        for secret in pair:
            said = ours.sign({"scheme": "standard-webhooks", "secrets": [secret]}, body)["webhook-signature"]
            raw = base64.b64decode(said.removeprefix("v1a,"))
            key = Ed25519PublicKey.from_public_bytes(public)
            check("v1a: cryptography takes what we sign", takes(lambda: key.verify(raw, signed), InvalidSignature))

        digest = hmac.new(base64.b64decode(SHARED.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        theirs["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
        shared = {"scheme": "standard-webhooks", "secrets": [SHARED]}
        check("v1: any bytes", ours.judge(shared, theirs, body)["status"] == 200)
        check("v1: to the letter", ours.sign(shared, body)["webhook-signature"] == theirs["webhook-signature"])

        for settings, name, value in [
            (
                {"scheme": "github", "secrets": ["s€cret"]},
                "x-hub-signature-256",
                "sha256=" + hmac.new("s€cret".encode(), body, hashlib.sha256).hexdigest(),
            ),
            (
                {"scheme": "shopify", "secrets": ["shpss_1"]},
                "x-shopify-hmac-sha256",
                base64.b64encode(hmac.new(b"shpss_1", body, hashlib.sha256).digest()).decode(),
            ),
            (
                {
                    "scheme": "hmac",
                    "secrets": ["s"],
                    "hmac": {"header": "X-Sign", "hash": "sha512", "encoding": "base64", "prefix": "a="},
                },
                "x-sign",
                "a=" + base64.b64encode(hmac.new(b"s", body, hashlib.sha512).digest()).decode(),
            ),
        ]:
            scheme = settings["scheme"]
            headers = {name: value, "x-github-delivery": "1", "x-shopify-webhook-id": "1"}
            check(f"{scheme}: any bytes", ours.judge(settings, headers, body)["status"] == 200)
            check(f"{scheme}: not others", ours.judge(settings, headers, body + b"\n")["status"] == 401)
            check(f"{scheme}: to the letter", ours.sign(settings, body)[name] == value)

        zendesk = {
            "scheme": "hmac",
            "secrets": ["s"],
            "hmac": {
                "header": "X-Zendesk-Webhook-Signature",
                "encoding": "base64",
                "signed": "{timestamp}{body}",
                "timestamp_header": "X-Zendesk-Webhook-Signature-Timestamp",
                "timestamp_format": "rfc3339",
            },
        }
        sent = datetime.fromtimestamp(NOW, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        digest = hmac.new(b"s", sent.encode() + body, hashlib.sha256).digest()
        headers = {
            "X-Zendesk-Webhook-Signature": base64.b64encode(digest).decode(),
            "X-Zendesk-Webhook-Signature-Timestamp": sent,
        }
        check("zendesk: as its pages say", ours.judge(zendesk, headers, body)["status"] == 200)
        check("zendesk: not later", ours.judge(zendesk, headers, body, NOW + 301)["status"] == 401)


def main():
    ours = Ours(sys.argv[1])
    standard(
        ours, "standard-webhooks", standardwebhooks.Webhook, standardwebhooks.WebhookVerificationError, "webhook"
    )
    standard(ours, "svix", svix.webhooks.Webhook, svix.webhooks.WebhookVerificationError, "svix")
    # Svix takes either name, and so do we.
    theirs = svix.webhooks.Webhook(SHARED).sign("msg_1", datetime.fromtimestamp(NOW, tz=timezone.utc), "{}")
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW), "webhook-signature": theirs}
    check("svix: the other names", ours.judge({"scheme": "svix", "secrets": [SHARED]}, headers, b"{}")["status"] == 200)
    of_stripe(ours)
    of_slack(ours)
    of_bytes(ours)
    ours.process.stdin.close()
    check("the example ends in order", ours.process.wait(timeout=10) == 0)
    if failures:
        sys.exit(f"{failures} of {checks} checks failed")
    print(f"ok: {checks} checks of signing and judging, with standardwebhooks, svix, stripe, slack_sdk and cryptography")


main()
