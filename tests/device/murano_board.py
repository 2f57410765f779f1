# A board at a scripted Murano, for the tests of instar.servers.murano.
import asyncio
import json
from binascii import a2b_base64, crc32

from scripted import Server, answer

from instar.crypto.pem import from_pem
from instar.errors import Broken, Transient
from instar.http import Client
from instar.servers.murano import Murano
from instar.settings import Settings

ID = "12345678"
TOKEN = "22596363b3de40b06f981fb85d82312e8c0ed511"  # the document's
OTHER = "97eWgtm9Et5VxwuJT8NiOK7w27Ly2GS092oSxgpW"
PASSWORD = "correct-horse-battery"
FORM = b"application/x-www-form-urlencoded; charset=utf-8"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nServer: Murano\r\nConnection: Keep-Alive\r\n\r\n"
DENIED = answer(b"", status="401 Unauthorized")
CONFLICT = answer(b"", status="409 Conflict")
STAMP = answer(b"1408088308")
TIME = b"GET /timestamp"  # what opens the connection before a token is asked for
FIRST = b"POST /provision/activate"
PROBE = b"GET /onep:v1/stack/alias?instar"


def given(token=TOKEN):
    """Activation's answer, as the document prints it."""
    return answer(
        token,
        headers="Date: Fri, 05 May 2017 00:11:22 GMT\r\nServer: Murano\r\n"
        "Connection: Keep-Alive\r\nContent-Type: text/plain; charset=utf-8\r\n",
    )


class Records:
    """A Store in RAM. fail: raised by the next puts. log: what was changed, in order."""

    def __init__(self):
        self.records = {}
        self.log = []
        self.fail = []

    def get(self, name):
        if self.records.get(name) == b"damaged":
            raise Broken("damaged")
        return self.records.get(name)

    def put(self, name, data):
        if self.fail:
            raise self.fail.pop(0)
        if self.records.get(name) != data:
            self.log.append(bytes(data))
            self.records[name] = bytes(data)

    def move(self, name, to):
        self.log.append("%s > %s" % (name, to))
        self.records[to] = self.records.pop(name)

    def delete(self, name):
        self.records.pop(name, None)

    def names(self, prefix=""):
        return sorted(name for name in self.records if name.startswith(prefix))

    def get_json(self, name):
        data = self.get(name)
        return None if data is None else json.loads(data)

    def put_json(self, name, value):
        self.put(name, json.dumps(value).encode())


class Board:
    """One board, with a client that talks to `url` only. record: what it has stored."""

    def __init__(self, url, record=None, identity=ID, store=None, client=None, **values):
        values["murano_url"] = url
        values["allow_plain_http"] = True
        self.store = store or Records()
        self.name = "murano-%08x" % crc32((url.rstrip("/") + "\n" + identity).encode())
        if record:
            self.store.put_json(self.name, record)
            self.store.log = []
        self.identity = identity
        self.client = client
        self.settings = Settings(values, self.store)
        self.murano = self.start()

    def start(self):
        """Murano as after a start of the board."""
        client = self.client
        if not client:
            client = Client(allow_plain=True, timeout=5, user_agent="u", max_connections=1)
        return Murano(self.settings, self.identity, client, random=bytes)

    @property
    def record(self):
        return self.store.get_json(self.name)


async def talk(action, *answers, record=None, **values):
    """(what action(murano) returns, or its exception; the requests; the board): on one connection
    that gives these answers. No secret is in an error's text."""
    async with Server(list(answers)) as server:
        board = Board(server.url, record, **values)
        try:
            result = await action(board.murano)
        except Exception as error:
            result = error
            for secret in [TOKEN, OTHER, PASSWORD] + board.murano.secrets:
                assert not secret or secret not in str(error), str(error)
        await board.murano.client.close()
    return result, server.requests, board


async def data(action, *answers, **values):
    """talk() of a board that has its token."""
    return await talk(action, *answers, record={"token": TOKEN}, **values)


def expected(line, body=None, **headers):
    """A request as the document prints it, for lines(): _ in a header's name is a dash."""
    head = [line + b" HTTP/1.1", b"User-Agent: u"]
    if body is not None:
        head.append(b"Content-Length: %d" % len(body))
    for name, value in headers.items():
        head.append(name.replace("_", "-").encode() + b": " + value)
    return sorted(head), body or b""


def parts(request):
    """(sorted lines of the head but Host, body) of a request: the order of headers is free."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert [line for line in lines if line.startswith(b"Host: 127.0.0.1:")]
    return sorted(line for line in lines if not line.startswith(b"Host: ")), body


def asked(requests):
    """The method and the path of each request."""
    return [request.split(b" HTTP", 1)[0] for request in requests]


def failed(kind, words, result):
    """The result is an error of exactly this kind, with these words; its text."""
    assert type(result) is kind, repr(result)
    assert words in str(result), str(result)
    return str(result)


class Service:
    """Murano in place of an http.Client: one identity, which goes on while a board has no power.

    secret: what the board has to show, None before activation and after reset(). lose: that many
    answers are lost. pause: whether others run while it answers.
    """

    def __init__(self, secret=None, pause=False):
        self.secret = secret
        self.lose = 0
        self.pause = pause
        self.count = 0
        self.requests = []  # method and path
        self.shown = None  # the certificate of this connection
        self.presented = []  # all of them

    def reset(self):
        """What an operator does."""
        self.secret = None

    def present(self, cert, key):
        self.shown = cert
        self.presented.append(cert)

    async def request(self, method, url, headers, data, **options):
        path = "/" + url.split("/", 3)[3]
        self.requests.append("%s %s" % (method, path))
        said = self._answer(path, headers, data)
        if self.pause:
            await asyncio.sleep_ms(0)
        if self.lose:
            self.lose -= 1
            raise Transient("cut")
        return said

    def _answer(self, path, headers, data):
        shown = self._shown(headers)
        if path == "/timestamp":
            return Said(200, b"1408088308")
        if path != "/provision/activate":
            return Said(204 if self.secret and shown == self.secret else 401)
        if shown is None and self.secret:
            return Said(409)
        if shown is not None and shown != self.secret:
            return Said(401)
        if "password=" in data:
            self.secret = data.split("password=")[1]
            return Said(204)
        if "BEGIN" in data:
            self.secret = from_pem(data.encode())[0][1]
            return Said(204)
        self.count += 1
        self.secret = "%040d" % self.count
        return Said(200, self.secret.encode())

    def _shown(self, headers):
        if "Authorization" in headers:
            word = headers["Authorization"].split(" ")[1]
            return a2b_base64(word).decode().partition(":")[2]
        return headers.get("X-Exosite-CIK", self.shown)


class Said:
    """An answer of Service."""

    def __init__(self, status_code, content=b""):
        self.status_code = status_code
        self.content = content
        self.headers = {}

    def retry_after(self):
        return None

    async def close(self):
        pass
