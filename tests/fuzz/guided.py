"""One target under atheris: guided.py TARGET CORPUS [options of libFuzzer].

Run by run.py. Seeds are written into the corpus folder; libFuzzer adds what reaches more code.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["instar"]):
    import targets


def main() -> None:
    name, folder, *options = sys.argv[1:]
    target = targets.TARGETS[name]
    corpus = Path(folder)
    corpus.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def test(data: bytes) -> None:
        targets.run(name, data)

    def mutate(data: bytes, size: int, seed: int) -> bytes:
        pick = random.Random(seed)

        def change(raw: bytes) -> bytes:
            return atheris.Mutate(raw, max(len(raw) + 64, 64)) if raw else bytes([seed & 255])

        return target.mutate(data, pick.randrange(1 << 16), change)[:size]

    custom = {"custom_mutator": mutate} if target.mutate else {}
    atheris.Setup([sys.argv[0], str(corpus), *options], test, **custom)
    atheris.Fuzz()


main()
