"""Writes the certificates and keys of this folder, with `cryptography`.

    .venv/bin/python tests/vectors/magistrala-certs/make.py

Two CAs, and clients of the first one, as an operator would give them to a Bootstrap service: PEM,
valid to 2099. The keys are new in each run; the tests do not depend on them.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

HERE = Path(__file__).parent


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def certificate(subject: str, key, issuer: str, issuer_key, ca: bool) -> x509.Certificate:
    builder = x509.CertificateBuilder(name(issuer), name(subject), key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(datetime.datetime(2020, 1, 1))
    builder = builder.not_valid_after(datetime.datetime(2099, 12, 31))
    builder = builder.add_extension(x509.BasicConstraints(ca, None), True)
    return builder.sign(issuer_key, hashes.SHA256())


def write_certificate(path: str, made: x509.Certificate) -> None:
    (HERE / path).write_bytes(made.public_bytes(Encoding.PEM))


def write_key(path: str, key, form=PrivateFormat.PKCS8) -> None:
    (HERE / path).write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))


def main() -> None:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    write_certificate("ca.pem", certificate("instar CA", ca_key, "instar CA", ca_key, True))
    rsa_key = rsa.generate_private_key(65537, 2048)
    write_certificate("ca-rsa.pem", certificate("RSA CA", rsa_key, "RSA CA", rsa_key, True))
    clients = {
        "client": ec.generate_private_key(ec.SECP256R1()),
        "client-rsa": rsa.generate_private_key(65537, 2048),
        "client-p384": ec.generate_private_key(ec.SECP384R1()),
    }
    for client, key in clients.items():
        write_certificate(f"{client}.pem", certificate(client, key, "instar CA", ca_key, False))
        write_key(f"{client}-key.pem", key)
    write_key("client-key-sec1.pem", clients["client"], PrivateFormat.TraditionalOpenSSL)


if __name__ == "__main__":
    main()
