# The power fails before, during and after every operation of the flash while a configuration is
# taken, proven, dropped or counted. Whenever the board starts again it has the old settings or the
# new ones, whole; and what was cut can be done again.
from answers import Answer, Board, pem
from littlefs import Disk, Ended
from test_files_power import each_cut

from instar import memory
from instar.configuration import MAX_STARTS, drop, prove, take

OLD = Answer({"instar": {"watchdog": 8}, "old": 1}, ca_cert=pem("ca.pem"))
NEW = Answer({"instar": {"watchdog": 9}, "new": [2]}, ca_cert=pem("ca-rsa.pem"))
NEWER = Answer({"instar": {"watchdog": 10}})
NO_ANSWER = Answer(digest="")


class PoweredBoard(Board):
    """On a LittleFS of its own, which may lose its power."""

    def __init__(self, *steps):
        memory.forget = lambda package: None  # importing anew for each cut takes seconds
        self.disk = Disk(sectors=24)
        Board.__init__(self, "/board")
        self.blank = self.disk.image()
        self.after(*steps)

    def after(self, *steps):
        """The flash is as after these steps on a blank one."""
        self.disk.on(self.blank)
        for step in steps:
            step(self)
        self.image = self.disk.image()

    def found(self):
        """The answer that is in use now; every part of the settings is of that one."""
        settings = self.start()
        for answer in (OLD, NEW, NEWER, NO_ANSWER):
            if settings.digest == answer.digest:
                break
        content = answer.content or {}
        values = content.get("instar", content)
        assert settings.watchdog == values.get("watchdog", 60)
        assert settings.application == {k: content[k] for k in content if k in ("old", "new")}
        assert len(settings.ca_certificates()) == bool(answer.ca_cert)
        return answer

    def each_cut(self, step):
        return each_cut(self.disk, self.image, lambda: self.doing(step))

    def doing(self, step):
        # A file that is closed without power raises an OSError in place of Ended. A board that
        # really lost its power does not live to see it.
        try:
            step(self)
        except OSError:
            if not self.disk._chip.off:
                raise
        if self.disk._chip.off:
            raise Ended("no power")

    def expect(self, step, before, after):
        """`step` with every cut: then the settings are those of one of these answers. Done once
        more without a cut it leads to `after`. Returns which answers there were after a cut."""
        seen = set()
        for cut in self.each_cut(step):
            answer = self.found()
            assert answer in before, (cut, answer.content)
            seen.add(answer.digest)
            step(self)
            self.disk.on()
            assert self.found() is after, cut
        return seen


def taken(answer):
    def step(board):
        take(board.start(), answer)

    return step


def proven(board):
    prove(board.store)


def dropped(board):
    drop(board.store, "nobody answered")


def started(board):
    board.start()


def test_the_first_configuration():
    board = PoweredBoard()
    with board.disk:
        seen = board.expect(taken(NEW), (NO_ANSWER, NEW), NEW)
        assert seen == {"", NEW.digest}


def test_another_configuration():
    board = PoweredBoard(taken(OLD), proven)
    with board.disk:
        seen = board.expect(taken(NEW), (OLD, NEW), NEW)
        assert seen == {OLD.digest, NEW.digest}


def test_another_one_while_one_is_on_trial():
    board = PoweredBoard(taken(OLD), proven, taken(NEW), started)
    with board.disk:
        seen = board.expect(taken(NEWER), (NEW, NEWER), NEWER)
        assert seen == {NEW.digest, NEWER.digest}


def test_another_one_after_one_was_dropped():
    board = PoweredBoard(taken(OLD), proven, taken(NEW), dropped)
    with board.disk:
        board.expect(taken(NEW), (OLD, NEW), NEW)


def test_proven():
    board = PoweredBoard(taken(OLD), proven, taken(NEW), started)
    with board.disk:
        assert board.expect(proven, (NEW,), NEW) == {NEW.digest}
        for _ in board.each_cut(proven):
            names = board.store.names()
            assert names == ["config"] or "config-new" in names  # no count without a trial
            board.start()
            proven(board)
            assert board.store.names() == ["config"]


def test_dropped():
    board = PoweredBoard()
    with board.disk:
        for first, before in (((), NO_ANSWER), ((taken(OLD), proven), OLD)):
            board.after(*first, taken(NEW), started)
            board.expect(dropped, (NEW, before), before)


def test_counting_a_start():
    board = PoweredBoard()
    with board.disk:
        for starts in (0, 1, 3):
            board.after(taken(OLD), proven, taken(NEW), *[started] * starts)
            board.expect(started, (NEW,), NEW)


def test_the_start_that_drops():
    board = PoweredBoard(taken(OLD), proven, taken(NEW), *[started] * (MAX_STARTS - 1))
    with board.disk:
        assert board.expect(started, (OLD,), OLD) == {OLD.digest}


def test_a_damaged_one_is_dropped():
    def damaged(board):
        board.store.put("config-new", b"no configuration")

    board = PoweredBoard(taken(OLD), proven, damaged)
    with board.disk:
        assert board.expect(started, (OLD,), OLD) == {OLD.digest}
