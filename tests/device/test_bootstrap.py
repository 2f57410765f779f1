# When the board asks the Bootstrap service, how long it waits, what it does with the answer. The
# service and the records are scripted; time is this file's own.
import asyncio
import sys
import time

from instar import stopwatch
from instar.bootstrap import Bootstrapper
from instar.errors import Broken, Rejected, Transient, Unauthorised


class BadRequest(Rejected):
    pass


class Ticks:
    """time, as far as a Stopwatch asks for it."""

    now = 0
    ticks_diff = staticmethod(time.ticks_diff)

    @classmethod
    def ticks_ms(cls):
        return cls.now


def passes(seconds):
    """Hours go by, and somebody looks at the clock now and then."""
    Ticks.now = time.ticks_add(Ticks.now, int(seconds * 1000))


class Settings:
    def __init__(self, **values):
        self.retry_interval = 60
        self.retry_interval_max = 240
        self.bootstrap_slow_interval = 900
        self.bootstrap_after_refusals = 3
        self.bootstrap_after_silence = 3600
        self.configuration_timeout = 1800
        self.update_server = "mender"
        self.external_id = ""
        self.identity = {}
        self.configured = True
        self.on_trial = False
        self.digest = "d1"
        self.problem = None
        self.http_timeout = 30
        self.store = "the store"
        for name, value in values.items():
            setattr(self, name, value)


class World:
    """The host, its board, and the modules that bootstrap.py asks for: all that is heard of them
    is in `said`."""

    def __init__(self, answers=(), taken=True, flash_error=None, **values):
        stopwatch.time = Ticks
        self.said = []
        self.settings = Settings(**values)
        self.board = self
        self._answers = list(answers)
        self._taken = taken
        self.flash_error = flash_error
        self.offline = False
        self.bootstrapper = Bootstrapper(self)

    def modules(self):
        world = self

        class Module:
            @staticmethod
            async def bootstrap(settings, external_id, feed):
                world.said.append("asked as " + external_id)
                answer = world._answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return answer

            @staticmethod
            def take(settings, answer):
                world._flash("take " + answer)
                return world._taken

            @staticmethod
            def prove(store):
                world._flash("prove")

            @staticmethod
            def drop(store, why):
                world._flash("drop: " + why)

        Module.BadRequest = BadRequest
        for name in ("servers.magistrala", "servers.magistrala.bootstrap", "configuration"):
            sys.modules["instar." + name] = Module

    def _flash(self, text):
        if self.flash_error:
            raise self.flash_error
        self.said.append(text)

    def identity(self):
        return {"mac": "02:00:00:00:00:01"}

    def reset(self):
        self.said.append("reset")

    def leaving(self):
        self.said.append("leaving")

    def beat(self):
        pass

    async def online(self):
        if self.offline:
            raise Transient("no Wi-Fi")

    async def disconnect(self):
        pass

    def emit(self, event, **info):
        self.said.append(event + " " + (info.get("state") or info.get("message")))

    async def attempt(self):
        self.modules()
        self.said.clear()
        await self.bootstrapper._attempt()
        return self.said

    def call(self, name, *args):
        self.modules()
        self.said.clear()
        getattr(self.bootstrapper, name)(*args)
        return self.said


def near(value, expected):
    return expected * 0.74 <= value <= expected * 1.26


async def test_a_blank_board_asks_at_once_and_restarts_with_what_it_got():
    world = World(["answer"], configured=False)
    assert world.bootstrapper.due
    assert await world.attempt() == [
        "bootstrap asked",
        "asked as 02:00:00:00:00:01",
        "take answer",
        "bootstrap taken",
        "leaving",
        "reset",
    ]


async def test_the_names_it_may_have():
    world = World(["answer"], external_id="SN-17")
    assert "asked as SN-17" in await world.attempt()
    world = World(["answer"], identity={"mac": "aa", "x": "y"})
    assert "asked as aa" in await world.attempt()


def test_a_configured_board_does_not_ask():
    world = World()
    passes(100000)
    assert not world.bootstrapper.due


async def test_who_is_not_known_waits_long():
    for error in (Unauthorised("404: unknown"), Rejected("content: expected"), Broken("flash")):
        world = World([error] * 3, configured=False)
        for _ in range(3):
            assert f"error bootstrap: {error}" in await world.attempt()
            assert near(world.bootstrapper.wait, 900) and not world.bootstrapper.due
            passes(world.bootstrapper.wait - 1)
            assert not world.bootstrapper.due
            passes(2)
            assert world.bootstrapper.due


async def test_a_service_that_is_away_is_asked_sooner_and_then_less_often():
    errors = [Transient("503"), OSError(113), MemoryError(), Transient("no answer")]
    world = World(errors, configured=False)
    for expected in (60, 120, 240, 240):
        await world.attempt()
        assert near(world.bootstrapper.wait, expected)
        passes(world.bootstrapper.wait)


async def test_what_the_service_asks_to_wait_is_obeyed():
    world = World([Transient("429", retry_after=700)], configured=False)
    await world.attempt()
    assert world.bootstrapper.wait == 700


async def test_a_request_that_is_wrong_is_not_repeated_until_somebody_asks():
    world = World([BadRequest("400"), "answer"], configured=False)
    assert "bootstrap stopped" in await world.attempt()
    passes(400000)
    assert not world.bootstrapper.due and world.bootstrapper.wait == 86400
    world.bootstrapper.ask()
    assert world.bootstrapper.due
    assert "reset" in await world.attempt()


async def test_it_may_be_asked_for_at_any_time():
    world = World([Transient("503")])
    world.bootstrapper.ask()
    assert world.bootstrapper.due
    await world.attempt()
    assert not world.bootstrapper.due  # waits like any other
    passes(80)
    assert world.bootstrapper.due
    world.bootstrapper.ask()
    assert world.bootstrapper.wait == 0


async def test_refused_often_enough_in_a_row():
    world = World(["same"], taken=False)
    boot = world.bootstrapper
    for _ in range(2):
        boot.heard("mender", Unauthorised("401"))
    boot.heard("mender")
    for _ in range(2):
        boot.heard("mender", Unauthorised("401"))
        boot.heard("magistrala", Unauthorised("401"))
    assert not boot.due
    boot.heard("mender", Unauthorised("401"))
    assert boot.due
    assert (await world.attempt())[-1] == "bootstrap unchanged"
    assert not boot.due
    boot.heard("mender", Unauthorised("401"))
    assert not boot.due  # counted anew


async def test_silent_for_long_enough():
    world = World(["same"], taken=False)
    boot = world.bootstrapper
    boot.heard("mender", Transient("no route"))
    passes(3000)
    boot.heard("mender", Transient("no route"))
    assert not boot.due
    passes(600)
    assert boot.due
    boot.heard("mender")
    assert not boot.due
    boot.heard("mender", Transient("no route"))
    passes(3000)
    boot.heard("mender", Unauthorised("401"))  # it was reached, after all
    passes(3000)
    assert not boot.due


def test_the_first_success_proves_a_new_configuration():
    world = World(on_trial=True)
    assert world.call("heard", "magistrala") == []
    assert world.call("heard", "mender") == ["prove", "configuration proven"]
    assert world.settings.on_trial is False
    assert world.call("heard", "mender") == []


def test_without_updates_a_message_that_was_taken_is_the_proof():
    world = World(on_trial=True, update_server="")
    assert world.call("heard", "magistrala", Rejected("400")) == []
    assert world.call("heard", "magistrala") == ["prove", "configuration proven"]


def test_a_proof_that_the_flash_does_not_take_is_tried_again():
    for error in (OSError(28), Broken("flash"), MemoryError("full")):
        world = World(on_trial=True, flash_error=error)
        said = world.call("heard", "mender")
        assert len(said) == 1 and said[0].startswith("error configuration: ")
        assert world.settings.on_trial
        world.flash_error = None
        assert "prove" in world.call("heard", "mender")


def test_a_trial_is_over_after_its_time():
    world = World(on_trial=True)
    passes(1799)
    assert not world.bootstrapper.due
    passes(2)
    assert world.bootstrapper.due
    assert world.call("_drop") == [
        "drop: nothing worked within 1800 s",
        "configuration dropped",
        "leaving",
        "reset",
    ]
    world = World(on_trial=False)
    passes(400000)
    assert not world.bootstrapper.due


def test_a_drop_that_the_flash_does_not_take_ends_in_a_reset_all_the_same():
    world = World(on_trial=True, flash_error=OSError(28))
    said = world.call("_drop")
    assert said[0].startswith("error configuration: ") and said[-1] == "reset"


async def test_what_was_just_dropped_is_not_asked_for_at_once():
    world = World(["answer"], configured=False, problem="configuration: the new one was dropped")
    assert not world.bootstrapper.due and near(world.bootstrapper.wait, 900)
    passes(world.bootstrapper.wait + 1)
    assert world.bootstrapper.due
    world = World(["answer"], configured=False, problem="configuration: the new one was dropped")
    world.bootstrapper.ask()
    assert world.bootstrapper.due


async def step(world):
    world.modules()
    try:
        await world.bootstrapper.step()
    except Transient as error:
        return error
    return None


async def test_a_network_that_is_away_is_waited_for():
    world = World(["answer"], configured=False, update_server="")
    world.offline = True
    for expected in (60, 120, 240):
        error = await step(world)
        assert near(error.retry_after, expected) and not world.bootstrapper.due
        assert "error bootstrap: no Wi-Fi" in world.said
        passes(world.bootstrapper.wait + 1)
    world.offline = False
    await step(world)
    assert "take answer" in world.said


async def test_a_board_with_servers_of_its_own_goes_on_without_a_configuration():
    world = World([Unauthorised("404")], configured=False)
    assert await step(world) is None
    assert "error bootstrap: 404" in world.said


async def test_an_answer_that_never_ends_is_given_up():
    world = World(configured=False, http_timeout=0)
    world.modules()

    class Slow:
        BadRequest = BadRequest

        @staticmethod
        async def bootstrap(settings, external_id, feed):
            await asyncio.sleep(100)

    sys.modules["instar.servers.magistrala.bootstrap"] = Slow
    await world.bootstrapper._attempt()
    assert any("expected a whole answer within" in text for text in world.said)
    assert near(world.bootstrapper.wait, 60)


def test_a_trial_is_left_alone_unless_somebody_asks():
    world = World(on_trial=True)
    for _ in range(9):
        world.bootstrapper.heard("mender", Unauthorised("401"))
    assert not world.bootstrapper.due
    world.bootstrapper.ask()
    assert world.bootstrapper.due
