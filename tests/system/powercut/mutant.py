"""One planted bug: what it changes in the sources of lib/. The bugs themselves: mutants.py."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

from dataclasses import dataclass

from .software import Sources

Edit = tuple[str, str, str]  # path below lib/instar, old text, new text


@dataclass(frozen=True)
class Mutant:
    """One bug. why: what it breaks. edits: each old text occurs exactly once in its file."""

    name: str
    why: str
    scenarios: tuple[str, ...]
    edits: tuple[Edit, ...]

    def mutation(self, sources: Sources) -> Sources:
        """The sources with the bug in them.

        Raises:
            ValueError: the product has changed, and this mutant has to be written anew.
        """
        changed = dict(sources)
        for path, old, new in self.edits:
            path = f"instar/{path}"
            text = changed[path].decode()
            if text.count(old) != 1:
                found = text.count(old)
                raise ValueError(
                    f"mutant {self.name}: expected {old!r} once, got it {found} times"
                )
            changed[path] = text.replace(old, new).encode()
        return changed
