"""What of a secret may be shown: enough to recognise it, too little to use it.

masked("c02ff576-ccd5-40f6")           # "c02f… (18 characters)"
without_secrets(settings, names)       # the same object, those masked; or another way, such as
without_secrets(settings, names, said_to_be_set)     # "set", with nothing of it
outlined({"room": "7", "limit": 30})   # {"room": "string, 1 characters", "limit": 30}
Veil([external_key]).over(answer)      # the same object, without that key in any text
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

_SHOWN = 4
_TOO_SHORT = 12  # of a shorter one four characters are too much
_WORD = 6  # what is shorter is in half of all texts by chance
# What the name of a secret has in it; in small letters.
TELLING = (
    "pass",
    "pwd",
    "psk",
    "pin",
    "otp",
    "code",
    "secret",
    "token",
    "key",
    "credential",
    "auth",
    "bearer",
    "private",
    "cert",
    "seed",
)
_WHO_ASKS = re.compile(r"(?<=://).*(?=@)", re.DOTALL)  # rather too much than too little
_KINDS = (
    (str, "string", "characters"),
    (bool, "boolean", ""),
    ((int, float), "number", ""),
    (list, "list", "items"),
    (dict, "object", "names"),
)


def masked(secret: str) -> str:
    """The first characters and the length, or the length alone."""
    if not secret:
        return ""
    shown = secret[:_SHOWN] if len(secret) >= _TOO_SHORT else ""
    return f"{shown}… ({len(secret)} characters)"


def said_to_be_set(secret: str) -> str:
    """Only whether there is one."""
    return "set" if secret else ""


def without_secrets(
    value: Any, names: Collection[str], hide: Callable[[str], str] = masked
) -> Any:
    """The same JSON, hidden under the names of secrets; in URLs user and password, too."""
    if isinstance(value, dict):
        return {
            name: _all_hidden(inner, hide)
            if name in names
            else without_secrets(inner, names, hide)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(inner, names, hide) for inner in value]
    return _WHO_ASKS.sub("****", value) if isinstance(value, str) else value


def outlined(value: Any) -> Any:
    """JSON of which nobody knows what is secret: names, and of texts only that they are there.

    Numbers and booleans are shown, too, where the name does not sound like a secret.
    """
    if isinstance(value, dict):
        return {
            name: _kind(inner) if _sounds_secret(name) else outlined(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [outlined(inner) for inner in value]
    return _kind(value) if isinstance(value, str) else value


def _sounds_secret(name: str) -> bool:
    return any(word in name.lower() for word in TELLING)


def _kind(value: Any) -> str | None:
    if value is None:
        return None
    for kind, word, counted in _KINDS:
        if isinstance(value, kind):
            return f"{word}, {len(value)} {counted}" if counted else word
    raise TypeError(f"expected JSON, got {type(value).__name__}")


def _all_hidden(value: Any, hide: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {name: _all_hidden(inner, hide) for name, inner in value.items()}
    if isinstance(value, list):
        return [_all_hidden(inner, hide) for inner in value]
    return value if value is None or isinstance(value, bool) else hide(str(value))


class Veil:
    """Takes known secrets out of text that came from elsewhere: a service may send a key back.

    Limits: secrets of six characters or more, and only where they are written as they are.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first: one may be a part of another.
        known = [secret for secret in secrets if len(secret) >= _WORD]
        self._secrets = sorted(known, key=len, reverse=True)

    def over(self, value: Any) -> Any:
        """The same JSON or text, with "****" for each of the secrets."""
        if isinstance(value, dict):
            return {self.over(name): self.over(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.over(inner) for inner in value]
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, "****")
        return value
