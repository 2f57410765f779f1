"""`instar artifact check` on whatever the real mender-artifact writes."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from conformance_build import tar
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from instar_tools.artifact_cmd import artifact

pytestmark = pytest.mark.interop
IMAGE = b"\xe9" + bytes(22) + b"\1" + bytes(range(256)) * 200
SCRIPT = "ArtifactInstall_Enter_00"
MANY = [f"file-{i:02}" for i in range(40)]
CONTENT = {
    "image.bin": IMAGE,
    "notes.txt": b"hello\n",
    "empty": b"",
    "empty-too": b"",
    "l" * 100: b"100",
    "l" * 255: b"255",
    "meta.json": b'{"modes": ["a", "b"], "count": 2}',
    SCRIPT: b"#!/bin/sh\n",
    "dest_dir": b"/data/www\n",
    "filename": b"page.html\n",
    "permissions": b"644\n",
    "page.html": b"<p>",
    "app.py": b"async def run(agent):\n    pass\n",
    "update.tar": tar(("index.html", b"<p>"), ("css/a.css", b"")),
    **{name: name.encode() for name in MANY},
}
KEYS = {
    "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
    "rsa4096": lambda: rsa.generate_private_key(65537, 4096),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
}
XZ = (
    "Artifact: expected header.tar or header.tar.gz (write it with --compression gzip or none:"
    " a board has not the memory for this one), got 'header.tar.xz'"
)
VERSION_2 = (
    "version: expected {'format': 'mender', 'version': 3}, got {'format': 'mender', 'version': 2}"
)


@dataclass(frozen=True)
class Case:
    """One file. write: mender-artifact's words after `write` (names of CONTENT are files); sign: a
    key to sign it with afterwards; board: words for check; reason: of its rejection; says: fields
    of the verdict."""

    name: str
    write: str
    files: tuple[str, ...] = ()
    sign: str = ""
    board: str = ""
    reason: str | None = None
    says: dict = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def module(name: str, words: str = "", files=(), **more) -> Case:
    return Case(name, f"module-image -T thing {words}", tuple(files), **more)


def rootfs(name: str, words: str = "", **more) -> Case:
    return Case(name, f"rootfs-image --no-progress {words}", ("image.bin",), **more)


NOTES = ("notes.txt",)
CASES = [
    rootfs(
        "rootfs",
        says={
            "artifact_name": "v2",
            "artifact_group": None,
            "payload_type": "rootfs-image",
            "signed": False,
            "provides": {
                "artifact_name": "v2",
                "rootfs-image.checksum": hashlib.sha256(IMAGE).hexdigest(),
                "rootfs-image.version": "v2",
            },
            "clears_provides": ["artifact_group", "rootfs_image_checksum", "rootfs-image.*"],
            "depends": {"device_type": ["esp32"]},
        },
    ),
    rootfs("rootfs-none", "--compression none"),
    rootfs("rootfs-lzma", "--compression lzma", reason=XZ),
    rootfs("rootfs-version-2", "-v 2", reason=VERSION_2),
    rootfs(
        "rootfs-script",
        f"-s {SCRIPT}",
        reason="header.tar: expected no state scripts: a board has no shell to run them, got"
        f" 'scripts/{SCRIPT}'",
    ),
    rootfs("rootfs-script-ignored", f"-s {SCRIPT}", board="--ignore-scripts"),
    rootfs("rootfs-signed", "-k p256", board="--key p256.pub", says={"signed": True}),
    module(
        "no-files",
        says={
            "payload_type": "thing",
            "files": [],
            "provides": {"artifact_name": "v2", "rootfs-image.thing.version": "v2"},
            "clears_provides": ["rootfs-image.thing.*"],
        },
    ),
    module("one-file", files=NOTES),
    module("40-files", files=MANY),
    module("40-files-none", "--compression none", files=MANY),
    module("empty-file", files=("empty",)),
    module("only-empty-files", files=("empty", "empty-too")),
    module("an-empty-file-among-others", files=("notes.txt", "empty", "page.html")),
    module("long-names", files=("l" * 100, "l" * 255)),
    module("long-names-none", "--compression none", files=("l" * 100, "l" * 255)),
    module("meta-data", "-m meta.json", files=NOTES),
    module("lzma", "--compression lzma", files=NOTES, reason=XZ),
    module(
        "no-defaults",
        "--no-default-software-version --no-default-clears-provides",
        files=NOTES,
        says={"provides": {"artifact_name": "v2"}, "clears_provides": []},
    ),
    module(
        "provides-and-clears",
        "-g fleet -p made:here -p a:b:c --clears-provides old.* --clears-provides *",
        files=NOTES,
        says={
            "artifact_group": "fleet",
            "provides": {
                "artifact_name": "v2",
                "artifact_group": "fleet",
                "made": "here",
                "a": "b:c",
                "rootfs-image.thing.version": "v2",
            },
            "clears_provides": ["old.*", "*", "rootfs-image.thing.*"],
        },
    ),
    module(
        "depends-met",
        "-N v0 -N v1 -G fleet -G lab -d made:here",
        files=NOTES,
        board="--provides artifact_name=v1 --provides artifact_group=lab --provides made=here",
        says={
            "depends": {
                "device_type": ["esp32"],
                "artifact_name": ["v0", "v1"],
                "artifact_group": ["fleet", "lab"],
                "made": ["here"],
            }
        },
    ),
    module(
        "depends-on-a-name",
        "-N v0 -N v1",
        files=NOTES,
        board="--provides artifact_name=v2",
        reason="Artifact depends on artifact_name ['v0', 'v1'], this board provides 'v2'",
    ),
    module(
        "depends-on-a-group",
        "-G fleet",
        files=NOTES,
        reason="Artifact depends on artifact_group ['fleet'], this board provides nothing",
    ),
    module(
        "depends-on-a-key",
        "-d made:here",
        files=NOTES,
        board="--provides made=there",
        reason="Artifact depends on made ['here'], this board provides 'there'",
    ),
    module("many-types", "-t pico -t rpi", files=NOTES),
    Case(
        "other-type",
        "module-image -T other",
        NOTES,
        reason="no installer for payload type 'other': this board has"
        " ['directory', 'micropython-app', 'rootfs-image', 'single-file', 'thing']",
    ),
    Case(
        "bootstrap",
        "bootstrap-artifact --no-progress -p a:b --clears-provides x*",
        says={
            "payload_type": None,
            "files": [],
            "provides": {"artifact_name": "v2", "a": "b"},
            "clears_provides": ["x*"],
        },
    ),
    Case(
        "single-file",
        "module-image -T single-file",
        ("dest_dir", "filename", "permissions", "page.html"),
    ),
    Case("directory", "module-image -T directory", ("dest_dir", "update.tar")),
    Case("app", "module-image -T micropython-app", ("app.py", "notes.txt")),
    *(
        module(
            f"{how}-{key}",
            f"-k {key}" if how == "written" else "",
            files=NOTES,
            sign=key if how == "signed" else "",
            board=f"--key {other}.pub --key {key}.pub",
            says={"signed": True},
        )
        for how in ("written", "signed")
        for key, other in zip(KEYS, ["p256", "rsa2048", "p256", "rsa3072"], strict=True)
    ),
    module(
        "another-key",
        "-k p256",
        files=NOTES,
        board="--key rsa2048.pub",
        reason="manifest.sig: expected a signature of this manifest by one of 1 key(s), got"
        " another, of 64 bytes",
    ),
    module("signed-but-no-key", "-k p256", files=NOTES, says={"signed": True}),
    module(
        "not-signed",
        files=NOTES,
        board="--key p256.pub",
        reason="manifest.sig: expected a signed Artifact, got one without a signature",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Every file of CONTENT, and the keys: NAME in the form that 3.9 takes, NAME.pub."""
    found = tmp_path_factory.mktemp("real")
    for name, data in CONTENT.items():
        (found / name).write_bytes(data)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    for name, make in KEYS.items():
        key = make()
        old = serialization.PrivateFormat.TraditionalOpenSSL
        (found / name).write_bytes(key.private_bytes(pem, old, plain))
        new = serialization.PublicFormat.SubjectPublicKeyInfo
        (found / f"{name}.pub").write_bytes(key.public_key().public_bytes(pem, new))
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_check_on_what_mender_artifact_writes(folder, program, monkeypatch, case):
    program("mender-artifact")
    monkeypatch.chdir(folder)
    files = [word for name in case.files for word in ("-f", name)]
    words = ["write", *case.write.split(), "-n", "v2", "-t", "esp32", *files, "-o", "out.mender"]
    mender_artifact(*words)
    if case.sign:
        mender_artifact("sign", "-k", case.sign, "out.mender")
    code, found = check("out.mender", "--payload-type", "thing", *case.board.split())
    assert found["reason"] == case.reason
    assert code == (0 if case.reason is None else 1)
    assert {key: found[key] for key in case.says} == case.says
    if case.reason is None:
        assert found["files"] == [in_verdict(name) for name in case.files]


def in_verdict(name: str) -> dict:
    data = CONTENT[name]
    return {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def check(*words: str) -> tuple[int, dict]:
    done = CliRunner().invoke(
        artifact, ["check", "--device-type", "esp32", "--json", *words], catch_exceptions=False
    )
    return done.exit_code, json.loads(done.output)


def mender_artifact(*words: str) -> None:
    done = subprocess.run(
        ["mender-artifact", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_of_them_at_once(folder, program, monkeypatch):
    program("mender-artifact")
    monkeypatch.chdir(folder)
    for i in range(70):  # more than one MicroPython opens
        mender_artifact(
            "write", "module-image", "-T", "thing", "-n", f"v{i}", "-t", "esp32", "-o", f"{i}"
        )
    names = [str(i) for i in range(70)]
    done = CliRunner().invoke(
        artifact, ["check", "--device-type", "esp32", "--json", "--payload-type", "thing", *names]
    )
    found = [json.loads(line) for line in done.output.splitlines()]
    assert [one["artifact_name"] for one in found] == [f"v{i}" for i in range(70)]
    assert done.exit_code == 0
