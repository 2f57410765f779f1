"""The Artifact writer, its signatures, and ``instar artifact``."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from instar_tools.artifact_cmd import artifact
from instar_tools.artifact_signature import SignatureError, sign, verify
from instar_tools.artifact_writer import write_artifact
from instar_tools.paths import LIB, ROOT, micropython

VECTORS = ROOT / "tests" / "vectors" / "artifact"
MANIFEST = b"0" * 64 + b"  version\n"


def private_pem(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.fixture
def firmware(tmp_path) -> Path:
    path = tmp_path / "firmware.bin"
    path.write_bytes(b"firmware " * 1000)
    return path


def fields(firmware: Path, **more) -> dict:
    found = {
        "artifact_name": "v2",
        "device_types": ["esp32"],
        "payload_type": "rootfs-image",
        "files": [firmware],
    }
    return {**found, **more}


def run(*args: object) -> tuple[int, str]:
    done = CliRunner().invoke(artifact, [str(arg) for arg in args])
    return done.exit_code, done.output


# The writer


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_equal_input_gives_equal_bytes(tmp_path, firmware, compression):
    written = []
    for name in ("a", "b"):
        os.utime(firmware, (len(written) * 1000, len(written) * 1000))
        write_artifact(tmp_path / name, compression=compression, **fields(firmware))
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


def test_the_shape_is_plain_ustar(tmp_path, firmware):
    path = tmp_path / "out.mender"
    write_artifact(path, compression="none", mtime=7, **fields(firmware))
    raw = path.read_bytes()
    assert raw.endswith(bytes(1024)) and len(raw) % 512 == 0 and raw[257:265] == b"ustar\x0000"
    with tarfile.open(path) as outer:
        names = ["version", "manifest", "header.tar", "data/0000.tar"]
        assert outer.getnames() == names
        assert {(one.mode, one.mtime, one.type) for one in outer} == {(0o600, 7, b"0")}
        last = outer.getmembers()[-1]
        assert len(raw) == last.offset_data + last.size + -last.size % 512 + 1024
        manifest = outer.extractfile("manifest").read().decode().splitlines()
        header = outer.extractfile("header.tar").read()
        assert header[-1024:] == bytes(1024) and header[-1536:-1024] != bytes(512)
    assert [line.split("  ")[1] for line in manifest] == [
        "data/0000/firmware.bin",
        "header.tar",
        "version",
    ]
    assert manifest[0].split("  ")[0] == hashlib.sha256(firmware.read_bytes()).hexdigest()
    assert manifest[1].split("  ")[0] == hashlib.sha256(header).hexdigest()


def test_an_artifact_without_payload(tmp_path):
    path = tmp_path / "out.mender"
    write_artifact(
        path,
        artifact_name="v0",
        device_types=["esp32"],
        payload_type=None,
        provides={"a": "b"},
    )
    code, output = run("read", path, "--json")
    found = json.loads(output)
    assert code == 0 and found["payload_type"] is None and found["files"] == []
    assert found["provides"] == {"artifact_name": "v0", "a": "b"}


def test_what_cannot_be_in_an_artifact_is_refused_and_nothing_is_written(tmp_path, firmware):
    path = tmp_path / "out.mender"
    bad_name = tmp_path / "bad name"
    bad_name.write_bytes(b"")
    for more, expected in (
        ({"artifact_name": ""}, "1 to 256 printable bytes"),
        ({"artifact_name": "é" * 129}, "1 to 256 printable bytes"),
        ({"artifact_group": "a\nb"}, "printable"),
        ({"device_types": []}, "at least one device type"),
        ({"files": []}, "one file for a rootfs-image"),
        ({"files": [bad_name]}, "letters, digits"),
        ({"payload_type": "x", "files": [firmware, firmware]}, "'firmware.bin' twice"),
        ({"payload_type": None}, "without a payload type"),
        ({"key": b"no key"}, "unencrypted private key"),
    ):
        with pytest.raises(ValueError, match=expected):
            write_artifact(path, **fields(firmware, **more))
        assert not path.exists()


# Signatures


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 2048),
        lambda: ec.generate_private_key(ec.SECP256R1()),
    ],
)
def test_a_signature_holds_for_its_manifest_and_key_only(make):
    key, other = make(), make()
    signature = sign(MANIFEST, private_pem(key))
    verify(MANIFEST, signature, public_pem(key))
    for manifest, text, pem in (
        (MANIFEST + b" ", signature, public_pem(key)),
        (MANIFEST, signature, public_pem(other)),
        (MANIFEST, signature[4:], public_pem(key)),
        (MANIFEST, b"*" + signature, public_pem(key)),
        (MANIFEST, b"", public_pem(key)),
        (MANIFEST, signature, b"no key"),
    ):
        with pytest.raises(SignatureError):
            verify(manifest, text, pem)


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 1024),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate,
    ],
)
def test_other_keys_cannot_sign(make):
    with pytest.raises(SignatureError, match="expected a key of RSA-2048 or more, or P-256"):
        sign(MANIFEST, private_pem(make()))


# The commands


def test_write_then_read(tmp_path, firmware):
    path, meta = tmp_path / "out.mender", tmp_path / "meta.json"
    meta.write_text('{"a": 1}')
    code, output = run(
        *("write", "module-image", "-n", "v2", "-t", "esp32", "--compatible-types", "pico"),
        *("-T", "app", "-f", firmware, "-m", meta, "-p", "a:b:c", "-d", "e:f", "-o", path),
    )
    assert code == 0 and str(path) in output
    code, output = run("read", path, "--json")
    assert code == 0
    assert json.loads(output) == {
        "artifact_name": "v2",
        "artifact_group": None,
        "device_types": ["esp32", "pico"],
        "payload_type": "app",
        "signature": None,
        "compression": "gz",
        "size": path.stat().st_size,
        "files": [
            {
                "name": "firmware.bin",
                "size": 9000,
                "sha256": hashlib.sha256(firmware.read_bytes()).hexdigest(),
            }
        ],
        "provides": {"artifact_name": "v2", "a": "b:c", "rootfs-image.app.version": "v2"},
        "depends": {"device_type": ["esp32", "pico"], "e": "f"},
        "clears_provides": ["rootfs-image.app.*"],
        "meta_data": {"a": 1},
        "scripts": [],
    }
    code, output = run("read", path)
    assert code == 0 and "firmware.bin, 9000 bytes" in output and "a: b:c" in output


def test_wrong_options_are_usage_errors(tmp_path, firmware):
    basic = ("write", "module-image", "-n", "v", "-t", "t", "-T", "x", "-o", tmp_path / "out")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for more, expected in (
        (("-p", "no colon"), "expected KEY:VALUE"),
        (("-d", "a:b", "-d", "a:c"), "expected each key once"),
        (("-m", broken), "expected JSON"),
        (("-m", firmware), "expected JSON"),
        (("-f", tmp_path / "absent"), "does not exist"),
        (("--compression", "lzma"), "lzma"),
    ):
        code, output = run(*basic, *more)
        assert code == 2 and expected in output, output
    code, output = run(*basic, "-f", firmware, "-k", firmware)
    assert code == 1 and "expected an unencrypted private key" in output


@pytest.mark.parametrize("name", ["rsa", "p256"])
def test_read_verifies_what_mender_artifact_signed(name):
    path = VECTORS / f"module_{name}.mender"
    code, output = run("read", path, "-k", VECTORS / f"{name}.pub.pem", "--json")
    assert code == 0 and json.loads(output)["signature"] == "verified"
    code, output = run("read", path, "--json")
    assert code == 0 and json.loads(output)["signature"] == "not verified"
    other = {"rsa": "p256", "p256": "rsa"}[name]
    code, output = run("read", path, "-k", VECTORS / f"{other}.pub.pem")
    assert code == 1 and "was not made over this manifest by this key" in output


def test_read_wants_a_signature_where_a_key_is_given():
    path = VECTORS / "rootfs_gzip.mender"
    code, output = run("read", path, "-k", VECTORS / "rsa.pub.pem")
    assert code == 1 and "expected a signed Artifact" in output


def test_read_refuses_what_is_damaged(tmp_path):
    good = (VECTORS / "rootfs_none.mender").read_bytes()
    path = tmp_path / "bad.mender"
    at = good.index(b"board", 6000)
    for bad in (b"", b"no tar", good[: len(good) // 2], good[:at] + b"B" + good[at + 1 :]):
        path.write_bytes(bad)
        code, output = run("read", path)
        assert code == 1 and str(path) in output, output


# The board's reader and its memory

HEAP = """
import gc, sys
from instar.artifact.reader import Reader
import instar.artifact.header, instar.artifact.inflate  # code that comes later, and stays
class Sink:
    def write(self, view): pass
    def close(self): pass
def live():
    gc.collect()
    return gc.mem_alloc()
chunk = memoryview(bytearray(1024))
with open(sys.argv[1], "rb") as source:
    peak = before = live()
    reader = Reader(lambda header: None, lambda name, size: Sink())
    count = source.readinto(chunk)
    while count:
        reader.feed(chunk[:count])
        peak = max(peak, live())
        count = source.readinto(chunk)
    reader.finish()
print(peak - before)
"""


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_the_boards_reader_stays_under_48_kib_of_live_heap(tmp_path, size):
    image, path, script = (tmp_path / name for name in ("image.bin", "out.mender", "heap.py"))
    image.write_bytes(
        b"".join(hashlib.sha256(b"%d" % i).digest()[:8] * 4 for i in range(size // 32))
    )
    write_artifact(path, **fields(image))
    script.write_text(HEAP)
    done = subprocess.run(
        [micropython(), "-X", "heapsize=512k", script, path],
        env={**os.environ, "MICROPYPATH": f"{LIB}:.frozen"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert 34 * 1024 < int(done.stdout) < 48 * 1024
