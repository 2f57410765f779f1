import gc
import json
from binascii import unhexlify

from cryptolib import aes

from instar.crypto.cfb import decrypt, encrypt
from instar.errors import Rejected

VECTORS = "tests/vectors/magistrala/"
IV = bytes(range(16))

# NIST SP 800-38A F.3.13 and F.3.14 (AES-128), F.3.17 and F.3.18 (AES-256): CFB128.
PLAIN = unhexlify(
    b"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    b"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
NIST = (
    (
        b"2b7e151628aed2a6abf7158809cf4f3c",
        b"3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b"
        b"26751f67a3cbb140b1808cf187a4f4dfc04b05357c5d1c0eeac4c66f9ff7f2e6",
    ),
    (
        b"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        b"dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407b"
        b"df10132415e54b92a13ed0a8267ae2f975a385741ab9cef82031623d55b1e471",
    ),
)


def decrypted(key, iv, data):
    found = bytearray(data)
    decrypt(key, iv, found)
    return bytes(found)


def reference(key, iv, data):
    """Encryption as the standard words it: one block after the other."""
    cipher = aes(key, 1)
    before, sealed = iv, b""
    for at in range(0, len(data), 16):
        mask = cipher.encrypt(before)
        before = bytes(a ^ b for a, b in zip(data[at : at + 16], mask))
        sealed += before
    return sealed


def rejection(function, *args):
    try:
        function(*args)
    except Rejected as error:
        return str(error)
    raise AssertionError("expected Rejected")


def pattern(size):
    return bytes((i * 167 + i // 251) & 255 for i in range(size))


def test_nist_vectors():
    for key, sealed in NIST:
        key, sealed = unhexlify(key), unhexlify(sealed)
        assert encrypt(key, IV, PLAIN) == sealed
        assert decrypted(key, IV, sealed) == PLAIN


def test_vectors_of_the_secure_route():
    with open(VECTORS + "secure_bootstrap_vectors.json") as file:
        rows = json.load(file)
    for row in [row for row in rows if len(row["key_ascii"]) != 24]:
        key, iv = row["key_ascii"].encode(), unhexlify(row["iv_hex"])
        for part in (row["auth_external_key"], row["response_json"]):
            sealed = unhexlify(part["ciphertext_hex"])
            assert encrypt(key, iv, part["plaintext"].encode()) == sealed
            assert decrypted(key, iv, sealed) == part["plaintext"].encode()
            assert sealed[:16] != unhexlify(part["wrong_cfb8_first16"])
    assert len(rows) == 3


def test_every_length_up_to_100():
    for size in range(101):
        data = pattern(size)
        for key in (pattern(16), pattern(32)):
            sealed = reference(key, IV, data)
            assert len(sealed) == size
            assert encrypt(key, IV, data) == sealed, size
            assert decrypted(key, IV, sealed) == data, size


def test_lengths_around_the_pieces():
    key = pattern(32)
    for size in (495, 496, 511, 512, 513, 527, 528, 529, 1023, 1024, 1025, 1536, 5000):
        data = pattern(size)
        sealed = reference(key, IV, data)
        assert encrypt(key, IV, data) == sealed, size
        assert decrypted(key, IV, sealed) == data, size


def test_a_view_is_decrypted_where_it_lies():
    key = pattern(16)
    for start in (1, 3, 16, 17):
        whole = bytearray(b"\xa5" * (start + 700 + 5))
        view = memoryview(whole)
        view[start : start + 700] = encrypt(key, IV, pattern(700))
        decrypt(key, memoryview(IV), view[start : start + 700])
        assert whole == b"\xa5" * start + pattern(700) + b"\xa5" * 5


def test_encrypting_leaves_its_input_alone():
    data, iv = bytearray(pattern(40)), bytearray(IV)
    sealed = encrypt(pattern(16), iv, memoryview(data))
    assert isinstance(sealed, bytes) and sealed == reference(pattern(16), IV, pattern(40))
    assert data == pattern(40) and iv == IV


def test_aes_192_and_other_lengths_are_refused():
    for size in (0, 15, 17, 24, 31, 33, 50):
        for function in (encrypt, decrypt):
            text = rejection(function, bytes(size), IV, bytearray(20))
            assert "16 or 32 bytes" in text and "cryptolib" in text, text
            assert text.endswith("got %d" % size), text


def test_an_iv_of_another_length_is_refused():
    for size in (0, 8, 15, 17, 32):
        for function in (encrypt, decrypt):
            text = rejection(function, bytes(16), bytes(size), bytearray(20))
            assert "IV of 16 bytes, got %d" % size in text, text


def test_decrypting_takes_little_memory():
    key = pattern(32)
    data = bytearray(encrypt(key, IV, pattern(20000)))
    held = fill_heap(1024)
    for _ in range(6):
        held.pop()
    gc.collect()
    tight = not fits(10000)  # no room for a second copy of the data, nor for its mask
    if tight:
        decrypt(key, IV, data)
    del held
    gc.collect()
    assert tight and data == pattern(20000)


def fits(size):
    try:
        return len(bytearray(size)) == size
    except MemoryError:
        return False


def fill_heap(size):
    held = []
    try:
        while True:
            held.append(bytearray(size))
    except MemoryError:
        gc.collect()
    return held
