"""The places in a session where a cut means something else than a byte earlier or later.

    marks = Marks(secure=True)
    marks.feed(chunk)               # what goes in one direction of a connection, in order
    marks.found                     # [Mark(0, "hello", "first byte", 1), ...]
    cut(At("down", 0, marks.found[3]))      # the same place of another session

Over TLS what counts are the records: half of one is nothing to its reader. In plain HTTP they are
heads and bodies. A place is told by its piece's number and a word, not by its byte: signatures and
dates make sessions of different lengths.

Limits: TLS 1.2; bodies with a Content-Length; handshake messages that share a record are one.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fault_proxies import Flow

_CIPHER_SPEC, _ALERT, _HANDSHAKE = 20, 21, 22
_RECORDS = {_CIPHER_SPEC: "cipher spec", _ALERT: "alert", 23: "data"}
_MESSAGES = {
    1: "hello",
    2: "hello",
    4: "ticket",
    11: "certificate",
    12: "key",
    14: "hello done",
    16: "key",
}
_LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Mark:
    """piece: number of the record or message in its direction, from 0. byte: of the stream, so
    many have passed before it."""

    piece: int
    name: str
    position: str
    byte: int


class Marks:
    """All marks of one direction of a connection, as far as it was seen."""

    def __init__(self, secure: bool) -> None:
        self.found: list[Mark] = []
        self.seen = 0
        self._measure = self._record if secure else self._message
        self._encrypted = False
        self._buffer = bytearray()  # from _base on
        self._base = self._next = self._pieces = 0

    def feed(self, data: bytes) -> None:
        self.seen += len(data)
        self._buffer += data
        while self._next < self.seen:
            self._drop()
            found = self._measure(self._buffer)
            if not found:
                break
            name, positions, length = found
            for position, offset in positions.items():
                self.found.append(Mark(self._pieces, name, position, self._next + offset))
            self._next += length
            self._pieces += 1
        self._drop()

    def _drop(self) -> None:
        done = min(len(self._buffer), self._next - self._base)
        del self._buffer[:done]
        self._base += done

    def _record(self, data: bytearray) -> tuple[str, dict[str, int], int] | None:
        if len(data) < 6:
            return None
        length = 5 + int.from_bytes(data[3:5], "big")
        name = _RECORDS.get(data[0])
        if not name:
            name = "finished" if self._encrypted else _MESSAGES.get(data[5], "handshake")
        self._encrypted |= data[0] == _CIPHER_SPEC
        positions = {"first byte": 1, "middle": length // 2, "last byte": length - 1}
        return name, {**positions, "end": length}, length

    def _message(self, data: bytearray) -> tuple[str, dict[str, int], int] | None:
        head = data.find(b"\r\n\r\n") + 4
        if head < 4:
            return None
        found = _LENGTH.search(data, 0, head)
        length = head + (int(found[1]) if found else 0)
        positions = {"first byte": 1, "head's last byte": head - 1, "end of the head": head}
        if length > head:
            positions |= {"body's first byte": head + 1, "last byte": length - 1, "end": length}
        return "message", positions, length


@dataclass
class At:
    """Where `mark` is, in a direction of the connection with that number since begin()."""

    direction: str
    connection: int
    mark: Mark
    _marks: Marks | None = field(default=None, init=False)

    def offset(self, flow: Flow, chunk: bytes) -> int | None:
        if (flow.direction, flow.pair.number) != (self.direction, self.connection):
            return None
        marks = self._marks = self._marks or Marks(flow.proxy.secure)
        marks.feed(chunk[max(0, marks.seen - flow.passed) :])
        for mark in marks.found:
            if (mark.piece, mark.position) == (self.mark.piece, self.mark.position):
                left = max(0, mark.byte - flow.passed)
                return left if left <= len(chunk) else None
        return None
