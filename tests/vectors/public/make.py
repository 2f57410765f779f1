"""Writes the public keys and signatures of this folder, with `cryptography`.

    .venv/bin/python tests/vectors/public/make.py

The good keys are the public halves of those in tests/vectors/keys; signatures.json has, for each
of them, what a verifier must take and what it must not. The keys in refused/ are new in each run,
and so are the signatures by ECDSA; the tests do not depend on them.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

HERE = Path(__file__).parent
KEYS = HERE.parent / "keys"
REFUSED = HERE / "refused"
MESSAGE = b"0" * 64 + b"  version\n"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SPKI = PublicFormat.SubjectPublicKeyInfo


def write_key(path: Path, key) -> None:
    encoding = Encoding.DER if path.suffix == ".der" else Encoding.PEM
    form = PublicFormat.PKCS1 if "pkcs1" in path.name else SPKI
    path.write_bytes(key.public_bytes(encoding, form))


def refused() -> None:
    curves = {"p384": ec.SECP384R1(), "p521": ec.SECP521R1(), "secp256k1": ec.SECP256K1()}
    for name, curve in curves.items():
        write_key(REFUSED / f"{name}.pem", ec.generate_private_key(curve).public_key())
    write_key(REFUSED / "ed25519.pem", ed25519.Ed25519PrivateKey.generate().public_key())
    for bits in (1024, 4104):
        key = rsa.generate_private_key(65537, bits).public_key()
        write_key(REFUSED / f"rsa{bits}.der", key)


def row(key: str, what: str, signature: bytes, good: bool) -> dict:
    text = base64.b64encode(signature).decode()
    return {"key": key, "what": what, "signature": text, "good": good}


def ecdsa_rows(key) -> list[dict]:
    name = "p256.pem"
    der = key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    other = key.sign(MESSAGE + b"x", ec.ECDSA(hashes.SHA256()))
    sha512 = key.sign(MESSAGE, ec.ECDSA(hashes.SHA512()))
    foreign = ec.generate_private_key(ec.SECP256R1()).sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return [
        row(name, "DER", der, True),
        row(name, "raw", raw, True),
        row(name, "s mirrored", encode_dss_signature(r, ORDER - s), True),
        row(name, "of another message", other, False),
        row(name, "over SHA-512", sha512, False),
        row(name, "by another key", foreign, False),
        row(name, "r and s changed over", raw[32:] + raw[:32], False),
        row(name, "raw, little-endian", raw[31::-1] + raw[:31:-1], False),
    ]


def rsa_rows(name: str, key) -> list[dict]:
    good = key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    other = key.sign(MESSAGE + b"x", padding.PKCS1v15(), hashes.SHA256())
    sha512 = key.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA512())
    salted = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    return [
        row(name, "PKCS#1 v1.5", good, True),
        row(name, "of another message", other, False),
        row(name, "over SHA-512", sha512, False),
        row(name, "PSS", key.sign(MESSAGE, salted, hashes.SHA256()), False),
    ]


def main() -> None:
    key = load_pem_private_key((KEYS / "p256-sec1.pem").read_bytes(), None)
    write_key(HERE / "p256.pem", key.public_key())
    write_key(HERE / "p256.der", key.public_key())
    rows = ecdsa_rows(key)
    for bits in (2048, 3072, 4096):
        key = load_pem_private_key((KEYS / f"rsa{bits}-pkcs1.pem").read_bytes(), None)
        write_key(HERE / f"rsa{bits}.pem", key.public_key())
        rows += rsa_rows(f"rsa{bits}.pem", key)
        if bits == 2048:
            write_key(HERE / "rsa2048.der", key.public_key())
            write_key(HERE / "rsa2048-pkcs1.pem", key.public_key())
            write_key(HERE / "rsa2048-pkcs1.der", key.public_key())
    text = json.dumps({"message": MESSAGE.decode(), "signatures": rows}, indent=1)
    (HERE / "signatures.json").write_text(text + "\n")
    refused()


if __name__ == "__main__":
    main()
