# What the tests of the outbox share: a store in RAM that counts and fails, a clock that is set,
# and a server that takes what is sent.
import instar.outbox
from instar.errors import Transient, Unauthorised
from instar.outbox import Outbox


class Records:
    """A Store in RAM. writes: how often the flash was changed. fail: raised by the next puts."""

    def __init__(self):
        self.records = {}
        self.writes = 0
        self.fail = []

    def get(self, name):
        return self.records.get(name)

    def put(self, name, data):
        if self.fail:
            raise self.fail.pop(0)
        if self.records.get(name) != bytes(data):
            self.writes += 1
            self.records[name] = bytes(data)

    def delete(self, name):
        self.writes += name in self.records
        self.records.pop(name, None)

    def names(self, prefix):
        return sorted(name for name in self.records if name.startswith(prefix))


class Ticks:
    """In place of the module time of the outbox: `ms` is what the clock says."""

    def __init__(self):
        self.ms = 0
        instar.outbox.time = self

    def ticks_ms(self):
        return self.ms

    def ticks_diff(self, later, earlier):
        return later - earlier


class Server:
    """Takes batches as drain() sends them; `errors` are raised by the next ones, None by none.

    during: functions that the next sendings call before anything was taken. barred: topics that
    are refused with Unauthorised, as often as they come.
    """

    def __init__(self, *errors, during=(), barred=()):
        self.batches = []
        self.errors = list(errors)
        self.during = list(during)
        self.barred = barred

    async def send(self, topic, bodies):
        if self.during:
            self.during.pop(0)()
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise error
        if topic in self.barred:
            raise Unauthorised("not connected to " + topic)
        self.batches.append((topic, bodies))

    @property
    def got(self):
        """All (topic, body) in order of arrival."""
        return [(topic, body) for topic, bodies in self.batches for body in bodies]

    @property
    def numbers(self):
        """What numbered() made, as numbers."""
        return [int(body.split(b" ")[0]) for _, body in self.got]


class Log:
    """note(level, text) for an Outbox."""

    def __init__(self):
        self.lines = []

    def __call__(self, level, text):
        self.lines.append(text)

    def has(self, words):
        return any(words in line for line in self.lines)


def numbered(number, size=60):
    """A body that tells its number and whether it is whole."""
    text = "%d " % number
    return (text + "x" * (size - len(text))).encode()


def fill(outbox, first, last, size=60, topic="t"):
    for number in range(first, last):
        outbox.put(topic, numbered(number, size))


async def delivered(store, **options):
    """The numbers that a new start of the board delivers."""
    server = Server()
    await Outbox(store, **options).drain(server.send)
    return server.numbers


async def drain_fails(outbox, server, kind=Transient):
    try:
        await outbox.drain(server.send)
    except kind:
        return
    raise AssertionError("expected %s" % kind.__name__)


def write(path, raw):
    with open(path, "wb") as file:
        file.write(raw)
