"""What `instar murano -v` shows of the requests and answers: as curl does, without secrets.

    trace = Trace([password], show=lambda line: click.echo(line, err=True))
    trace.take("request", "504f5354...")      # what board/tracing.py says, one after the other

Masked are the headers that authenticate, all that activation brings, the password in its body,
and each of these wherever else it comes.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote_plus

from .masking import Veil, masked

_ACTIVATE = "/provision/activate"
_PASSWORD = re.compile(r"(?<![^&])password=([^&]*)")


def printable(text: str) -> str:
    """The same without what could steer the terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class Trace:
    """secrets: those that are known. show: takes one line."""

    def __init__(self, secrets: Iterable[str], show: Callable[[str], None]) -> None:
        self._secrets = {secret for secret in secrets if secret}
        self._show = show
        self._activating = False
        self._status = 0

    def take(self, what: str, value: str | int) -> None:
        """One of the traces."""
        if isinstance(value, int):
            self._line("*", f"{value} bytes in all")
        elif what == "note":
            self._line("*", value)
        else:
            getattr(self, f"_{what}")(bytes.fromhex(value))

    def _request(self, data: bytes) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self._activating = lines[0].split(" ")[1:2] == [_ACTIVATE]
        for line in lines:
            self._line(">", self._without_credentials(line))
        self._line(">", "")
        if body:
            self._sent(body)

    def _without_credentials(self, line: str) -> str:
        name, _, value = line.partition(": ")
        if name.lower() == "x-exosite-cik":
            self._secrets.add(value)
            return f"{name}: {masked(value)}"
        if name.lower() == "authorization":
            scheme, _, secret = value.partition(" ")
            self._secrets |= {secret, _password(secret)}
            return f"{name}: {scheme} {masked(secret)}"
        return line

    def _sent(self, data: bytes) -> None:
        text = _text(data)
        if self._activating:
            for found in _PASSWORD.finditer(text):
                self._secrets |= {found[1], unquote_plus(found[1])}
            text = _PASSWORD.sub(lambda found: f"password={masked(found[1])}", text)
        self._lines(">", text)

    def _head(self, data: bytes) -> None:
        line = data.decode("latin-1")
        if line.startswith("HTTP/"):
            word = line.split(" ")[1:2]
            self._status = int(word[0]) if word and word[0].isdecimal() else 0
        self._line("<", line)

    def _body(self, data: bytes) -> None:
        if self._activating and 200 <= self._status < 300:
            self._line("<", f"({len(data)} bytes that are secret)")
        else:
            self._lines("<", _text(data))

    def _lines(self, mark: str, text: str) -> None:
        for line in text.splitlines():
            self._line(mark, line)

    def _line(self, mark: str, text: str) -> None:
        self._show(f"{mark} {printable(Veil(self._secrets).over(text))}".rstrip())


def _password(basic: str) -> str:
    try:
        return base64.b64decode(basic).decode().partition(":")[2]
    except ValueError:
        return ""


def _text(data: bytes) -> str:
    text = data.decode(errors="replace")
    # A piece may begin and end within a character.
    if "\0" in text or text.count("\ufffd") > 4:
        return f"({len(data)} bytes that are no text)"
    return text
