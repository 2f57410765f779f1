# Every limit of the Artifact reader: what just fits is taken, one more is refused by name.
# SPDX-License-Identifier: MIT
import binascii
import struct

from artifact_build import (
    END,
    INFO,
    TYPE_INFO,
    VERSION,
    artifact,
    digest,
    encoded,
    header_tar,
    manifest_of,
    member,
    members_of,
    rejection,
    tar,
    tar_header,
)

from instar.artifact.reader import Reader


class Sink:
    def write(self, view):
        pass

    def close(self):
        pass


def read(data, **options):
    reader = Reader(lambda header: None, lambda name, size: Sink(), **options)
    try:
        reader.feed(memoryview(data))
        reader.finish()
    finally:
        reader.close()


def fits(data):
    read(data)


def refused(data, expected):
    message = rejection(read, data)
    assert message and expected in message, (expected, message)
    assert len(message) < 400, message


def blanks(raw, size):
    """A JSON text made `size` bytes long."""
    return raw + b" " * (size - len(raw))


def long_named(count, total):
    """`count` empty files whose manifest takes exactly `total` bytes."""
    files = [("%03d" % number, b"") for number in range(count)]
    header = header_tar()
    missing = total - len(manifest_of(files, "header.tar", header))
    longer = []
    for number, (name, data) in enumerate(files):
        more = missing // count + (number < missing % count)
        longer.append((name + "x" * more, data))
    return artifact(files=longer)


def pax(name, data, size):
    """A member after a pax header of `size` bytes that holds a comment."""
    record = b"%d comment=" % size
    record += b"c" * (size - len(record) - 1) + b"\n"
    return member("pax", record, "x") + member(name, data)


def zeros(count):
    """`count` zero bytes as a last deflate block of fixed codes (RFC 1951, 3.2.6)."""
    bits = [1, 1, 0]  # last block, fixed codes

    def code(value, width):
        for at in range(width - 1, -1, -1):
            bits.append(value >> at & 1)

    code(0x30, 8)  # the literal 0
    runs, rest = divmod(count - 1, 258)
    for _ in range(runs):
        code(0xC5, 8)  # length 258
        code(0, 5)  # distance 1
    for _ in range(rest):
        code(0x30, 8)
    code(0, 7)  # the end
    packed = bytearray((len(bits) + 7) // 8)
    for at, bit in enumerate(bits):
        packed[at // 8] |= bit << at % 8
    return bytes(packed)


def gzip_with_zeros(data, size):
    """A gzip of `data` and zeros up to `size` bytes."""
    stored = struct.pack("<BHH", 0, len(data), len(data) ^ 0xFFFF) + data
    crc = binascii.crc32(bytes(size - len(data)), binascii.crc32(data))
    end = struct.pack("<II", crc, size)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + stored + zeros(size - len(data)) + end


def test_the_size_of_version():
    fits(artifact(version=blanks(VERSION, 1024)))
    refused(artifact(version=blanks(VERSION, 1025)), "version: expected at most 1024 bytes")


def test_the_size_of_the_manifest():
    fits(long_named(100, 16384))
    refused(long_named(100, 16385), "manifest: expected at most 16384 bytes, got 16385")


def test_the_number_of_files():
    files = [("f%d" % number, b"") for number in range(129)]
    fits(artifact(files=files[:128]))
    refused(artifact(files=files), "manifest: expected at most 128 files, got more")


def test_the_size_of_the_signature():
    fits(artifact(signature=b"s" * 2048))
    refused(artifact(signature=b"s" * 2049), "manifest.sig: expected at most 2048 bytes")


def test_the_size_of_the_header_as_stored():
    header = header_tar()
    fits(artifact(header=header + bytes(16384 - len(header))))
    refused(
        artifact(header=header + bytes(16385 - len(header))),
        "header.tar: expected at most 16384 bytes",
    )


def test_the_size_of_the_header_unpacked():
    header = header_tar()
    fits(artifact(packed=True, header=gzip_with_zeros(header, 65536)))
    refused(
        artifact(packed=True, header=gzip_with_zeros(header, 65537)),
        "header.tar.gz: expected at most 65536 bytes of content, got more",
    )


def test_the_size_of_each_text_in_the_header():
    for name, key, value in (
        ("header-info", "info", encoded(INFO)),
        ("headers/0000/type-info", "type_info", encoded(TYPE_INFO)),
        ("headers/0000/meta-data", "meta", b"{}"),
    ):
        fits(artifact(**{key: blanks(value, 8192)}))
        refused(artifact(**{key: blanks(value, 8193)}), name + ": expected at most 8192 bytes")


def test_the_depth_and_the_number_of_values_of_json():
    def nested(depth):
        return artifact(meta=b'{"a":' * depth + b"1" + b"}" * depth)

    def many(count):
        return artifact(meta=b'{"a":[' + b",".join([b"1"] * (count - 2)) + b"]}")

    limit = "meta-data: expected at most 512 values, 8 deep, got more"
    fits(nested(8))
    refused(nested(9), limit)
    fits(many(512))
    refused(many(513), limit)


def test_the_length_of_strings():
    def named(length):
        return artifact(info=dict(INFO, artifact_provides={"artifact_name": "n" * length}))

    def provides(key, value):
        return artifact(type_info=dict(TYPE_INFO, artifact_provides={key: value}))

    def depends(key, values):
        return artifact(type_info=dict(TYPE_INFO, artifact_depends={key: values}))

    def clears(glob):
        return artifact(type_info=dict(TYPE_INFO, clears_artifact_provides=[glob]))

    fits(named(256))
    refused(named(257), "artifact_name: expected a string of 1 to 256 bytes")
    fits(provides("k" * 256, "v" * 256))
    refused(provides("k" * 257, "v"), "a string of 1 to 256 bytes")
    refused(provides("k", "v" * 257), "a string of 0 to 256 bytes")
    fits(depends("k" * 256, ["v" * 256]))
    refused(depends("k", ["v" * 257]), "a string of 1 to 256 bytes")
    fits(clears("*" * 256))
    refused(clears("*" * 257), "a string of 1 to 256 bytes")
    # What counts is the bytes, not the characters.
    both = dict(INFO, artifact_provides={"artifact_name": "é" * 129})
    refused(artifact(info=both), "a string of 1 to 256 bytes")


def test_the_length_of_names_in_a_tar():
    fits(long_name(256))
    refused(long_name(257), "data/0000.tar: expected a member name of 1 to 256 bytes, got 257")


def long_name(length):
    name = "n" * length
    line = "%s  data/0000/%s\n" % (digest(b"x"), name)
    header = header_tar()
    manifest = line.encode() + manifest_of((), "header.tar", header)
    data = member("L", name.encode() + b"\0", "L") + member("short", b"x") + END
    return artifact(manifest=manifest, header=header, data=data)


def test_the_size_of_a_pax_header():
    content = b"hello\n"
    fits(artifact(data=pax("a.txt", content, 4096) + END))
    refused(
        artifact(data=pax("a.txt", content, 4097) + END),
        "data/0000.tar: expected an extended header of at most 4096 bytes, got 4097",
    )


def test_the_length_of_numbers_in_a_pax_header():
    def sized(number):
        record = b" size=" + number + b"\n"
        record = b"%d" % (len(record) + 2) + record
        return artifact(data=member("x", record, "x") + member("a.txt", b"hello\n") + END)

    fits(sized(b"000000000000006"))
    refused(sized(b"0000000000000006"), "a decimal number in a pax record")


def test_the_zeros_after_the_end():
    *parts, (name, data) = members_of()
    fits(artifact() + bytes(65536))
    refused(artifact() + bytes(65537), "Artifact: expected at most 65536 bytes after the end")
    fits(tar(*parts, (name, data + bytes(65536))))
    refused(
        tar(*parts, (name, data + bytes(65537))),
        "data/0000.tar: expected at most 65536 bytes after the end",
    )


def test_the_size_of_a_file_is_for_open_file_to_judge():
    # It gets the size before the first byte; tar's own limit is 8 GiB.
    sizes = []
    head = tar_header("a.txt", 0o77777777777)
    reader = Reader(lambda header: None, lambda name, size: sizes.append(size))
    # The outer member is shorter than that: only then is it refused.
    assert "mid-archive" in rejection(reader.feed, memoryview(artifact(data=head)))
    assert sizes == [0o77777777777]
