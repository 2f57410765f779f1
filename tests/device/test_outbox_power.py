# The outbox while the power fails: before, during and after every operation of the flash. What
# was saved is there at the next start, in order, whole, and nothing else is.
from littlefs import Disk, Ended
from outbox_store import Log, Server, Ticks, fill, numbered
from test_files_power import each_cut

from instar.errors import Transient
from instar.outbox import Outbox
from instar.store import Store

FOLDER = "/store"
LIMIT = 4 * 4096


class DeadLog(Log):
    """Where only a power cut makes the flash fail: what is told then is told by a dead board.

    (Closing a file without power is an OSError, which the outbox survives as it should.)
    """

    def __call__(self, level, text):
        if " not " in text:
            raise Ended(text)
        Log.__call__(self, level, text)


class Life:
    """One start of a board that publishes, and what it knows to be safe, and to be sent."""

    def __init__(self, first=0, limit=LIMIT, log=None):
        self.log = log or Log()
        self.outbox = Outbox(Store(FOLDER), limit=limit, save_interval=600, note=self.log)
        self.clock = Ticks()
        self.put = first  # the next number
        self.saved = first  # all below are on flash, were sent, or lost
        self.sent = []

    def fill(self, count, size=200, topic="t"):
        self.put += count
        fill(self.outbox, self.put - count, self.put, size, topic)

    def save(self):
        self.outbox.save()
        self.saved = self.put

    def tick(self):
        self.clock.ms += 600000
        self.outbox.tick()
        self.saved = self.put

    def deliver(self, batches=None, barred=()):
        """Send so many batches, and no more; or all."""
        away = [] if batches is None else [None] * batches + [Transient("away")]
        server = Server(*away, barred=barred)
        try:
            _run(self.outbox.drain(server.send))
        except Transient:
            pass  # as told
        finally:
            self.sent.extend(_number(body) for _, body in server.got)


def _number(body):
    number = int(body.split(b" ")[0])
    assert body == numbered(number, len(body)) and len(body) in (60, 200)
    return number


def _run(coroutine):
    # Nothing here waits: so it ends at its first step, also inside of a running loop.
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("waits")


def sweep(disk, image, act, limit=LIMIT, check=None):
    """Cut the power everywhere in act(); after each cut check what the next start delivers."""
    check = check or check_order
    lives = []

    def action():
        lives[:] = ()
        act(lives)

    cuts = 0
    for _ in each_cut(disk, image, action):
        cuts += 1
        if lives:
            check(lives, limit)
    assert cuts > 10, cuts


def check_moved(lives, limit):
    # Order apart: what was safe comes, if it was not sent; and nothing is left.
    before = lives[-1]
    after = Life(before.put, limit)
    after.deliver()
    assert after.log.lines == [], after.log.lines
    known = set(before.sent + after.sent)
    assert all(number in known for number in range(before.saved)), (before.saved, known)
    assert Store(FOLDER).names() == [] and before.outbox.lost == 0


def check_order(lives, limit):
    before = lives[-1]
    sent = [number for life in lives for number in life.sent]
    lost = sum(life.outbox.lost for life in lives)
    after = Life(before.put, limit)
    after.deliver()
    assert after.log.lines == [], after.log.lines
    assert after.sent == sorted(set(after.sent)), after.sent
    assert all(number < before.put for number in after.sent)
    known = set(sent + after.sent)
    assert all(number in known for number in range(lost, before.saved)), (before.saved, known)
    # Nothing but what could not be known to be sent comes twice, and all of that together.
    twice = [number for number in after.sent if number in sent]
    assert twice == sent[len(sent) - len(twice) :]
    assert Store(FOLDER).names() == []


def test_saves_and_full_segments():
    def act(lives):
        life = Life(log=DeadLog())
        lives.append(life)
        life.fill(3)
        life.tick()
        life.fill(30)
        life.save()
        life.fill(2)
        life.tick()

    with Disk({FOLDER: None}) as disk:
        sweep(disk, disk.image(), act)


def test_a_start_that_goes_on_with_what_was_saved():
    def act(lives):
        for _ in range(4):
            lives.append(Life(lives[-1].put if lives else 0, log=DeadLog()))
            lives[-1].fill(5)
            lives[-1].save()

    with Disk({FOLDER: None}) as disk:
        sweep(disk, disk.image(), act)


def test_sending_segments_and_what_is_saved_of_them():
    def act(lives):
        life = Life(40, log=DeadLog())
        lives.append(life)
        life.deliver(2)
        life.fill(3)
        life.save()
        life.deliver(2)
        life.fill(20)
        life.tick()
        life.deliver()

    with Disk({FOLDER: None}) as disk:
        life = Life()
        life.fill(40)
        life.save()
        sweep(disk, disk.image(), act)


def moving(first, *fillings):
    # A board whose topic "a" is refused: the batches move while all kinds of saving go on.
    def act(lives):
        life = Life(first, log=DeadLog())
        lives.append(life)
        for count, topic in fillings:
            life.deliver(barred="a")
            life.fill(count, topic=topic)
            life.deliver(barred="a")
            life.tick()
            life.deliver(barred="a")
        life.save()
        life.deliver(barred="a")
        life.fill(1)
        life.save()

    return act


def test_a_batch_that_moves_within_ram_after_it_was_saved():
    with Disk({FOLDER: None}) as disk:
        life = Life()
        life.fill(2, topic="a")
        life.fill(3, topic="b")
        life.save()
        act = moving(5, (2, "b"), (1, "c"), (1, "a"), (9, "b"))
        sweep(disk, disk.image(), act, check=check_moved)


def test_batches_that_move_out_of_segments():
    with Disk({FOLDER: None}) as disk:
        life = Life()
        for topic in "abab":
            life.fill(10, topic=topic)
        life.save()
        act = moving(40, (2, "b"), (1, "a"), (8, "a"))
        sweep(disk, disk.image(), act, check=check_moved)


def test_the_oldest_goes_where_the_limit_is_reached():
    limit = 2 * 4096

    def act(lives):
        life = Life(limit=limit, log=DeadLog())
        lives.append(life)
        life.fill(60)
        life.save()
        life.fill(20)
        life.save()
        assert life.outbox.lost >= 30

    with Disk({FOLDER: None}) as disk:
        sweep(disk, disk.image(), act, limit)


def test_a_flash_that_is_full_costs_the_oldest_and_no_error():
    with Disk({"/data": b"x" * 4096 * 36}, sectors=44) as disk:
        life = Life(limit=1 << 20)
        life.fill(300)
        assert life.outbox.lost > 0 and life.log.has("not saved: ")
        life.save()
        disk.on()
        after = Life(300)
        after.deliver()
        assert after.sent == list(range(after.sent[0], 300)) and len(after.sent) > 30
        assert after.sent[0] == life.outbox.lost


def test_the_flash_is_not_touched_while_the_network_is_there():
    with Disk({FOLDER: None}) as disk:
        life = Life()
        before = disk.ops
        for _ in range(100):
            life.fill(5)
            life.deliver()
            life.clock.ms += 60000
            life.outbox.tick()
        assert len(life.sent) == 500 and disk.ops == before


def test_the_operations_of_an_outage_are_bounded():
    # A segment is an erase, up to 15 programs of 256 bytes, and the names of the record.
    with Disk({FOLDER: None}) as disk:
        life = Life(limit=1 << 20)
        before = disk.ops
        for minute in range(240):
            life.fill(1, size=60)
            life.clock.ms = minute * 60000
            life.outbox.tick()
        assert disk.ops - before < 24 * (240 * 63 // 3400 + 24)
