"""Writes a fresh RSA key pair: rsa_key.py PRIVATE.pem PUBLIC.pem. Needs the `cryptography` package."""

import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
private = key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
public = key.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
for path, content in zip(sys.argv[1:3], (private, public)):
    with open(path, "wb") as file:
        file.write(content)
