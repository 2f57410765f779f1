import hashlib
from binascii import unhexlify

from instar.crypto.hmac import hmac_sha256

# RFC 4231 section 4: key, data, tag (case 5 is truncated to 128 bits there).
VECTORS = (
    (
        b"\x0b" * 20,
        b"Hi There",
        b"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        b"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        b"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (b"\x0c" * 20, b"Test With Truncation", b"a3b6167473100ee06e0c796c2955552b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        b"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        (
            b"This is a test using a larger than block-size key and a larger than block-size data."
            b" The key needs to be hashed before being used by the HMAC algorithm."
        ),
        b"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
)


def test_rfc_4231():
    for key, data, tag in VECTORS:
        tag = unhexlify(tag)
        assert hmac_sha256(key, data)[: len(tag)] == tag, data


def test_parts_are_hashed_as_one_message():
    whole = hmac_sha256(b"key", b"one message")
    assert hmac_sha256(b"key", b"one", b"", memoryview(b" message")) == whole
    assert hmac_sha256(b"key") == hmac_sha256(b"key", b"")


def test_a_key_of_one_block_is_used_as_it_is():
    key = b"k" * 64
    assert hmac_sha256(key, b"m") != hmac_sha256(hashlib.sha256(key).digest(), b"m")
    longer = key + b"k"
    assert hmac_sha256(longer, b"m") == hmac_sha256(hashlib.sha256(longer).digest(), b"m")
    assert hmac_sha256(b"k", b"m") == hmac_sha256(b"k\0", b"m")  # padded with zeros
