# Whom a TLS connection trusts, and why it did not.
#
#   context = tls_context([ca_der], cert=None, key=None)
#   raise explained("updates.example:443", error)      # of a handshake
#
# Needed once for each client, and after a failure: it is imported then, and unloaded again.
# SPDX-License-Identifier: MIT

import time

from ..errors import Rejected, Transient, Untrusted

# What mbedTLS says of a certificate that it refuses, and what can be done about it.
_ADVICE = (
    ("trusted CA", "expected one signed by a CA of the settings: is the right CA there?"),
    ("Common Name", "expected one for the host name in the URL"),
    ("expired", "expected one that is valid today: renew it, or set the board's clock"),
    ("future", "expected one that is valid today: set the board's clock"),
)


def tls_context(ca, cert, key):
    """A client context that verifies always. ca: DER certificates; cert, key: DER or None.

    Raises Rejected if one of them is not DER, Untrusted if there is no CA to trust.
    """
    import tls

    if not ca:
        raise Untrusted("TLS: expected a CA certificate in the settings, got none")
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED  # pyright: ignore[reportAttributeAccessIssue]
    try:
        for der in ca:
            context.load_verify_locations(der)
        if cert:
            context.load_cert_chain(cert, key)
    except (OSError, ValueError) as error:
        # The text is mbedTLS's own: it names what is wrong, never the key.
        raise Rejected("TLS: expected certificates and key in DER, got: %s" % error)
    return context


def explained(name, error):
    """The InstarError for what ended a handshake with `name` (host and port)."""
    if isinstance(error, ValueError):
        return _untrusted(name, str(error).strip())
    reason = "error %s" % error if str(error).isdigit() else error  # EPIPE has no name here
    hint = "expected a TLS 1.2 server that asks for no other client certificate"
    return Transient("%s: TLS handshake failed: %s; %s" % (name, reason, hint))


def _untrusted(name, reason):
    advice = [text for word, text in _ADVICE if word in reason]
    text = "%s: certificate refused: %s %s (the clock reads %04d-%02d-%02d %02d:%02d UTC)"
    clock = time.gmtime()[:5]
    return Untrusted(text % ((name, reason, "; ".join(advice)) + tuple(clock)))
