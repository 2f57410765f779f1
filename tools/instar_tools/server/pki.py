"""Certificates of the development server: a CA made once in a folder, server certificates at will.

EC P-256 throughout: the smallest handshake a board can verify. Private keys are written with
mode 0600. Nothing here is fit for production: the CA's key lies beside what it signs.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_DAY = dt.timedelta(days=1)


def write_secret(path: Path, data: bytes) -> None:
    """Write ``data`` so that only this user can read it, from the first byte on."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(data)


def private_pem(key) -> bytes:
    """A private key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class Authority:
    """A CA in ``folder``: NAME.pem, NAME.der and NAME-key.pem, made if they are not there."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder, self.name = folder, name
        self.pem, self.der = folder / f"{name}.pem", folder / f"{name}.der"
        self._key_path = folder / f"{name}-key.pem"
        if not self.pem.exists():
            self._create()
        self.certificate = x509.load_pem_x509_certificate(self.pem.read_bytes())
        key = serialization.load_pem_private_key(self._key_path.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"instar development {self.name}")
        now = dt.datetime.now(dt.timezone.utc)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            _builder(name, name, key.public_key(), now - _DAY, now + 3650 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )
        write_secret(self._key_path, private_pem(key))
        self.der.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
        self.pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the CA certificate, as openssl prints it."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def server_context(
        self,
        names: list[str],
        validity: tuple[dt.datetime, dt.datetime] | None = None,
    ) -> ssl.SSLContext:
        """A TLS context with a new certificate for ``names`` (host names and addresses).

        validity: its first and last moment; a year from yesterday if not said. Tests of expired
        certificates say so.
        """
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
        use = ExtendedKeyUsageOID.SERVER_AUTH
        chain, key = self._issue(names[0], use, validity, alternatives)
        path = self.folder / f"{self.name}-server.pem"
        write_secret(path, key + chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(path)
        return context

    def demand(self, context: ssl.SSLContext) -> None:
        """Let a server's ``context`` let in only who has a certificate of this CA."""
        context.load_verify_locations(self.pem)
        context.verify_mode = ssl.CERT_REQUIRED

    def client_certificate(self, name: str) -> tuple[bytes, bytes]:
        """A new certificate for a client called ``name``, and its key; both PEM."""
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _issue(
        self,
        name: str,
        use: x509.ObjectIdentifier,
        validity: tuple[dt.datetime, dt.datetime] | None = None,
        *more: x509.ExtensionType,
    ) -> tuple[bytes, bytes]:
        now = dt.datetime.now(dt.timezone.utc)
        start, end = validity or (now - _DAY, now + 365 * _DAY)
        key = ec.generate_private_key(ec.SECP256R1())
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(_name(name), self.certificate.subject, key.public_key(), start, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), False)
            .add_extension(signer, False)
        )
        for extension in more:
            builder = builder.add_extension(extension, False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), private_pem(key)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(subject, issuer, public_key, start, end) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
