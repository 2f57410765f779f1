"""Who a Murano device is, and how it comes to its credentials.

    POST /provision/activate    id=<identity>[&password=...]    -> 200 the token, or 204

A product knows its devices by a token, by a password or by a TLS client certificate, never by
two of them. What the documents leave open is said to be assumed, here as everywhere.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import re
import secrets
import string
from typing import TYPE_CHECKING

from aiohttp import web
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from .murano_form import Refused, is_encoded, name, split

if TYPE_CHECKING:
    from .murano import Service

TOKEN_LENGTH = 40
MIN_PASSWORD = 20
FORM_TYPE = "application/x-www-form-urlencoded"
PEM_TYPE = "application/x-pem-file"
_BASE62 = string.ascii_letters + string.digits


class Access:
    """Of one product's devices."""

    def __init__(self, service: Service) -> None:
        self.service, self.identities = service, service.identities

    def identify(self, request: web.Request) -> str:
        """The identity of whoever asks.

        Raises:
            Refused: 401, there are no credentials, they are wrong, or of another kind than the
                product's.
        """
        if self.service.product.auth == "certificate":
            return self._bearer_of(_certificate(request))
        wants_name = self.service.product.auth == "password"
        for claimed, secret in _claims(request) or []:
            bearers = self.identities.bearers(secret)
            if wants_name and claimed in bearers:
                return claimed
            if not wants_name and not claimed and bearers:
                return bearers[0]
        raise Refused(401, "missing or invalid credentials")

    def _bearer_of(self, certificate: x509.Certificate) -> str:
        """The certificate's identity, provisioned now if it is the first that comes with it."""
        identity, secret = _common_name(certificate), _der(certificate)
        if identity not in self.identities.bearers(secret):
            try:
                self._admit(identity)
            except Refused as refused:  # 401 for all of them is assumed
                raise Refused(401, refused.text) from None
            self._provision(identity, secret)
        return identity

    def _admit(self, identity: str) -> None:
        """Whether a device without credentials may have some.

        Raises:
            Refused: 400 (assumed), 404 or 409.
        """
        product = self.service.product
        pattern = product.identity_format
        if not identity or (pattern and not re.fullmatch(pattern, identity)):
            raise Refused(400, "the identity is not of the product's format")
        if product.whitelist and not self.identities.is_known(identity):
            raise Refused(404, "the identity is not whitelisted")
        if self.identities.is_provisioned(identity):
            raise Refused(409, "the identity is provisioned already")

    def _provision(self, identity: str, secret: bytes, keep_old: bool = False) -> None:
        self.identities.provision(identity, secret, keep_old)
        self.identities.note(identity, {"type": "provisioned"})

    async def activate(self, request: web.Request) -> web.Response:
        """Provision; or provision anew, where the request has credentials."""
        if self.service.product.auth == "certificate":
            return await self._replace(request)
        if request.content_type != FORM_TYPE:
            raise Refused(415, f"expected Content-Type: {FORM_TYPE}")
        identity, password = _who(await request.read())
        if _claims(request) is None:
            self._admit(identity)
        elif self.identify(request) != identity:
            raise Refused(401, "these are credentials of another identity")  # assumed
        return self._credit(identity, password)

    def _credit(self, identity: str, password: bytes) -> web.Response:
        product = self.service.product
        if product.auth == "token":
            token = new_token(product.token)
            self._provision(identity, token.encode(), product.keeps_old_token)
            return web.Response(text=token)
        if len(password.decode(errors="replace")) < MIN_PASSWORD:  # assumed
            raise Refused(400, f"expected a password of at least {MIN_PASSWORD} characters")
        self._provision(identity, password, product.keeps_old_token)
        return web.Response(status=204, reason="OK")  # the document's words

    async def _replace(self, request: web.Request) -> web.Response:
        """The certificate in the body is the only good one from now on."""
        identity = self.identify(request)
        if request.content_type != PEM_TYPE:
            raise Refused(415, f"expected Content-Type: {PEM_TYPE}")
        authority = self.service.server.ca.certificate
        try:
            certificate = x509.load_pem_x509_certificate(await request.read())
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):  # assumed
            raise Refused(400, "expected a PEM certificate of this server's CA") from None
        if _common_name(certificate) != identity:  # assumed
            raise Refused(400, "the certificate's CN is not the identity")
        self._provision(identity, _der(certificate))
        return web.Response(status=204, reason="OK")


def new_token(alphabet: str) -> str:
    if alphabet == "hex":
        return secrets.token_hex(TOKEN_LENGTH // 2)
    return "".join(secrets.choice(_BASE62) for _ in range(TOKEN_LENGTH))


def _who(body: bytes) -> tuple[str, bytes]:
    """(identity, password) of an activation's form."""
    raw = dict(pair.partition(b"=")[::2] for pair in body.split(b"&"))
    fields = dict(split(body))
    # Clients from before Murano send vendor, model and sn.
    key = b"id" if b"id" in fields else b"sn"
    if not is_encoded(raw.get(key, b"")):  # assumed: an identity is often a MAC with colons
        raise Refused(400, "the identity is not form-encoded")
    return name(fields.get(key, b"")), fields.get(b"password", b"")


def _claims(request: web.Request) -> list[tuple[str, bytes]] | None:
    """(identity, secret) as the headers may be read; a token comes with the identity "".

    None: they name nobody; []: they make no sense.
    """
    token = request.headers.get("X-Exosite-CIK")
    if token is not None:
        return [("", token.encode(errors="surrogateescape"))]
    given = request.headers.get("Authorization")
    if given is None:
        return None
    scheme, _, rest = given.partition(" ")
    if scheme.lower() == "token":
        return [("", rest.encode(errors="surrogateescape"))]
    return _pairs(rest) if scheme.lower() == "basic" else []


def _pairs(encoded: str) -> list[tuple[str, bytes]]:
    """What base64(identity:secret) may mean: a MAC address has colons, and so may a password
    (assumed: HTTP allows no colon in a name, the document does not speak of it)."""
    try:
        parts = base64.b64decode(encoded, validate=True).split(b":")
    except ValueError:
        return []
    ends = range(1, len(parts))
    return [(b":".join(parts[:e]).decode(errors="replace"), b":".join(parts[e:])) for e in ends]


def _certificate(request: web.Request) -> x509.Certificate:
    """What the client proved itself by; the listener lets nobody in without one."""
    assert request.transport is not None
    tls = request.transport.get_extra_info("ssl_object")
    return x509.load_der_x509_certificate(tls.getpeercert(True))


def _common_name(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
