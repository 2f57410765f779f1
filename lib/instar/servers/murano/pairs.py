# New client certificates for products that authenticate by them. In the heap only for that.
#
#   headers = await replace(murano, pem_text, key_der)     # always {}: TLS authenticates
#   headers = await other(murano)                          # a 401: is there another certificate?
#
# The new pair is stored as NEW before it is sent, and moved to PAIR once the server has taken it,
# where Murano looks at each start; it has precedence over the settings' own. A cut between leaves
# both, and the next 401 finds out. The settings' own is then tried as well: it may be newer.
# Limits: whether the certificate names this identity is not checked.
# SPDX-License-Identifier: MIT

from ... import memory
from ...errors import Rejected, Unauthorised
from .activation import ACTIVATE, is_final, works
from .credentials import NEW, PAIR, pack_pair, record_name, stored_pair

_PEM = {"Content-Type": "application/x-pem-file; charset=utf-8"}


async def replace(murano, certificate, key):
    """Have the server take another certificate: PEM text, and its key in DER.

    Raises Rejected where they are none, before anything is sent; else as renew() does.
    """
    cert = _checked(certificate, key)
    store = murano.settings.store
    new = record_name(NEW, murano.url, murano.identity)
    if stored_pair(murano, NEW) and not await works(murano, {}):
        await other(murano)  # the one in use: it must not be written over
    store.put(new, pack_pair(cert, key))
    response = await murano.send("POST", ACTIVATE, {}, _PEM, certificate, idempotent=False)
    if response.status_code == 204:
        store.move(new, record_name(PAIR, murano.url, murano.identity))
        murano.client.present(cert, key)
        return {}
    if is_final(response.status_code):
        store.delete(new)
    murano.check(response, "reprovision", 204)


async def other(murano):
    """{} if the server takes another pair than the one in use: the one that waits in the store,
    or the settings' own. Raises Unauthorised if it does not, or if there is none."""
    store = murano.settings.store
    new, pair = [record_name(kind, murano.url, murano.identity) for kind in (NEW, PAIR)]
    waiting, kept = stored_pair(murano, NEW), stored_pair(murano, PAIR)
    own = murano.settings.client_certificate()
    if waiting and await _takes(murano, waiting, kept or own):
        store.move(new, pair)
        return {}
    if kept and own[0] and own != kept and await _takes(murano, own, kept):
        store.delete(pair)
        return {}
    text = "identity %s: expected %s to take the client certificate, got 401: its subject's CN has"
    text += " to be the identity; an operator may have to reset the identity there"
    raise Unauthorised(text % (murano.identity, murano.domain))


async def _takes(murano, pair, former):
    # Whether the server takes `pair`: then it is presented from now on, else `former` is again.
    taken = False
    murano.client.present(*pair)
    try:
        taken = await works(murano, {})
    finally:
        if not taken:
            murano.client.present(*former)
    return taken


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
