"""Artifacts between instar and the real mender-artifact, both ways."""

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
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from instar_tools.artifact_cmd import artifact
from instar_tools.artifact_writer import write_artifact
from instar_tools.paths import LIB, micropython

pytestmark = pytest.mark.interop
BOARD = Path(__file__).with_name("read_on_board.py")
FIRMWARE = bytes(range(256)) * 300


@pytest.fixture(autouse=True)
def needs_mender_artifact(program):
    program("mender-artifact")


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    content = {"firmware.bin": FIRMWARE, "notes.txt": b"hello\n", "empty": b"", "l" * 120: b"x"}
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "meta.json").write_text('{"modes": ["a", "b"], "count": 2}')
    return {name: tmp_path / name for name in content}


@pytest.fixture(params=["rsa", "p256"])
def key(request, tmp_path) -> Path:
    """A private key as mender-artifact 3.9 takes it; its public half is beside it, .pub."""
    made = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    }[request.param]()
    path = tmp_path / "key.pem"
    encoding = serialization.Encoding.PEM
    path.write_bytes(
        made.private_bytes(
            encoding,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    public = made.public_key().public_bytes(
        encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    path.with_suffix(".pub").write_bytes(public)
    return path


def mender_artifact(*args: object, fails: bool = False) -> str:
    done = subprocess.run(
        ["mender-artifact", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout


def on_board(*paths: Path, device_type: str = "esp32") -> list[dict]:
    done = subprocess.run(
        [micropython(), "-X", "heapsize=256k", BOARD, device_type, *paths],
        env={**os.environ, "MICROPYPATH": f"{LIB}:.frozen"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sums(*paths: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in paths}


# What instar writes


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_it_validates_and_reads_what_instar_writes(tmp_path, files, compression):
    path = tmp_path / "out.mender"
    write_artifact(
        path,
        artifact_name="v2",
        device_types=["esp32", "pico"],
        payload_type="rootfs-image",
        files=[files["firmware.bin"]],
        artifact_group="fleet",
        depends_names=["v0", "v1"],
        depends_groups=["fleet", "lab"],
        provides={"made": "here"},
        depends={"key": "value"},
        clears_provides=["old.*"],
        compression=compression,
    )
    mender_artifact("validate", path)
    shown = mender_artifact("read", path)
    for line in (
        "Name: v2",
        "Version: 3",
        "Signature: no signature",
        "Compatible devices: '[esp32 pico]'",
        "Provides group: fleet",
        "Depends on one of artifact(s): [v0, v1]",
        "Depends on one of group(s): [fleet, lab]",
        "Type:   rootfs-image",
        "made: here",
        f"rootfs-image.checksum: {sha256(files['firmware.bin'])}",
        "rootfs-image.version: v2",
        "key: value",
        '["old.*", "artifact_group", "rootfs_image_checksum", "rootfs-image.*"]',
        f"size:     {len(FIRMWARE)}",
    ):
        assert line in shown, shown
    (board,) = on_board(path)
    assert board["rejected"] == (
        "Artifact depends on artifact_group ['fleet', 'lab'], this board provides nothing"
    )


def test_a_signed_module_image_by_instar(tmp_path, files, key):
    path = tmp_path / "out.mender"
    write_artifact(
        path,
        artifact_name="näm",
        device_types=["esp32"],
        payload_type="micropython-app",
        files=list(files.values()),
        meta_data={"modes": ["a"]},
        key=key.read_bytes(),
    )
    mender_artifact("validate", "-k", key.with_suffix(".pub"), path)
    shown = mender_artifact("read", "-k", key.with_suffix(".pub"), path)
    assert "signed and verified correctly" in shown and "Name: näm" in shown
    (board,) = on_board(path)
    assert board["sinks"] == sums(*files.values())
    assert board["signed"] is True and board["artifact_name"] == "näm"


ROOTFS_FLAGS = [
    [],
    ["--software-filesystem", "fs"],
    ["--software-name", "sw"],
    ["--software-version", "9"],
    ["--software-filesystem", "fs", "--software-name", "sw"],
    ["--no-default-software-version"],
    ["--no-default-clears-provides"],
    ["--no-checksum-provide"],
    ["--legacy-rootfs-image-checksum"],
    ["--clears-provides", "a.*", "-p", "a:b:c", "-d", "k:v", "-g", "g", "-N", "n", "-G", "h"],
]
MODULE_FLAGS = [flags for flags in ROOTFS_FLAGS if not any("checksum" in flag for flag in flags)]


@pytest.mark.parametrize(
    "command, flags",
    [("rootfs-image", flags) for flags in ROOTFS_FLAGS]
    + [("module-image", ["-T", "kind", "-m", "META", *flags]) for flags in MODULE_FLAGS],
)
def test_the_same_options_give_the_same_header(tmp_path, files, command, flags):
    flags = [str(tmp_path / "meta.json") if flag == "META" else flag for flag in flags]
    flags += ["-n", "v2", "-t", "esp32", "--compression", "none", "-f", str(files["notes.txt"])]
    theirs, ours = tmp_path / "theirs.mender", tmp_path / "ours.mender"
    mender_artifact("write", command, *flags, "-o", theirs)
    done = CliRunner().invoke(artifact, ["write", command, *flags, "-o", str(ours)])
    assert done.exit_code == 0, done.output
    expected = header_of(theirs)
    if command == "rootfs-image":  # 3.9 leaves the type out here, later versions do not
        info = expected["headers/0000/type-info"]
        expected["headers/0000/type-info"] = info.replace(b'"type":""', b'"type":"rootfs-image"')
    assert header_of(ours) == expected


def header_of(path: Path) -> dict[str, bytes]:
    """The members of header.tar, in order; the whole Artifact's member names come first."""
    with tarfile.open(path) as outer:
        found: dict = {"outer": outer.getnames()}
        with tarfile.open(fileobj=outer.extractfile("header.tar")) as header:
            for one in header:
                source = header.extractfile(one)
                found[one.name] = source.read() if source else b""
    return found


# What mender-artifact writes


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_the_board_reads_a_rootfs_image(tmp_path, files, compression):
    path = tmp_path / "out.mender"
    firmware = files["firmware.bin"]
    flags = ["-n", "v2", "-t", "esp32", "-f", firmware, "--compression", compression]
    mender_artifact("write", "rootfs-image", "--no-progress", *flags, "-o", path)
    (board,) = on_board(path)
    assert board["payload_type"] == "rootfs-image"
    assert board["sinks"] == dict(board["files"]) == sums(firmware)
    assert board["provides"]["rootfs-image.checksum"] == sha256(firmware)
    (other,) = on_board(path, device_type="rpi")
    assert other["rejected"] == "Artifact is for device types ['esp32'], this board is 'rpi'"


def test_the_board_reads_a_signed_module_image(tmp_path, files, key):
    path = tmp_path / "out.mender"
    flags = ["-n", "v2", "-t", "pico", "-t", "esp32", "-T", "kind", "-k", key]
    for file in files.values():
        flags += ["-f", file]
    flags += ["-m", tmp_path / "meta.json"]
    mender_artifact("write", "module-image", *flags, "-o", path)
    (board,) = on_board(path)
    assert board["payload_type"] == "kind" and board["signed"] is True
    assert board["device_types"] == ["pico", "esp32"]
    assert board["meta_data"] == {"modes": ["a", "b"], "count": 2}
    assert board["sinks"] == dict(board["files"]) == sums(*files.values())


def test_lzma_is_refused_by_name(tmp_path, files):
    path = tmp_path / "out.mender"
    flags = ["-n", "v2", "-t", "esp32", "-f", files["notes.txt"], "--compression", "lzma"]
    mender_artifact("write", "rootfs-image", "--no-progress", *flags, "-o", path)
    (board,) = on_board(path)
    assert "'header.tar.xz'" in board["rejected"]
    assert "--compression gzip or none" in board["rejected"]


def test_a_bootstrap_artifact_provides_only(tmp_path):
    path = tmp_path / "out.mender"
    flags = ["--no-progress", "-n", "v0", "-t", "esp32", "-p", "a:b", "--clears-provides", "x*"]
    mender_artifact("write", "bootstrap-artifact", *flags, "-o", path)
    (board,) = on_board(path)
    assert board["payload_type"] is None and board["sinks"] == {}
    assert board["provides"] == {"artifact_name": "v0", "a": "b"}
    assert board["clears_provides"] == ["x*"]
