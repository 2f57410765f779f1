# Bodies that are made to fill the heap: on a small one each of them is refused, or becomes a value
# that is no larger than it came, and nothing of it stays.
import gc
import json

from scripted import raises
from test_http_memory import Full

from instar.errors import Rejected, Transient
from instar.http.response import Response
from instar.servers.magistrala.answer import parse
from instar.servers.mender.shapes import to_deployment, token
from instar.servers.murano import Murano
from instar.servers.murano.form import decode
from instar.servers.murano.offer import read

ROOM = 96 << 10  # bytes of heap, where pointers have 8 of them
URL = "http://a.example/"


def answered(body, headers=None):
    response = Response(
        URL, "GET", (200, "", headers or {"content-length": "0"}, True), None, None
    )
    response.content = body
    return response


def bombs(size):
    """Bodies of about `size` bytes."""
    return (
        b"[" * size,
        b'{"":' * (size // 4),
        b'{"id":' * (size // 6),
        b"[" + b"0," * (size // 2 - 1) + b"0]",
        b"[" + b"[]," * (size // 3 - 1) + b"0]",
        b"{" + b",".join(b'"%x":1' % i for i in range(size // 9)) + b"}",
        b'{"id":' + b"9" * (size - 10) + b"}",
        b'{"id":1e' + b"9" * (size - 10) + b"}",
        b'"' + b"x" * (size - 2) + b'"',
        b'"' + b"\\u00e4" * (size // 6) + b'"',
        b'"' + b"\xff" * (size - 2) + b'"',
        b" " * size,
        b"\xff" * size,
        b"\x1f\x8b\x08\0" + bytes(size),
        b"%" * size,
        b"&" * size,
        b"a&" * (size // 2),
        b"a=%ff" * (size // 5),
    )


def refusals(kinds, take, bodies, room=ROOM):
    """How many of the bodies are refused with an error of these kinds, on a heap with that room.
    A heap that is too small is no answer."""
    found = 0
    with Full(room):
        for body in bodies:
            try:
                take(body)
            except kinds as error:
                assert len(str(error)) < 300, str(error)
                found += 1
    return found


def of_all_sizes(most=16384):
    return [body for size in (512, most // 2, most) for body in bombs(size)]


def test_bombs_in_json_are_no_deployment_and_no_token():
    responses = [answered(body) for body in of_all_sizes()]
    assert refusals(Transient, to_deployment, responses) == len(responses)
    assert refusals(Transient, token, responses) == len(responses)


def test_bombs_in_offers_are_no_offer():
    texts = [body.decode() for size in (512, 4096, 16384) for body in bombs(size)[:10]]
    assert refusals(Rejected, lambda text: read(text, "esp32"), texts) == len(texts)


def test_bombs_in_a_configuration_are_none():
    bodies = of_all_sizes()
    assert refusals((Rejected, Transient), parse, bodies) == len(bodies)


def test_bombs_in_forms_are_bounded():
    def length(body):
        return sum(len(name) + len(value) for name, value in decode(body))

    bodies = of_all_sizes(8192)
    assert refusals(Transient, length, bodies) == sum(b.count(b"&") > 255 for b in bodies)
    assert all(length(body) <= len(body) for body in bodies if b"&" not in body)


def test_a_form_of_many_escapes_is_read():
    value = bytes(range(256)) * 15
    pairs = decode(b"a=" + b"".join(b"%%%02x" % byte for byte in value) + b"&b=%4&c=%zz%41&d=%")
    assert [len(pairs[0][1]), pairs[1:]] == [3840, [("b", "%4"), ("c", "%zzA"), ("d", "%")]]
    assert pairs[0][1][:256] == bytes(range(128)).decode() + "".join(
        chr(code) for code in range(128, 256)
    )


async def test_what_time_it_is_has_bounds():
    class Bare(Murano):
        def __init__(self, body):
            self.body = body

        async def send(self, method, path, auth):
            return answered(self.body)

    assert await Bare(b"4102444800").timestamp() == 4102444800
    for body in (b"4102444801", b"999999999999", b"-1", b"9" * 16384, b"1e9", "²".encode()):
        await raises(Transient, "timestamp: expected seconds", Bare(body).timestamp())


def left():
    gc.collect()
    gc.collect()
    return gc.mem_free()


def test_strange_characters_are_not_kept():
    """MicroPython keeps what a loop or an index takes out of a str."""
    from instar.artifact.strictjson import parse as strict
    from instar.artifact.utf8 import decode as utf8
    from instar.artifact.utf8 import is_printable

    def text(first):
        out = bytearray()
        for code in range(first, first + 500):
            out.extend(bytes((0xE0 | code >> 12, 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F)))
        return bytes(out)

    def take(first):
        raw = text(first)
        assert is_printable(utf8(raw))
        assert strict(b'"' + raw + b'\\u0041"', "x") == raw.decode() + "A"
        pair = b'"\\ud83d\\ude00"'
        assert strict(pair, "x").encode() == b"\xf0\x9f\x98\x80"
        body = json.dumps({"id": raw.decode()[:80], "content": {}}).encode()
        assert parse(body).client_id == raw.decode()[:80]
        offer = {"version": raw.decode()[:80], "name": "n", "type": "FILE", "payload": "c"}
        assert read(json.dumps(offer), "esp32").artifact_name == raw.decode()[:80]
        decode(b"a=" + raw + b"%ff")

    take(0x4000)
    free = left()
    for first in range(0x5000, 0x6000, 500):
        take(first)
    assert free - left() < 512, free - left()
