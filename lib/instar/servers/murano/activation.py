# Provisioning: how a board gets what it authenticates with, and what is done if that is lost. In
# the heap only while it is done, under the lock of Murano.
#
#   headers = await renew(murano, None)          # of stored credentials, else of new ones
#   headers = await renew(murano, headers)       # these met a 401
#
# The rules, each so that nothing is lost: a token is shown once, so it is in the flash, read back,
# before it is used, and a mark there says beforehand that one was asked for: once there is a
# connection, as what is not sent has no answer that could be lost. A password is in the
# flash before it is sent. What is stored is not erased for a 401: if that was a glitch, activation
# answers 409, and the board would have nothing left. And activation is never sent twice by itself.
# pairs.py has the same for certificates.
# SPDX-License-Identifier: MIT

from binascii import b2a_base64

from micropython import const

from ...errors import Rejected, Transient, Unauthorised
from ...http import printable
from .credentials import Credentials
from .form import FORM, encode

ACTIVATE = "/provision/activate"
# Asks whether credentials are good: reads a resource, which need not exist (then 204), so nothing
# is changed and few bytes come back. (/timestamp needs no credentials, so it tells nothing.)
_PROBE = "/onep:v1/stack/alias?instar"
_TOKEN_SIZE = const(40)
_MIN_PASSWORD = const(20)
_OWN_PASSWORD = const(40)
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_RESET = ": an operator has to reset the identity there, then this board activates itself"
_LOST = "was activated on %s by this board, whose answer was lost (power or link)"
_TAKEN = "is taken on %s by another board, or is not enabled there"
# What a 409 means, by the state of the credentials before.
_CONFLICTS = {
    None: _TAKEN,
    "asked": _LOST,
    "damaged": "was activated on %s by this board, whose token is damaged in its flash",
    "refused": _TAKEN + ", or this board's answer was lost (power or link)",
}
_REFUSALS = {
    403: "may not be activated on %s: an operator has to allow it",
    404: "is not known on %s: an operator has to add it to the product's whitelist, or to let"
    " devices register their own identity",
}


async def renew(murano, refused):
    """The headers to authenticate with. refused: those that met a 401, None for the first time.

    Raises Unauthorised with what an operator has to do, Rejected for settings that cannot work,
    Transient; Broken or OSError from the flash.
    """
    if murano.settings.murano_auth == "certificate":
        return {} if refused is None else await _pairs().other(murano)
    credentials = _open(murano)
    if refused is None:
        if credentials.current:
            return _headers(murano, credentials.current)
    elif headers := await _other(murano, credentials, refused):
        return headers
    return await _activate(murano, credentials, refused)


async def activate(murano):
    """Provision now; the headers to authenticate with. Raises as renew() does."""
    if murano.settings.murano_auth == "certificate":
        # The first connection provisions the board, whatever it asks.
        return {} if await works(murano, {}) else await _pairs().other(murano)
    return await _activate(murano, _open(murano), None)


async def reprovision(murano, password, certificate, key):
    """New credentials for those in use; see Murano.reprovision(). Raises as renew() does."""
    if murano.settings.murano_auth == "certificate":
        return await _pairs().replace(murano, certificate, key)
    credentials = _open(murano)
    if not credentials.current:
        raise Rejected("reprovision: expected credentials to show, got none: activate first")
    auth = _headers(murano, credentials.current)
    if credentials.field == "token":
        return await _ask_token(murano, credentials, None, auth)
    if credentials.pending and not await works(murano, auth):
        # The one before was cut: what it brought is in use, and must not be written over.
        auth = await _other(murano, credentials, auth) or auth
    return await _change_password(murano, credentials, password, auth)


async def works(murano, auth):
    """Whether Murano takes these headers. Raises Transient and the like where it does not say."""
    response = await murano.send("GET", _PROBE, auth)
    if response.status_code == 401:
        return False
    # 415: a product of certificates says so to who asks it as one of tokens would.
    murano.check(response, "credentials", 200, 204, 404, 415)
    return True


def is_final(status):
    """Whether this status says that nothing was given out."""
    return 400 <= status < 500 and status not in (408, 425, 429)


def _pairs():
    try:
        from . import pairs
    except ImportError:
        text = "murano_auth: expected instar with its certificates part, got one without"
        raise Rejected(text)

    return pairs


def _open(murano):
    credentials = Credentials(murano.settings, murano.url, murano.identity)
    if murano.unsaved:  # the flash had refused it
        credentials.settle(murano.unsaved)
        murano.unsaved = None
    return credentials


async def _other(murano, credentials, refused):
    # Headers of known credentials that work, other than the refused ones, or None.
    for secret in credentials.known():
        headers = _headers(murano, secret)
        if headers != refused and await works(murano, headers):
            credentials.settle(secret)
            return headers
    return None


async def _activate(murano, credentials, refused):
    if credentials.field == "token":
        return await _ask_token(murano, credentials, refused, {})
    password = credentials.current or credentials.given or _new_password(murano)
    headers = _headers(murano, password)
    _check_password(password)
    credentials.keep(password=password)
    response = await _post(murano, {}, password)
    # 409: most likely it is this password that was set, and the answer was lost. Who finds a 401
    # next knows better.
    if response.status_code not in (204, 409):
        _refuse(murano, response, 204)
    return headers


async def _ask_token(murano, credentials, refused, auth):
    state = credentials.state
    if state is None:
        if refused is None:  # else the server answered a moment ago
            await murano.timestamp()  # opens the connection
        credentials.keep(state="asked")
    response = await _post(murano, auth)
    status = response.status_code
    if status == 200:
        token = murano.unsaved = _token(response)
        credentials.settle(token)
        murano.unsaved = None
        return _headers(murano, token)
    # (With `auth`, a 401 may well be what the token that was lost has brought.)
    if is_final(status) and (state is None or (state == "asked" and status != 409 and not auth)):
        credentials.keep(state="refused")
    if auth:
        murano.check(response, "reprovision", 200)
    if status == 409:
        if credentials.current and refused is None:
            return _headers(murano, credentials.current)
        conflict = _CONFLICTS[state]
        if credentials.current and state in (None, "refused"):
            conflict = "has another token on %s than this board, whose own met a 401"
        raise Unauthorised(_told(murano, conflict) + _RESET)
    _refuse(murano, response, 200)


async def _change_password(murano, credentials, password, auth):
    password = password or _new_password(murano)
    headers = _headers(murano, password)
    _check_password(password)
    credentials.keep(new=password)
    response = await _post(murano, auth, password)
    if response.status_code == 204:
        credentials.settle(password)
        return headers
    if is_final(response.status_code):
        credentials.keep(new=None)
    murano.check(response, "reprovision", 204)


async def _post(murano, auth, password=None):
    fields = [("id", murano.identity)]
    if password:
        fields.append(("password", password))
    headers = {"Content-Type": FORM}
    return await murano.send("POST", ACTIVATE, auth, headers, encode(fields), idempotent=False)


def _refuse(murano, response, expected):
    if response.status_code in _REFUSALS:
        text = _told(murano, _REFUSALS[response.status_code])
        raise Unauthorised(text, response.retry_after())
    murano.check(response, "activation", expected)


def _told(murano, text):
    return "identity %s " % murano.identity + text % murano.domain


def _token(response):
    found = response.content.strip()
    if len(found) != _TOKEN_SIZE or not all(32 < byte < 127 for byte in found):
        kind = response.headers.get("content-type", "no content type")
        text = "activation: expected a token of %d characters, got %d bytes of %s"
        raise Transient(text % (_TOKEN_SIZE, len(found), printable(kind.encode())))
    return found.decode()


def _headers(murano, secret):
    kind = murano.settings.murano_auth
    if kind == "password":
        shown = b2a_base64((murano.identity + ":" + secret).encode()).decode().strip()
    else:
        shown = secret
        if not all("!" <= char <= "~" for char in secret):
            raise Rejected("murano_token: expected printable ASCII without blanks")
    murano.secrets.extend([one for one in (secret, shown) if one not in murano.secrets])
    if kind == "cik":
        return {"X-Exosite-CIK": shown}
    return {"Authorization": ("Basic " if kind == "password" else "token ") + shown}


def _check_password(password):
    if len(password) < _MIN_PASSWORD:
        text = "murano_password: expected at least %d characters, got %d"
        raise Rejected(text % (_MIN_PASSWORD, len(password)))


def _new_password(murano):
    password = ""
    while len(password) < _OWN_PASSWORD:
        byte = murano.random(1)[0]
        if byte < 248:  # 4 x 62: each character is as likely
            password += _BASE62[byte % 62]
    return password
