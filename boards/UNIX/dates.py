# The dates of certificates, checked against the simulated RTC: mbedTLS itself asks the host's.
# Tls(tls) stands in sys.modules as `tls`. Its contexts and sockets are the real ones: the
# check is a verify_callback, which sees each certificate of the peer's chain in DER.
# Limits: a verify_callback of the board's own replaces the check; the server gets no alert, it
# sees the board close; where the host's clock is outside the dates too, mbedTLS refuses by itself.
# SPDX-License-Identifier: MIT
import rtc
from micropython import const
from standin import StandIn

_SEQUENCE = const(0x30)
_VERSION = const(0xA0)
_UTC_TIME = const(0x17)


class Tls(StandIn):
    """The tls module, but that its contexts know the board's time."""

    def SSLContext(self, protocol):
        context = self._real.SSLContext(protocol)
        context.verify_callback = _check
        return context


def _check(der, depth):
    # An exception in the callback ends the handshake and surfaces where it was driven.
    now = "{:04}{:02}{:02}{:02}{:02}{:02}".format(*rtc.Time().gmtime()[:6])
    start, end = validity(der)
    if now < start:
        raise ValueError("\nThe certificate validity starts in the future\n")
    if now > end:
        raise ValueError("\nThe certificate validity has expired\n")
    return 0


def validity(der):
    """(notBefore, notAfter) of a certificate in DER, each as YYYYMMDDHHMMSS. RFC 5280 §4.1."""
    _, at, _ = _tlv(der, 0)  # Certificate
    _, at, _ = _tlv(der, at)  # TBSCertificate
    tag, _, end = _tlv(der, at)
    # [version], serialNumber, signature, issuer stand before the validity.
    for _ in range(3 if tag == _VERSION else 2):
        _, _, end = _tlv(der, end)
    _, at, _ = _tlv(der, end)
    start, at = _time(der, at)
    return start, _time(der, at)[0]


def _tlv(der, at):
    # (tag, where the content begins, where it ends)
    tag, length = der[at], der[at + 1]
    at += 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(der[at : at + count], "big")
        at += count
    return tag, at, at + length


def _time(der, at):
    tag, start, end = _tlv(der, at)
    text = bytes(der[start : end - 1]).decode()  # without its Z
    if tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return text, end
