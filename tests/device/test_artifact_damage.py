# Every end and every cutting of an Artifact: a truncated one is never accepted, and how the bytes
# are cut into chunks changes nothing.
# SPDX-License-Identifier: MIT
import random

from artifact_build import (
    END,
    INFO,
    artifact,
    chunks,
    gzip,
    header_tar,
    member,
    members_of,
    tar,
    tar_header,
    vector,
)

from instar import memory
from instar.artifact.reader import Reader
from instar.errors import Rejected

FILES = (("a.txt", b"hello\n"), ("b.bin", bytes(range(256)) * 3))
SEEDS = range(6)


class Sink:
    def __init__(self, size):
        self.size = size
        self.data = bytearray()
        self.closed = False

    def write(self, view):
        self.data.extend(view)

    def close(self):
        self.closed = True


class Outcome:
    """What became of one reading: header, sinks, error (the message of a Rejected, or None).

    Any other exception is the test's failure.
    """

    def __init__(self, views, **options):
        self.header = self.error = None
        self.sinks = {}
        reader = Reader(self._take, self._open, **options)
        try:
            for view in views:
                reader.feed(view)
            reader.finish()
        except Rejected as error:
            self.error = str(error)
        finally:
            reader.close()

    def _take(self, header):
        self.header = dict(header.__dict__)

    def _open(self, name, size):
        self.sinks[name] = Sink(size)
        return self.sinks[name]

    def all(self):
        sinks = {name: (sink.closed, bytes(sink.data)) for name, sink in self.sinks.items()}
        return self.error, self.header, sinks


def keep_modules():
    """Do without reading manifest.py and others again for each Artifact: only speed."""
    memory.forget = lambda package: None


def random_chunks(data, seed):
    """`data` in views of 1 to 1500 bytes, many of them short."""
    random.seed(seed)
    view = memoryview(data)
    at = 0
    while at < len(data):
        step = random.randrange(1, 1 + (3, 64, 1500)[random.randrange(3)])
        yield view[at : at + step]
        at += step


def truncations(data):
    """Read every truncation of `data`, and say what must hold for each."""
    keep_modules()
    whole = Outcome(chunks(data, 0))
    assert whole.error is None
    view = memoryview(data)
    for length in range(len(data)):
        found = Outcome([view[:length]])
        assert found.error, f"{length} of {len(data)} bytes were accepted"
        for name, sink in found.sinks.items():
            complete = sink.data == whole.sinks[name].data
            assert complete or not sink.closed, f"{name} was closed after {length} bytes"
        yield length


# Truncation


def test_no_truncation_of_a_packed_artifact_is_accepted():
    memory.reserve()
    for length in truncations(vector("module_rsa.mender")):
        held = memory.FULL_WINDOW in memory._held
        assert held, f"the window's place was not given back after {length} bytes"


def test_no_truncation_of_an_unpacked_artifact_is_accepted():
    for _ in truncations(artifact(files=FILES)):
        pass


def test_no_truncation_of_a_packed_payload_beside_an_unpacked_header_is_accepted():
    # Here the reader gave the places up for the header, and took them again for the payload.
    memory.reserve()
    parts = members_of(files=FILES[:1])
    data = tar(*parts[:-1], ("data/0000.tar.gz", gzip(tar(*FILES[:1]))))
    start = data.find(b"data/0000.tar.gz") + 512
    for length in truncations(data):
        assert length <= start or memory.FULL_WINDOW in memory._held, length


def test_no_truncation_of_the_payload_alone_is_accepted():
    # The outer archive is whole each time: what is cut is the member in it.
    keep_modules()
    for packed in (False, True):
        *parts, (name, data) = members_of(files=FILES, packed=packed)
        for length in range(len(data)):
            found = Outcome(chunks(tar(*parts, (name, data[:length])), 0))
            assert found.error, f"{length} of {len(data)} bytes of {name} were accepted"
            for file, content in FILES:
                sink = found.sinks.get(file)
                assert not sink or not sink.closed or sink.data == content


# Chunking


def good():
    names = ("rootfs_gzip", "rootfs_none", "module_files", "module_no_files", "bootstrap")
    rows = [vector(name + ".mender") for name in names]
    rows.append(artifact(files=FILES, packed=True))
    rows.append(artifact(files=(("empty", b""),) + FILES))
    rows.append(artifact() + bytes(9000))
    return rows


def bad():
    """Artifacts that are refused early, late and in between."""
    *parts, (name, data) = members_of(files=FILES)
    *packed_parts, (packed_name, packed) = members_of(files=FILES, packed=True)
    other = tar(("a.txt", b"hello\n"), ("b.bin", bytes(768)))
    flipped = bytearray(packed)
    flipped[700] ^= 0x10
    rows = [
        b"",
        b"no tar" * 300,
        artifact()[:-700],
        artifact()[:3000],
        artifact() + b"x",
        artifact() + bytes(70000),
        artifact(version=b'{"format":"mender","version":4}'),
        artifact(manifest=b"nonsense\n"),
        artifact(info={"payloads": []}),
        artifact(info=INFO, meta=b"["),
        artifact(header=header_tar()[:-512]),
        artifact(packed=True, header=gzip(header_tar())[:-1]),
        artifact(packed=True, header=gzip(header_tar()) + b"x"),
        artifact(packed=True, header=gzip(bytes(70000))),
        artifact(packed=True, header=vector("bomb_header.tar.gz")),
        artifact(data=member("a.txt", b"hello\n", "2") + END),
        artifact(data=tar_header("L", 5000, "L") + bytes(5120) + END),
        artifact(data=member("x", b"99 path=y\n", "x") + END),
        tar(*parts, (name, other)),
        tar(*parts, (name, data[:1500])),
        tar(*parts, (name, data + b"x")),
        tar(*parts, (name, data), (name, data)),
        tar(*packed_parts, (packed_name, gzip(other, 100))),
        tar(*packed_parts, (packed_name, bytes(flipped))),
        tar(*packed_parts, (packed_name, packed[:-1])),
        tar(*packed_parts, (packed_name, packed + bytes(6000))),
        tar(*packed_parts, (packed_name, gzip(bytes(20000)))),
        vector("rootfs_xz.mender"),
        vector("rootfs_script.mender"),
        vector("rootfs_version2.mender"),
    ]
    # The deflate stream's own damage, at both ends and in its middle.
    gz = bytearray(vector("rootfs_gzip.mender"))
    start = bytes(gz).find(b"data/0000.tar.gz") + 512
    for at in (0, 40, 300, 900):
        gz[start + at] ^= 0x10
        rows.append(bytes(gz))
        gz[start + at] ^= 0x10
    return rows


def same_in_every_chunking(data, number, accepted):
    whole = Outcome(chunks(data, 0)).all()
    assert (whole[0] is None) == accepted, (number, whole[0])
    for size in (1, 7, 512, None):
        assert Outcome(chunks(data, size)).all() == whole, (number, size)
    for seed in SEEDS:
        assert Outcome(random_chunks(data, seed)).all() == whole, (number, "seed", seed)


def test_every_chunking_of_good_artifacts_gives_the_same():
    keep_modules()
    for number, data in enumerate(good()):
        same_in_every_chunking(data, number, True)


def test_every_chunking_of_bad_artifacts_gives_the_same_error():
    keep_modules()
    messages = set()
    for number, data in enumerate(bad()):
        same_in_every_chunking(data, number, False)
        messages.add(Outcome(chunks(data, 0)).error)
    assert len(messages) > 20, messages


def test_a_limit_on_the_payload_is_met_at_the_same_byte():
    keep_modules()
    data = artifact(packed=True, files=(("big", bytes(20000)),))
    whole = Outcome(chunks(data, 0), max_payload=9000).all()
    assert "at most 9000 bytes" in whole[0]
    for size in (1, 7, 512, None):
        assert Outcome(chunks(data, size), max_payload=9000).all() == whole, size


# What fuzzing found


def test_an_extended_header_without_a_member_is_refused():
    def pax(record, kind="x"):
        return member("pax", record, kind)

    good = member("a.txt", b"hello\n")
    for extra in (pax(b"13 uname=joe\n"), pax(b"13 uname=joe\n", "g"), pax(b"")):
        found = Outcome(chunks(artifact(data=good + extra + END), 0))
        assert found.error and "a member after its extended header" in found.error, found.error
        assert Outcome(chunks(artifact(data=extra + good + END), 0)).error is None
