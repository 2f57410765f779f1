# A Murano that keeps what is recorded, and a board that records: for the tests of recorder.py.
#
#   async with Product("lose", "cut") as product:     # what becomes of the first two requests
#       board = Board(product)
#       board.recorder.record("temperature", 21)
#       await board.deliver()
#   assert product.shelf.values("temperature") == ["21"]
import os

from scripted import Server, answer, read_request, send

import instar.recorder
from instar.clock import FLOOR
from instar.errors import Rejected, Transient, Unauthorised
from instar.recorder import Recorder
from instar.servers.murano import Murano
from instar.settings import Settings
from instar.store import Store

TOKEN = "97eWgtm9Et5VxwuJT8NiOK7w27Ly2GS092oSxgpW"
NOW = 1795305600123456
POWER_ON = 946684800000000  # what the RTC says then, on an ESP32


class Shelf:
    """What a product holds: one value for each alias and time, and in which order they came."""

    def __init__(self):
        self.taken = []  # (alias, time, value), as they are in a request
        self.batches = []  # how many each request had, stored or not

    def take(self, body):
        """Store what is new of a record's body; returns (alias, time) of the rest."""
        entries, conflicts, alias = [], [], None
        for pair in body.split("&"):
            key, _, value = pair.partition("=")
            if key == "alias":
                alias = value
            else:
                entries.append((alias, key, value))
        known = {(alias, time): True for alias, time, _ in self.taken}
        for alias, time, value in entries:
            if (alias, time) in known:
                conflicts.append((alias, time))
            else:
                known[alias, time] = True
                self.taken.append((alias, time, value))
        self.batches.append(len(entries))
        return conflicts

    def values(self, alias):
        return [value for name, _, value in self.taken if name == alias]

    def times(self, alias):
        return [time for name, time, _ in self.taken if name == alias]


class Direct:
    """In place of the class Murano: as far as a Recorder sees it, and without a connection.

    fates: what becomes of the next records: an exception to raise, "lose" (stored, no answer), or
    None. refuses: whether an entry makes a request a bad one; `requests` counts those.
    """

    def __init__(self, *fates):
        self.shelf = Shelf()
        self.fates = list(fates)
        self.refuses = lambda text: False
        self.requests = 0

    async def record(self, entries):
        self.requests += 1
        if any(self.refuses(text) for text in entries):
            raise Rejected("record: expected 204, got 400")
        fate = self.fates.pop(0) if self.fates else None
        if isinstance(fate, Exception):
            raise fate
        conflicts = []
        for text in entries:
            conflicts += self.shelf.take(text)
        if fate:
            raise Transient("the answer was lost")
        return conflicts


class Product(Server):
    """The same over HTTP. fates: "lose" (stored, then the connection closes), "cut" (it closes),
    a status; of the next requests, and None for one that is answered as Murano does."""

    def __init__(self, *fates):
        super().__init__()
        self.shelf = Shelf()
        self.fates = list(fates)

    async def _serve(self, reader, writer):
        self.accepted += 1
        while request := await read_request(reader):
            self.requests.append(request)
            said = self._answer(request)
            if said is None:
                break
            await send(writer, said)
        writer.close()
        await writer.wait_closed()

    def _answer(self, request):
        head, _, body = request.partition(b"\r\n\r\n")
        if head.startswith(b"POST /provision/activate "):
            return answer(status="409 Conflict")
        assert head.startswith(b"POST /onep:v1/stack/record HTTP/1.1\r\n"), head
        assert TOKEN.encode() in head
        fate = self.fates.pop(0) if self.fates else None
        if fate == "cut":
            return None
        if fate and fate != "lose":
            return answer(b"no", status=fate)
        conflicts = self.shelf.take(body.decode())
        if fate == "lose":
            return None
        if conflicts:
            text = "&".join([f"{alias}={time}" for alias, time in conflicts])
            return answer(text, status="409 Conflict")
        return answer(status="204 No Content")


class Clock:
    """What the host's clock says, microseconds since 1970, or None. rtc: what the RTC said when
    the recorder's ticks were 0; it is set as clock.py does."""

    us = NOW
    floor_us = FLOOR * 1000000
    moved_us = 0

    def __init__(self, rtc):
        self.rtc = rtc

    def stamp_us(self):
        return self.us

    def rtc_us(self):
        return self.rtc + instar.recorder.time.ticks_ms() * 1000

    def set(self, us):
        """The RTC is set."""
        self.moved_us += us - self.rtc_us()
        self.rtc += us - self.rtc_us()


class Ticks:
    """In place of the module time of the recorder, with ticks as an ESP32 has them."""

    def __init__(self, ms=0):
        self.ms = ms
        instar.recorder.time = self

    def ticks_ms(self):
        return self.ms % (1 << 30)

    def ticks_diff(self, later, earlier):
        return (later - earlier + (1 << 29)) % (1 << 30) - (1 << 29)


class Board:
    """One start of a board that records. product: a Product, or a Direct. rtc: see Clock."""

    def __init__(
        self, product=None, root=None, store=None, murano_url=None, rtc=POWER_ON, **values
    ):
        self.root = root or f"/tmp/instar-recorder-{os.urandom(6).hex()}"
        url = getattr(product, "url", "http://127.0.0.1:1") if murano_url is None else murano_url
        given = {
            "murano_url": url,
            "murano_token": TOKEN,
            "allow_plain_http": True,
            "retry_interval": 1,
            "retry_interval_max": 1,
        }
        given.update(values)
        self.settings = Settings(given, store or Store(self.root))
        self.clock = Clock(rtc)
        self.events = []
        self.away = None  # the error that online() raises
        self._client = None
        self.murano = product
        self.direct = not isinstance(product, Server)
        if not self.direct:
            self.murano = Murano(self.settings, "02:00:00:00:00:01", self.client())
        self.recorder = Recorder(self)

    def emit(self, event, **info):
        info["event"] = event
        self.events.append(info)

    def client(self):
        if not self._client and not self.direct:
            from instar.servers import connect

            self._client = connect(self.settings, lambda: None, True)
        return self._client

    async def online(self):
        if self.away:
            raise self.away

    async def deliver(self, tries=1):
        """deliver() so often, or until nothing waits; returns what the last said."""
        error = None
        for _ in range(tries):
            error = await self.recorder.deliver()
            if not self.recorder.waiting:
                break
        return error

    async def off(self):
        """The end of this start: its connections close; what is in RAM is gone."""
        if self._client:
            await self._client.close()

    @property
    def errors(self):
        return [event["message"] for event in self.events if event["event"] == "error"]

    @property
    def lost(self):
        """How many records it told to be lost."""
        return sum(int(line.split(" ")[1]) for line in self.errors if " are lost: " in line)

    def recorded(self):
        """(records, conflicts) that it told, in all."""
        told = [event for event in self.events if event["event"] == "recorded"]
        return sum(e["records"] for e in told), sum(e["conflicts"] for e in told)
