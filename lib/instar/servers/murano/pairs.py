# New client certificates for products that authenticate by them. In the heap only for that.
#
#   headers = await replace(murano, pem_text, key_der)     # always {}: TLS authenticates
#   headers = await other(murano)                          # a 401: is there another certificate?
#
# The new pair is stored as `client-new` before it is sent, and moved to `client` once the server
# has taken it, where Settings.client_certificate() looks first. A cut between leaves both, and the
# next 401 finds out.
# Limits: whether the certificate names this identity is not checked.
# SPDX-License-Identifier: MIT

from ... import memory
from ...errors import Rejected, Unauthorised
from .activation import ACTIVATE, is_final, works
from .credentials import pack_pair, unpack_pair

_NEW = "client-new"
_PAIR = "client"
_PEM = {"Content-Type": "application/x-pem-file; charset=utf-8"}


async def replace(murano, certificate, key):
    """Have the server take another certificate: PEM text, and its key in DER.

    Raises Rejected where they are none, before anything is sent; else as renew() does.
    """
    cert = _checked(certificate, key)
    store = murano.settings.store
    if store.get(_NEW) and not await works(murano, {}):
        await other(murano)  # the one in use: it must not be written over
    store.put(_NEW, pack_pair(cert, key))
    response = await murano.send("POST", ACTIVATE, {}, _PEM, certificate, idempotent=False)
    if response.status_code == 204:
        store.move(_NEW, _PAIR)
        murano.client.present(cert, key)
        return {}
    if is_final(response.status_code):
        store.delete(_NEW)
    murano.check(response, "reprovision", 204)


async def other(murano):
    """{} if the pair that waits in the store is the one that the server takes. Raises
    Unauthorised if it is not, or if there is none."""
    store = murano.settings.store
    if pair := store.get(_NEW):
        taken = False
        murano.client.present(*unpack_pair(pair))
        try:
            taken = await works(murano, {})
        finally:
            if not taken:
                murano.client.present(*murano.settings.client_certificate())
        if taken:
            store.move(_NEW, _PAIR)
            return {}
    text = "identity %s: expected %s to take the client certificate, got 401: its subject's CN has"
    text += " to be the identity; an operator may have to reset the identity there"
    raise Unauthorised(text % (murano.identity, murano.domain))


def _checked(certificate, key):
    # The DER of the first certificate in the PEM text.
    import tls

    from ...crypto.pem import from_pem

    try:
        label, cert = from_pem((certificate or "").encode())[0]
        if label != "CERTIFICATE":
            raise Rejected("reprovision: expected a PEM of CERTIFICATE, got %s" % label)
        tls.SSLContext(tls.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key or b"")
        _check_key(cert, key)
        return cert
    except (OSError, ValueError) as error:
        # The text is mbedTLS's own: it names what is wrong, never the key.
        raise Rejected("reprovision: expected a certificate and a key for TLS, got %s" % error)
    finally:
        memory.forget("instar.certificates")
        memory.forget("instar.crypto")


def _check_key(cert, key):
    from ...certificates import belong

    try:
        belong(cert, key)
    except Rejected:
        raise Rejected("reprovision: expected the key of the certificate, got another one")
