# Certificates and keys that came as text, made DER as mbedTLS takes it on every board.
#
#   ders = authorities([("ca 1", text), ...])        # CAs, each with its name in messages
#   cert, key = pair(cert_text, key_text)            # the board's own, for mutual TLS
#   ders = artifact_keys([("key 1", text), ...])     # public keys to verify Artifacts with
#
# A text is PEM, or base64 of DER (white space in it is allowed), never a path. Every certificate
# is tried in a TLS context, and every public key read, before anybody keeps it.
#
# Limits: 8 CAs and 8 public keys, 4096 bytes of DER each. TLS takes one certificate from DER: of a
# client's chain only the first is kept, so the server has to know the CA that signed it. No
# encrypted keys. Dates are not looked at: the clock may not be set yet.
# SPDX-License-Identifier: MIT

from micropython import const

from .errors import Rejected

_MAX_COUNT = const(8)
_MAX_DER = const(4096)  # a key of RSA-4096 has 2.4 KB, a certificate rarely more
_VERSION = const(0xA0)
# Labels of PEM (RFC 7468, RFC 5915, RFC 8017).
_CERTIFICATE = ("CERTIFICATE",)
_PRIVATE_KEYS = ("PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY")
_PUBLIC_KEYS = ("PUBLIC KEY", "RSA PUBLIC KEY")


def authorities(texts):
    """A list of DER, one for each different CA in `texts`; PEM may hold several.

    Rejected, saying which, for what is no certificate, and for more than this board takes.
    """
    ders = []
    for what, text in texts:
        for der in _ders(what, text, _CERTIFICATE):
            _try(what, _context().load_verify_locations, der)
            if der not in ders:
                ders.append(der)
    return _few("CA certificates", ders)


def artifact_keys(texts):
    """A list of DER: the public keys, P-256 or RSA, in `texts`. Raises as authorities() does."""
    from .crypto.public import load

    ders = []
    for what, text in texts:
        for der in _ders(what, text, _PUBLIC_KEYS):
            try:
                load(der)
            except Rejected as error:
                raise _refused(what, "a public key", str(error))
            ders.append(der)
    return _few("artifact_verify_keys", ders)


def pair(cert, key):
    """(certificate, key) as DER, of two texts.

    Rejected if one is empty or is not what it has to be, or if they do not belong together:
    mbedTLS does not look, and the server's refusal says nothing. That takes one public-key
    operation for P-256; other curves are not compared.
    """
    if cert == "" or key == "":
        given, missing = ("key", "cert") if cert == "" else ("cert", "key")
        raise Rejected(f"configuration: client_{given}: expected a client_{missing} too, got none")
    cert = _ders("client_cert", cert, _CERTIFICATE)[0]
    key = _ders("client_key", key, _PRIVATE_KEYS)[0]
    _try("client_cert", _context().load_verify_locations, cert)
    _try("client_key", _context().load_cert_chain, cert, key)
    belong(cert, key)
    return cert, key


def _refused(what, expected, came):
    # Never what came itself: it may be a key.
    return Rejected(f"configuration: {what}: expected {expected}, got {came}")


def _few(what, ders):
    if len(ders) > _MAX_COUNT:
        raise _refused(what, f"at most {_MAX_COUNT}", str(len(ders)))
    return ders


def _ders(what, text, labels):
    """The DERs of a text, at least one. labels: those that its PEM may have."""
    found = []
    for label, der in _blocks(what, text, labels[0]):
        if label == "EC PARAMETERS":
            continue  # `openssl ecparam -genkey` writes them before the key
        if label not in labels:
            raise _refused(what, f"PEM of {' or '.join(labels)}", label)
        _check_der(what, der)
        found.append(der)
    if not found:
        raise _refused(what, f"PEM of {' or '.join(labels)}", "EC PARAMETERS")
    return found


def _blocks(what, text, label):
    """[(label, bytes)] of a text; `label` is what base64 alone counts as."""
    if not isinstance(text, str):
        raise _refused(what, "PEM or base64 of DER", type(text).__name__)
    from .crypto.pem import from_pem

    in_pem = "-----" in text
    if not in_pem:  # made PEM: there is one reader of base64, and a strict one
        text = f"-----BEGIN {label}-----\n{text}\n-----END {label}-----"
    try:
        return from_pem(text.encode())
    except Rejected as error:
        came = str(error) if in_pem else "something else"
        raise _refused(what, "PEM or base64 of DER, no path", came)


def _check_der(what, data):
    from .crypto.der import Reader

    if len(data) > _MAX_DER:
        raise _refused(what, f"at most {_MAX_DER} bytes of DER", str(len(data)))
    outer = Reader(data, f"configuration: {what}")
    outer.sequence()
    outer.end()


def _context():
    import tls

    return tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)


def _try(what, load, *ders):
    try:
        load(*ders)
    except (OSError, ValueError) as error:
        # The text is mbedTLS's own: it names what is wrong, never the key.
        raise _refused(what, "DER that TLS takes", str(error))


def belong(cert, key):
    """Raise Rejected if `key` is not the key of `cert`, both DER that TLS takes; other keys than
    RSA and P-256 pass."""
    from .crypto import keys, pem
    from .crypto.der import SEQUENCE, Reader

    info = _public_info(cert)
    if not _is_ours(info):
        return
    try:
        text = keys.run(keys.load(key).public_pem())
    except Rejected as error:
        raise _refused("client_key", "the key of client_cert", str(error))
    own = Reader(pem.from_pem(text.encode())[0][1]).element(SEQUENCE)
    if bytes(own) != info:
        raise _refused("client_key", "the key of client_cert", "another's")


def _public_info(cert):
    """The contents of a certificate's SubjectPublicKeyInfo (RFC 5280 section 4.1)."""
    from .crypto.der import INTEGER, SEQUENCE, Reader

    fields = Reader(cert, "configuration: client_cert").sequence().sequence()
    if fields.peek() == _VERSION:
        fields.element(_VERSION)
    for tag in (INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE):
        fields.element(tag)  # serial number, signature algorithm, issuer, validity, subject
    return bytes(fields.element(SEQUENCE))


def _is_ours(info):
    """Whether crypto/keys.py can make the same of the private key."""
    from .crypto import oids
    from .crypto.der import Reader

    algorithm = Reader(info).sequence()
    kind = algorithm.oid()
    return kind == oids.RSA or (kind == oids.EC and algorithm.oid() == oids.P256)
