# Signed Artifacts with one byte or one bit changed: nothing else than the original is accepted.
#
# Every byte of an RSA-signed Artifact; every bit of manifest, manifest.sig and header with RSA;
# every bit of manifest and manifest.sig with P-256. A change is refused, or it is in a place that
# says nothing: MEANINGLESS lists all kinds of these, and every one of them is met.
# SPDX-License-Identifier: MIT
from io import BytesIO

import deflate
from artifact_build import artifact, vector

from instar import memory
from instar.artifact.reader import Reader
from instar.artifact.signature import Verifier
from instar.errors import Rejected

BLOCK = 512
MASKS = (0x01, 0x20, 0x80)  # 0x20 makes a blank of a NUL, and small letters of capitals
PARTS = 4  # each test takes every fourth place: so many processes share the work
PADDING = "padding of a member up to a whole block"
CHECKSUM = "blanks, NULs and leading zeros of a header's checksum"
STAMP = "gzip's time, level, system and the hint that it is text"
LENGTH = "gzip's length of the content, which the SHA-256 covers as well"
SAME = "deflate's codes, where others unpack to the same bytes (a run copied from elsewhere in it)"
MEANINGLESS = {PADDING, CHECKSUM, STAMP, LENGTH, SAME}


class Once:
    """A Verifier that takes what is known to be good without computing it again."""

    def __init__(self, key, good):
        self._verifier = Verifier([vector(key)])
        self._good = good

    def __call__(self, manifest, signature):
        if (manifest, signature) != self._good:
            yield from self._verifier(manifest, signature)


class Sink:
    def __init__(self):
        self.data = b""
        self.closed = False

    def write(self, view):
        self.data += bytes(view)

    def close(self):
        self.closed = True


def read(data, verify, headers=None):
    """All that a board would act on; raises Rejected, and nothing else.

    headers: a list that gets the header as soon as it is trusted.
    """
    headers = [] if headers is None else headers
    sinks = {}

    def open_file(name, size):
        sinks[name] = Sink()
        return sinks[name]

    reader = Reader(headers.append, open_file, verify=verify)
    try:
        reader.feed(memoryview(data))
        reader.finish()
    finally:
        reader.close()
    assert len(headers) == 1 and all(sink.closed for sink in sinks.values())
    return dict(headers[0].__dict__), {name: sink.data for name, sink in sinks.items()}


def members(data):
    """name -> (where its header lies, where its content begins, where it ends)."""
    found = {}
    at = 0
    while data[at]:
        name = str(data[at : at + 100].split(b"\0")[0], "utf-8")
        size = int(data[at + 124 : at + 135], 8)
        found[name] = (at, at + BLOCK, at + BLOCK + size)
        at += BLOCK + size + -size % BLOCK
    return found


def kind_of(places, at):
    """Which of MEANINGLESS the byte at `at` belongs to, or None."""
    for name, (header, start, end) in places.items():
        if header + 148 <= at < header + 156:
            return CHECKSUM
        if end <= at < end + -end % BLOCK:
            return PADDING
        if name == "data/0000.tar.gz":
            if start + 3 <= at < start + 10:
                return STAMP
            if end - 4 <= at < end:
                return LENGTH
            if start + 10 <= at < end - 8:
                return SAME
    return None


class Artifact:
    """A signed vector, its meaning, and what becomes of it with one byte changed."""

    def __init__(self, name):
        memory.forget = lambda package: None  # modules stay: only speed
        self.data = bytearray(vector(f"module_{name}.mender"))
        self.places = members(bytes(self.data))
        good = (self.content("manifest"), self.content("manifest.sig"))
        self.trusted = []  # the header that the last reading got to, if any
        self._verify = Once(f"{name}.pub.pem", good)
        # The original passes without the short cut.
        self._meaning = read(self.data, Verifier([vector(f"{name}.pub.pem")]))

    def content(self, name):
        _, start, end = self.places[name]
        return bytes(self.data[start:end])

    def unpacked(self):
        """The payload's tar."""
        packed = BytesIO(self.content("data/0000.tar.gz"))
        return deflate.DeflateIO(packed, deflate.GZIP).read(8192)

    def flip(self, at, mask):
        """Whether the Artifact is accepted, then certainly unchanged in meaning."""
        self.data[at] ^= mask
        self.trusted.clear()
        try:
            found = read(self.data, self._verify, self.trusted)
        except Rejected:
            return False
        finally:
            self.data[at] ^= mask
        assert found == self._meaning, (at, mask)
        return True


def flip_bytes(part, kinds_met=MEANINGLESS):
    """Every fourth byte of the RSA-signed Artifact."""
    signed = Artifact("rsa")
    original = signed.unpacked()
    kinds = set()
    for at in range(part, len(signed.data), PARTS):
        for mask in MASKS:
            if signed.flip(at, mask):
                kind = kind_of(signed.places, at)
                assert kind, (at, mask)
                if kind == SAME:
                    signed.data[at] ^= mask
                    assert signed.unpacked() == original, (at, mask)
                    signed.data[at] ^= mask
                kinds.add(kind)
    assert kinds == kinds_met, kinds


def flip_bits(name, member, part):
    """Every bit of every fourth byte of a member's content: none gets past the header's check."""
    signed = Artifact(name)
    _, start, end = signed.places[member]
    for at in range(start + part, end, PARTS):
        for bit in range(8):
            assert not signed.flip(at, 1 << bit), (member, at - start, bit)
            # Not only refused in the end: nothing that the header says was acted on.
            assert not signed.trusted, (member, at - start, bit)


def test_every_byte_1():
    flip_bytes(0, MEANINGLESS - {CHECKSUM})  # its blank and its NUL are in the other halves


def test_every_byte_2():
    flip_bytes(1, MEANINGLESS - {CHECKSUM})


def test_every_byte_3():
    flip_bytes(2)


def test_every_byte_4():
    flip_bytes(3)


def test_rsa_every_bit_of_the_manifest():
    for part in range(PARTS):
        flip_bits("rsa", "manifest", part)


def test_rsa_every_bit_of_the_signature_1():
    flip_bits("rsa", "manifest.sig", 0)
    flip_bits("rsa", "manifest.sig", 1)


def test_rsa_every_bit_of_the_signature_2():
    flip_bits("rsa", "manifest.sig", 2)
    flip_bits("rsa", "manifest.sig", 3)


def test_rsa_every_bit_of_the_header():
    for part in range(PARTS):
        flip_bits("rsa", "header.tar.gz", part)


def test_p256_every_bit_of_the_manifest_1():
    flip_bits("p256", "manifest", 0)


def test_p256_every_bit_of_the_manifest_2():
    flip_bits("p256", "manifest", 1)


def test_p256_every_bit_of_the_manifest_3():
    flip_bits("p256", "manifest", 2)


def test_p256_every_bit_of_the_manifest_4():
    flip_bits("p256", "manifest", 3)


def test_p256_every_bit_of_the_signature_1():
    flip_bits("p256", "manifest.sig", 0)
    flip_bits("p256", "manifest.sig", 1)


def test_p256_every_bit_of_the_signature_2():
    flip_bits("p256", "manifest.sig", 2)
    flip_bits("p256", "manifest.sig", 3)


def test_every_byte_of_an_unpacked_payload():
    # Here the payload's own tar can be reached: its padding says nothing, all else does.
    memory.forget = lambda package: None
    data = bytearray(artifact())
    outer = members(bytes(data))
    _, start, end = outer["data/0000.tar"]
    inner = members(bytes(data[start:end]))
    expected = read(data, None)
    kinds = set()
    for at in range(start, len(data)):
        data[at] ^= 0x20
        try:
            assert read(data, None) == expected, at
            kinds.add(kind_of(inner, at - start))
        except Rejected:
            pass
        data[at] ^= 0x20
    assert kinds == {PADDING, CHECKSUM}, kinds
