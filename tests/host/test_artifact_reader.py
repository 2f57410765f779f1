"""`read_artifact` on an Artifact of mender-artifact's, and on what is wrong with others."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from instar_tools.artifact_reader import ArtifactError, read_artifact

ARTIFACT = Path(__file__).parents[1] / "vectors" / "app-1.0.mender"
PAYLOAD = b'print("release 1")\n'


def members():
    with tarfile.open(ARTIFACT) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def pack(path, files):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_what_mender_artifact_wrote():
    info = read_artifact(ARTIFACT)
    assert (info.name, info.device_types, info.compression) == ("app-1.0", ["esp32"], "none")
    assert info.provides["rootfs-image.single-file.version"] == "app-1.0"
    assert info.clears_provides == ["rootfs-image.single-file.*"]
    (payload,) = info.payloads
    (file,) = payload.files
    assert (payload.type, file.name, file.size) == ("single-file", "main.py", len(PAYLOAD))
    assert file.sha256 == hashlib.sha256(PAYLOAD).hexdigest()
    assert info.signature is None


def test_a_repacked_artifact_is_as_good(tmp_path):
    assert read_artifact(pack(tmp_path / "same", members().items())).name == "app-1.0"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"version": b'{"format":"mender","version":4}'}, "version 3"),
        ({"manifest": b"nonsense\n"}, "manifest: expected"),
        ({"manifest": None}, "expected manifest, got 'header.tar'"),
        ({"header.tar": b"x" * 1024}, "header.tar: expected sha256"),
        ({"data/0000.tar": None}, "data/0000/main.py, which never came"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, message):
    files = {name: text for name, text in {**members(), **change}.items() if text is not None}
    with pytest.raises(ArtifactError, match=message):
        read_artifact(pack(tmp_path / "wrong", files.items()))


def test_a_member_too_many(tmp_path):
    files = [*members().items(), ("data/0001.tar", b"")]
    with pytest.raises(ArtifactError, match=r"got 'data/0001.tar'"):
        read_artifact(pack(tmp_path / "more", files))


def test_data_twice(tmp_path):
    files = [*members().items(), ("data/0000.tar", members()["data/0000.tar"])]
    with pytest.raises(ArtifactError, match="came twice"):
        read_artifact(pack(tmp_path / "twice", files))


@pytest.mark.parametrize("size", [0, 100, 1500, 5000, 8000])
def test_truncated(tmp_path, size):
    (tmp_path / "short").write_bytes(ARTIFACT.read_bytes()[:size])
    with pytest.raises(ArtifactError):
        read_artifact(tmp_path / "short")
