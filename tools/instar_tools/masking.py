"""What of a secret may be shown: enough to recognise it, too little to use it.

masked("c02ff576-ccd5-40f6")           # "c02f… (18 characters)"
Veil([external_key]).over(answer)      # the same object, without that key in any text
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

_SHOWN = 4
_TOO_SHORT = 12  # of a shorter one four characters are too much
_WORD = 6  # what is shorter is in half of all texts by chance
_TELLING = ("password", "passwd", "secret", "token", "key", "credential")


def masked(secret: str) -> str:
    """The first characters and the length, or the length alone."""
    if not secret:
        return ""
    shown = secret[:_SHOWN] if len(secret) >= _TOO_SHORT else ""
    return f"{shown}… ({len(secret)} characters)"


def without_secrets(value: Any, names: Collection[str] = ()) -> Any:
    """The same JSON, with text masked wherever a name says that it is a secret.

    names: those of secrets; none: whatever sounds like one.
    """
    if isinstance(value, dict):
        return {
            name: _all_masked(inner) if _is_secret(name, names) else without_secrets(inner, names)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(inner, names) for inner in value]
    return value


def _is_secret(name: str, names: Collection[str]) -> bool:
    return name in names if names else any(word in name.lower() for word in _TELLING)


def _all_masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _all_masked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_all_masked(inner) for inner in value]
    return value if value is None or isinstance(value, bool) else masked(str(value))


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
