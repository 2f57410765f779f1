# The secure route: what real services sent, damage of every kind, keys of the wrong form.
import json
from binascii import a2b_base64, hexlify, unhexlify

from magistrala_board import (
    CRYPTO_KEY,
    ID,
    IV,
    MINIMAL,
    VECTORS,
    Settings,
    ask,
    lines,
    refused,
    vectors,
)
from scripted import Server, answer

from instar.crypto import cfb
from instar.errors import Rejected, Transient, Unauthorised
from instar.http.wire import Ended
from instar.servers.magistrala import BadRequest
from instar.servers.magistrala.answer import parse
from instar.servers.magistrala.bootstrap import bootstrap

SECURE = {"crypto_key": CRYPTO_KEY}
LEGACY = {"crypto_key": CRYPTO_KEY, "bootstrap_profile": "mainflux"}


def sealed(plain, key=CRYPTO_KEY):
    """What a service answers. key: bytes, or the str that a service from 0.14 on is given."""
    plain = plain if isinstance(plain, bytes) else plain.encode()
    return IV + cfb.encrypt(key if isinstance(key, bytes) else key.encode(), IV, plain)


def chunked(body, size=100):
    pieces = [body[i : i + size] for i in range(0, len(body), size)] + [b""]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join([b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces])


def same(found, plain):
    return found.__dict__ == parse(plain.encode()).__dict__


def read(name):
    with open(VECTORS + name, "rb") as file:
        return file.read()


# What real services sent


async def test_mainflux_013_answers_under_the_key_in_hexadecimal():
    body = read("mainflux-0.13-secure-response.bin")
    found, _ = await ask(answer(body), **LEGACY)
    assert found.client_id == "3fa85f64-5717-4562-b3fc-2c963f66afa6"
    assert found.secret == "c02ff576-ccd5-40f6-ba5f-c85377aad529"
    channel = {"id": "1a2b3c4d-0000-4000-8000-000000000001", "name": "data", "type": "data"}
    assert found.channels == [channel]
    assert found.content == {"interval": 30, "a": "<&>é"}
    assert found.client_cert == "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"
    assert (found.client_key, found.ca_cert) == ("KEYPEM", "CAPEM")
    # The same key taken as text is another key.
    await refused(Unauthorised, "does not decrypt", answer(body), **SECURE)


async def test_magistrala_020_answers():
    for row in vectors("magistrala-0.20-reader-vectors.jsonl"):
        found, _ = await ask(answer(unhexlify(row["secure_hex"])), crypto_key=row["key"])
        assert same(found, row["plain"]), row["plain"]
        assert found.client_id == json.loads(row["plain"])["client_id"]


async def test_the_transcript_of_a_mainflux_service():
    for row in vectors("mainflux-bootstrap.jsonl"):
        if "/secure/" not in row["path"] or row["status"] != 200:
            continue
        reply = answer(a2b_base64(row["body_b64"]), headers="Content-Type: application/json\r\n")
        found, _ = await ask(reply, bootstrap_profile="things", **SECURE)
        assert same(found, row["decrypted"]), row["case"]
        # And what was sent there is what this board sends, the IV being the same.
        word, _, sent = row["req_headers"]["Authorization"].partition(" ")
        sent = unhexlify(sent)
        key = bytearray(sent[16:])
        cfb.decrypt(CRYPTO_KEY.encode(), sent[:16], key)
        assert word == "Thing" and key in (b"key-001", b"key-002")
        assert cfb.encrypt(CRYPTO_KEY.encode(), sent[:16], key) == sent[16:]


async def test_other_implementations_agree():
    for row in json.loads(read("secure_bootstrap_vectors.json")):
        wire = answer(unhexlify(row["response_json"]["wire_hex_iv_plus_ct"]))
        if len(row["key_ascii"]) == 24:
            await refused(BadRequest, "16 or 32 bytes", crypto_key=row["key_ascii"])
            continue
        found, requests = await ask(wire, crypto_key=row["key_ascii"])
        assert same(found, row["response_json"]["plaintext"])
        # This test's IV is fixed; the vector's first one is the same.
        if row["iv_hex"].encode() == hexlify(IV):
            credential = row["auth_external_key"]["wire_hex_iv_plus_ct"].encode()
            assert b"Authorization: Client " + credential in lines(requests[0])


async def test_framing_and_content_type_do_not_matter():
    body = sealed(MINIMAL)
    until_close = b"HTTP/1.0 200 OK\r\n\r\n" + body
    for reply in (
        answer(body, headers="Content-Type: application/octet-stream\r\n"),
        answer(body, headers="Content-Type: text/html\r\n"),
        chunked(body, 7),
        until_close,
    ):
        found, _ = await ask(reply, **SECURE)
        assert same(found, MINIMAL)


async def test_every_iv_is_new():
    async with Server(*[[answer(sealed(MINIMAL))] for _ in range(3)]) as server:
        for _ in range(3):
            await bootstrap(Settings(server.url, **SECURE), ID)
    sent = [line for r in server.requests for line in lines(r) if b"Authorization" in line]
    assert len(sent) == 3 and len(set(sent)) == 3
    assert len({len(line) for line in sent}) == 1


# Damage


async def test_an_answer_cut_at_any_byte_is_refused():
    plain = vectors("magistrala-0.20-reader-vectors.jsonl")[1]["plain"]
    whole = sealed(plain)
    found, _ = await ask(answer(whole), **SECURE)
    assert same(found, plain)
    for size in range(len(whole)):
        result, _ = await ask(answer(whole[:size]), **SECURE)
        words = "does not decrypt" if size < 18 else "cut or damaged"
        kind = Unauthorised if size < 18 else Transient
        assert type(result) is kind and words in str(result), (size, result)


async def test_a_connection_cut_at_any_byte_is_transient():
    whole = sealed(MINIMAL)
    for reply in (answer(whole), chunked(whole, 30)):
        start = reply.find(b"\r\n\r\n") + 4
        for size in range(start, len(reply)):
            result, _ = await ask(reply[:size], **SECURE)
            assert type(result) is Ended, (size, result)


async def test_an_answer_without_a_length_cut_at_any_byte_is_refused():
    whole = b"HTTP/1.0 200 OK\r\n\r\n" + sealed(MINIMAL)
    for size in range(len(whole) - len(MINIMAL) - 16, len(whole)):
        result, _ = await ask(whole[:size], **SECURE)
        assert isinstance(result, Transient), (size, result)


async def test_garbage_and_text_are_told_apart():
    garbage = bytes((i * 73 + 129) & 255 for i in range(400))
    await refused(Unauthorised, "does not decrypt", answer(garbage), **SECURE)
    await refused(Unauthorised, "does not decrypt", answer(sealed("\xff" * 50)), **SECURE)
    await refused(Unauthorised, "does not decrypt", answer(sealed("[1, 2, 3]")), **SECURE)
    damaged = sealed(b'{"client_id":"\xff"}')
    await refused(Transient, "cut or damaged", answer(damaged), **SECURE)
    html = answer("<!DOCTYPE html><html>log in</html>", headers="Content-Type: text/html\r\n")
    await refused(Transient, "expected encrypted bytes, got text: text/html", html, **SECURE)
    text = await refused(Transient, "expected encrypted", answer(MINIMAL), **SECURE)
    assert "s1" not in text


# Keys


async def test_a_wrong_crypto_key_is_recognised():
    for plain in (MINIMAL, vectors("magistrala-0.20-reader-vectors.jsonl")[1]["plain"]):
        body = answer(sealed(plain))
        for key in ("1234567891011121", "v7aT0HGxJxt2gULzr3RHwf4WIf6DusPp"):
            text = await refused(Unauthorised, "does not decrypt", body, crypto_key=key)
            assert "check crypto_key (clients takes it as the key's own characters)" in text


async def test_keys_of_a_wrong_length_are_not_used():
    for key in ("a", "a" * 15, "a" * 24, "a" * 33, "a" * 50, CRYPTO_KEY * 2):
        text = await refused(BadRequest, "expected a key of 16 or 32 bytes", crypto_key=key)
        assert "got %d" % len(key) in text and "own characters" in text, text


async def test_keys_of_a_wrong_form_are_not_used():
    # Hexadecimal where text is expected: twice as long.
    text = hexlify(CRYPTO_KEY.encode()).decode()
    await refused(BadRequest, "own characters): AES: expected a key of 16 or", crypto_key=text)
    for key in (
        "v7aT0HGxJxt2gULzr3RHwf4WIf6DusPp",
        CRYPTO_KEY[:-1],
        "0x" + CRYPTO_KEY[2:],
        "ü" * 8,
    ):
        values = {"crypto_key": key, "bootstrap_profile": "mainflux"}
        await refused(BadRequest, "as hexadecimal digits): got others", **values)
    for key in (CRYPTO_KEY[:24], CRYPTO_KEY[:24] * 2, CRYPTO_KEY * 3):
        values = {"crypto_key": key, "bootstrap_profile": "mainflux"}
        text = await refused(BadRequest, "hexadecimal digits): AES: expected a key of", **values)
        assert "got %d" % (len(key) // 2) in text


async def test_both_ways_to_write_the_same_key():
    # A key of 32 hexadecimal digits fits either profile; only one of them is right.
    for values, key in ((SECURE, CRYPTO_KEY), (LEGACY, unhexlify(CRYPTO_KEY))):
        found, _ = await ask(answer(sealed(MINIMAL, key)), **values)
        assert found.secret == "s1"
        other = LEGACY if values is SECURE else SECURE
        await refused(Unauthorised, "does not decrypt", answer(sealed(MINIMAL, key)), **other)


async def test_large_answers_are_refused_in_the_secure_route_too():
    body = sealed(b'{"content":"' + b"x" * 20000)
    await refused(Rejected, "at most 16384 bytes, got 20028", answer(body), **SECURE)
    await refused(Rejected, "at most 16384 bytes, got more", chunked(body, 4000), **SECURE)
