"""``instar key``: what it writes, and what it leaves alone."""

from __future__ import annotations

import stat
import subprocess

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from instar_tools.cli import main
from instar_tools.key_cmd import write_file


def instar_key(*args, code: int = 0):
    result = CliRunner().invoke(main, ["key", *map(str, args)])
    assert result.exit_code == code, result.output
    return result


def load(path):
    return load_pem_private_key(path.read_bytes(), None)


def test_default_is_p256_with_mode_0600(tmp_path):
    path = tmp_path / "private.key"
    result = instar_key("-o", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("-----BEGIN EC PRIVATE KEY-----\n")
    assert isinstance(load(path).curve, ec.SECP256R1)
    assert "P-256" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["private.key"]


@pytest.mark.parametrize("bits", [2048, 3072])
def test_rsa_has_the_bits_asked_for(tmp_path, bits):
    path = tmp_path / "private.key"
    args = [] if bits == 3072 else ["--bits", bits]  # 3072 is the default
    instar_key("-o", path, "--type", "rsa", *args)
    assert path.read_text().startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert isinstance(key := load(path), rsa.RSAPrivateKey)
    assert key.key_size == bits


def test_public_half_goes_with_the_private_one(tmp_path):
    private, public = tmp_path / "private.key", tmp_path / "public.key"
    instar_key("-o", private, "--public", public)
    expected = load(private).public_key()
    assert load_pem_public_key(public.read_bytes()) == expected
    spki = expected.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert public.read_bytes() == spki
    assert stat.S_IMODE(public.stat().st_mode) == 0o644


def test_without_a_file_the_key_goes_to_standard_output(tmp_path):
    public = tmp_path / "public.key"
    result = instar_key("--public", public)
    key = load_pem_private_key(result.stdout.encode(), None)
    assert load_pem_public_key(public.read_bytes()) == key.public_key()


def test_existing_files_stay_without_force(tmp_path):
    private, public = tmp_path / "private.key", tmp_path / "public.key"
    private.write_text("old")
    result = instar_key("-o", private, "--public", public, code=1)
    assert "exists already" in result.stderr
    assert private.read_text() == "old"
    assert not public.exists()
    private.unlink()
    public.write_text("old")
    instar_key("-o", private, "--public", public, code=1)
    assert public.read_text() == "old"
    assert not private.exists()


def test_force_replaces_and_tightens_the_mode(tmp_path):
    path = tmp_path / "private.key"
    path.write_text("old")
    path.chmod(0o644)
    instar_key("-o", path, "--force")
    assert load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_appears_late_is_not_overwritten(tmp_path):
    path = tmp_path / "private.key"
    path.write_text("old")
    with pytest.raises(FileExistsError):
        write_file(path, b"new", 0o600, force=False)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["private.key"]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--bits", "2048"], "--bits is for --type rsa"),
        (["--type", "rsa", "--bits", "1024"], "2048<=x<=4096"),
        (["--type", "ed25519"], "'ed25519' is not one of"),
        (["-o", "same", "--public", "./same"], "are the same file"),
    ],
)
def test_wrong_use_is_named(args, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert expected in instar_key(*args, code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "none" / "private.key"
    assert "none" in instar_key("-o", path, code=1).stderr


@pytest.mark.interop
@pytest.mark.parametrize("args", [[], ["--type", "rsa", "--bits", "2048"]])
def test_mender_artifact_signs_and_verifies_with_it(program, tmp_path, args):
    program("mender-artifact")
    private, public = tmp_path / "private.key", tmp_path / "public.key"
    instar_key("-o", private, "--public", public, *args)
    payload, artifact = tmp_path / "payload", tmp_path / "signed.mender"
    payload.write_bytes(b"payload")
    write = ["mender-artifact", "write", "rootfs-image", "-t", "board", "-n", "one"]
    write += ["-f", payload, "-o", artifact, "-k", private]
    subprocess.run(write, check=True, capture_output=True)
    done = subprocess.run(
        ["mender-artifact", "validate", "-k", public, artifact],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
