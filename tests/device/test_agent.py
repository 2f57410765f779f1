# The agent's loop against a fake server and board: what it asks, when, and what it tells.
import asyncio
import os
import time

from instar.agent import Agent
from instar.errors import Rejected, Transient, Unauthorised, Untrusted
from instar.joining import Joining
from instar.retry import Backoff
from instar.settings import Settings
from instar.store import Store


class Board:
    def __init__(self):
        self.fed = 0
        self.resets = 0
        self.offline = 0

    async def connect(self):
        if self.offline:
            self.offline -= 1
            raise Transient("no Wi-Fi")

    def feed(self):
        self.fed += 1

    def reset(self):
        self.resets += 1

    def reset_cause(self):
        return "PWRON_RESET"

    def set_clock(self, seconds):
        raise AssertionError("the host's clock is past the floor")

    def identity(self):
        return {"mac": "02:00:00:00:00:01"}

    def inventory(self):
        return {"board": "fake"}


class Server:
    """Answers from scripts; the last entry of a script is repeated."""

    def __init__(self, authorise=(None,), work=(None,)):
        self.calls = []
        self.scripts = {"authorise": list(authorise), "next": list(work)}

    def _play(self, name):
        script = self.scripts[name]
        entry = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(entry, Exception):
            raise entry
        return entry

    async def authorise(self, fresh=False):
        self.calls.append("authorise")
        self._play("authorise")

    async def report_inventory(self, attributes):
        self.calls.append("inventory")
        self.attributes = attributes

    async def next_deployment(self, provides):
        self.calls.append("next")
        self.provides = provides
        return self._play("next")

    async def report(self, deployment_id, status, substate=None):
        self.calls.append(f"{deployment_id} {status}")

    async def send_log(self, deployment_id, entries):
        self.calls.append(f"{deployment_id} log")

    async def open(self, deployment, offset):
        raise Rejected("no such file")


class Deployment:
    image = sha256 = named = None

    def __init__(self, name):
        self.id = self.artifact_name = name


def make(server, board=None, **values):
    root = f"/tmp/instar-agent-{os.urandom(6).hex()}"
    values["device_type"] = "esp32"
    values["ntp_host"] = ""
    values["retry_interval"] = values["retry_interval_max"] = 1
    board = board or Board()
    agent = Agent(Settings(values, Store(root)), board, server, installers={})
    agent.events = []
    agent.on_event = agent.events.append
    return agent


async def run(agent, until, limit=8):
    """Run the agent until an event of that name was seen `limit`-bounded."""
    task = asyncio.create_task(agent.run())
    for _ in range(limit * 100):
        await asyncio.sleep_ms(10)
        if until(agent):
            break
    else:
        raise AssertionError(f"not seen: {names(agent)}")
    task.cancel()
    await asyncio.sleep_ms(0)


def names(agent):
    return [event["event"] for event in agent.events]


async def test_a_quiet_turn():
    server = Server()
    agent = make(server)
    agent.inventory["room"] = "7"
    await run(agent, lambda a: "idle" in names(a))
    assert server.calls == ["authorise", "inventory", "next"]
    assert names(agent) == ["authorised", "inventory", "idle"]
    assert agent.events[-1]["seconds"] == 1800
    assert server.attributes["artifact_name"] == "unknown"
    assert server.attributes["device_type"] == "esp32"
    assert server.attributes["board"] == "fake" and server.attributes["room"] == "7"
    assert server.provides == {"artifact_name": "unknown", "device_type": "esp32"}


async def test_pending_until_accepted():
    server = Server(authorise=[Unauthorised("401")] * 2 + [None])
    agent = make(server)
    await run(agent, lambda a: "idle" in names(a))
    assert server.calls == ["authorise"] * 3 + ["inventory", "next"]
    assert names(agent)[:4] == ["pending", "retry", "pending", "retry"]


async def test_what_the_server_asks_to_wait_is_obeyed():
    agent = make(Server(authorise=[Transient("429", retry_after=7)]))
    await run(agent, lambda a: "retry" in names(a))
    assert agent.events[-1] == {"event": "retry", "seconds": 7}


async def test_no_server_gets_updates_out_of_a_board_faster_than_it_polls():
    """Each may erase a slot: an error with a short Retry-After is no way to the next one."""
    server = Server(work=[Deployment("d1"), Transient("503", retry_after=0)])
    agent = make(server)
    await run(agent, lambda a: "retry" in names(a))
    assert "d1 failure" in server.calls  # no installer here
    assert agent.events[-1] == {"event": "retry", "seconds": 1800}
    server.scripts["next"] = [Transient("503", retry_after=0)]
    agent.events.clear()
    await run(agent, lambda a: "retry" in names(a))
    assert agent.events[-1] == {"event": "retry", "seconds": 1}


async def test_after_a_refused_certificate_the_time_is_asked_again():
    server = Server(authorise=[Untrusted("not valid yet"), None])
    agent = make(server)
    asked = []

    async def told():
        asked.append(1)
        return time.time()

    agent.ask_time = told
    agent.board.set_clock = lambda seconds: None
    await run(agent, lambda a: "idle" in names(a))
    assert len(asked) == 2 and agent.clock.stamp_us() is not None


async def test_no_network_is_tried_again():
    board = Board()
    board.offline = 1
    server = Server()
    agent = make(server, board)
    await run(agent, lambda a: "idle" in names(a))
    assert agent.events[0] == {"event": "error", "message": "no Wi-Fi"}
    assert server.calls == ["authorise", "inventory", "next"]


async def test_a_refused_request_waits_for_the_next_interval():
    agent = make(Server(work=[Rejected("400: bad device type")]))
    await run(agent, lambda a: "retry" in names(a))
    assert agent.events[-1] == {"event": "retry", "seconds": 1800}
    assert agent.events[-2]["message"] == "400: bad device type"


async def test_the_interval_is_kept_and_poll_now_ends_it():
    server = Server()
    agent = make(server)
    task = asyncio.create_task(agent.run())
    await asyncio.sleep_ms(50)
    assert server.calls.count("next") == 1
    agent.poll_now()
    await asyncio.sleep_ms(1200)
    assert server.calls.count("next") == 2
    assert server.calls.count("inventory") == 1
    task.cancel()
    await asyncio.sleep_ms(0)


async def test_final_status_and_inventory_come_before_the_next_poll():
    server = Server(work=[Deployment("d1"), None])
    agent = make(server)
    await run(agent, lambda a: "idle" in names(a))
    assert server.calls == [
        "authorise",
        "inventory",
        "next",
        "d1 downloading",
        "d1 failure",
        "d1 log",
        "authorise",
        "inventory",
        "next",
    ]


async def test_a_server_that_never_stops_offering_gets_no_busy_board():
    server = Server(work=[Deployment("d1")])
    agent = make(server)
    await run(agent, lambda a: "idle" in names(a))
    assert server.calls.count("next") == 3


async def test_an_inventory_that_no_server_takes_does_not_stop_the_polls():
    class Strict(Server):
        async def report_inventory(self, attributes):
            raise Rejected("inventory: expected a number, got nan")

    server = Strict()
    agent = make(server)
    await run(agent, lambda a: "idle" in names(a))
    assert server.calls == ["authorise", "next"]
    assert "expected a number" in agent.events[1]["message"]


async def test_a_heap_that_stays_full_ends_in_a_reset():
    agent = make(Server(work=[MemoryError("allocating 4096 bytes")]))
    agent._backoff = Backoff(0, 0)
    errors = []
    agent.board.reset = lambda: errors.append(names(agent).count("error"))
    await run(agent, lambda a: errors)
    assert errors[0] == 4


async def test_an_event_callback_that_fails_is_not_the_agents_end():
    agent = make(Server())
    seen = agent.events

    def broken(event):
        seen.append(event)
        raise KeyError("total")

    agent.on_event = broken
    await run(agent, lambda a: "idle" in names(a))


async def test_the_watchdog_is_fed_while_the_agent_makes_progress():
    agent = make(Server())
    await run(agent, lambda a: a.board.fed > 1)


async def test_a_stalled_agent_does_not_feed():
    agent = make(Server())
    agent._beat -= (90 + 4 * agent.settings.http_timeout) * 1000
    watch = asyncio.create_task(agent._watch())
    await asyncio.sleep_ms(1100)
    assert agent.board.fed == 0
    agent.beat()
    assert agent.board.fed == 1
    await asyncio.sleep_ms(1100)
    assert agent.board.fed == 2
    watch.cancel()


async def health(verdict):
    agent = make(Server())
    agent.health = verdict
    await agent.healthy()


async def test_health_checks():
    async def later():
        return True

    def sick():
        raise OSError(5)

    await health(None)
    await health(lambda: True)
    await health(later)
    for verdict, error in ((lambda: False, Transient), (lambda: None, Transient), (sick, OSError)):
        try:
            await health(verdict)
        except error:
            continue
        raise AssertionError(verdict)


def test_a_crash_of_proven_software_leaves_the_agent_alone():
    agent = make(Server())
    agent.crashed(ValueError("app"))
    assert agent.board.resets == 0
    assert "ValueError: app" in agent.events[0]["message"]


def test_a_crash_on_trial_is_in_the_log_and_resets():
    agent = make(Server())
    store = agent.settings.store
    job = {
        "id": "d1",
        "state": "reboot",
        "type": "kind",
        "installed": "new",
        "saves": 3,
        "log": [],
    }
    store.put_json("update", job)

    class Installer:
        needs_reboot = supports_rollback = True

        def __init__(self, board, installed, settings):
            pass

        def running(self):
            return "new"

        def on_trial(self):
            return True

    board = Board()
    agent = Agent(agent.settings, board, Server(), installers={"kind": Installer})
    agent.crashed(ValueError("app"))
    assert board.resets == 1
    assert any("ValueError: app" in line[2] for line in store.get_json("update")["log"])


def damage(store, name):
    with open(store._path(name), "wb") as file:
        file.write(b"damaged")


async def test_damaged_records_do_not_stop_the_board():
    server = Server()
    agent = make(server)
    for record in ("update", "provides"):
        damage(agent.settings.store, record)
    again = Agent(agent.settings, Board(), server, installers={})
    again.events = []
    again.on_event = again.events.append
    await run(again, lambda a: "idle" in names(a))
    assert agent.settings.store.get("update") is None
    assert server.provides["artifact_name"] == "unknown"


BLANK = {"bootstrap_url": "https://b.example", "external_key": "k"}


async def test_a_blank_board_without_a_network_waits_and_leaves_room_for_others():
    board = Board()
    tries = []

    async def connect():
        tries.append(1)
        raise Transient("no Wi-Fi")  # at once, as the radio's driver does

    board.connect = connect
    agent = make(None, board, **BLANK)
    task = asyncio.create_task(agent.run())
    for _ in range(20):
        await asyncio.sleep_ms(10)
    task.cancel()
    await asyncio.sleep_ms(0)
    assert len(tries) == 1 and "retry" in names(agent)


async def test_a_token_from_before_is_no_contact():
    """Who is authorised already, and reaches nobody any more, is in need of a configuration."""
    server = Server(work=[Transient("no answer")])
    agent = make(server, **BLANK)
    agent.settings.configured = True
    heard = []
    agent._bootstrapper.heard = lambda source, error=None: heard.append(error)
    await run(agent, lambda a: "retry" in names(a))
    assert [str(error) for error in heard] == ["no answer"]
    server.scripts["next"] = [None]
    await run(agent, lambda a: "idle" in names(a))
    assert heard[1:] == [None]


async def test_an_open_update_without_a_server_asks_for_a_configuration_first():
    agent = make(None, **BLANK)
    store = agent.settings.store
    job = {"id": "d1", "state": "report", "type": "", "installed": "", "saves": 3, "log": []}
    job["verdict"] = "failure"
    store.put_json("update", job)
    again = Agent(agent.settings, Board(), None, installers={})
    again.events = []
    again.on_event = again.events.append
    asked = []

    async def attempt():
        asked.append(1)
        again._bootstrapper._next = 1 << 20

    again._bootstrapper._attempt = attempt
    await run(again, lambda a: "retry" in names(a))
    assert asked and store.get_json("update")["id"] == "d1"


async def test_a_server_that_does_not_say_the_time_keeps_nobody_offline():
    for error in (Rejected("timestamp: 404"), Transient("timestamp: 503"), OSError(5)):
        agent = make(Server())

        async def ask_time(error=error):
            raise error

        agent.ask_time = ask_time
        await agent.online()
        assert [event["event"] for event in agent.events] == ["error"]


async def test_the_network_is_joined_by_one_task_at_a_time():
    agent = make(Server())
    joining = []

    async def connect():
        joining.append(1)
        assert len(joining) == 1
        await asyncio.sleep_ms(5)
        joining.pop()

    agent.board.connect = connect
    agent.online = Joining(agent).online

    async def ask_time():
        await agent.online()  # whoever is asked for the time needs the network, too
        raise Transient("no time")

    agent.ask_time = ask_time
    await asyncio.gather(*[agent.online() for _ in range(3)])


def test_what_the_application_sends_does_not_hide_a_hanging_agent():
    agent = make(Server())
    agent.feed()
    assert agent.board.fed == 1
    agent._beat -= (90 + 4 * agent.settings.http_timeout) * 1000
    agent.feed()
    assert agent.board.fed == 1
    agent.beat()
    agent.feed()
    assert agent.board.fed == 3
