# From agent.publish() to what an HTTP server receives: real queue, real SenML, a scripted server.
import asyncio
import json
import os
import sys

from scripted import CLOSE, Server, answer

from instar.agent import Agent
from instar.errors import Rejected, Transient, Unauthorised
from instar.publisher import Publisher
from instar.settings import Settings
from instar.store import Store

SECRET = "c02ff576-ccd5-40f6-ba5f-c85377aad529"
CHANNELS = [{"id": "c1", "name": "alarms"}, {"id": "c2", "name": "room", "type": "data"}]
TAKEN = answer(b"", status="202 Accepted")


class Board:
    async def connect(self):
        pass

    def feed(self):
        pass

    def identity(self):
        return {"mac": "02:00:00:00:00:01"}

    def reset(self):
        raise AssertionError("no reset is expected")


def make(url="http://127.0.0.1:1", root=None, **values):
    """An agent that only publishes, and its events."""
    given = {
        "magistrala_url": url,
        "magistrala_secret": SECRET,
        "magistrala_channels": CHANNELS,
        "allow_plain_http": True,
        "ntp_host": "",
        "retry_interval": 1,
        "retry_interval_max": 1,
    }
    given.update(values)
    root = root or f"/tmp/instar-publisher-{os.urandom(6).hex()}"
    agent = Agent(Settings(given, Store(root)), Board(), installers={})
    agent.events = []
    agent.on_event = agent.events.append
    agent.root = root
    return agent


def errors(agent):
    return [event["message"] for event in agent.events if event["event"] == "error"]


def path(request):
    return request.split(b" ")[1].decode()


def values(request):
    return [record["v"] for record in json.loads(request.partition(b"\r\n\r\n")[2])]


async def run(agent, seconds):
    task = asyncio.create_task(agent.run())
    await asyncio.sleep_ms(int(seconds * 1000))
    task.cancel()
    await asyncio.sleep_ms(0)


async def test_what_is_published_together_goes_together():
    async with Server([TAKEN, TAKEN]) as server:
        agent = make(server.url)
        for number in range(3):
            agent.publish("t", number, "Cel")
        agent.publish("door", 1, channel="alarms", subtopic="hall")
        await run(agent, 0.2)
    assert [path(request) for request in server.requests] == [
        "/channels/c2/messages",
        "/channels/c1/messages/hall",
    ]
    assert [values(request) for request in server.requests] == [[0, 1, 2], [1]]
    assert server.accepted == 1  # one connection
    body = json.loads(server.requests[0].partition(b"\r\n\r\n")[2])
    assert body[0]["u"] == "Cel" and body[0]["t"] > 1793491200
    assert {"event": "published", "records": 3} in agent.events
    assert os.listdir(agent.root) == []  # the flash was not touched


async def test_publishing_ends_the_agents_rest():
    async with Server([TAKEN]) as server:
        agent = make(server.url)
        task = asyncio.create_task(agent.run())
        await asyncio.sleep_ms(100)
        agent.publish("t", 7)
        await asyncio.sleep_ms(1300)
        task.cancel()
        assert [values(request) for request in server.requests] == [[7]]


async def test_an_outage_delays_and_loses_nothing():
    async with Server([answer(status="503 No")], [CLOSE], [TAKEN]) as server:
        agent = make(server.url)
        agent.publish("t", 1)
        task = asyncio.create_task(agent.run())
        while len(server.requests) < 3:
            await asyncio.sleep_ms(50)
        await asyncio.sleep_ms(300)
        task.cancel()
    assert [values(request) for request in server.requests] == [[1]] * 3
    assert len(errors(agent)) == 2 and "publish: " in errors(agent)[0]
    assert SECRET not in str(agent.events)


async def test_who_is_refused_is_told_and_keeps_its_messages():
    async with Server([answer(status="401 No")]) as server:
        agent = make(server.url)
        publisher = Publisher(agent)
        publisher.publish("t", 1)
        error = await publisher.deliver()
    assert isinstance(error, Unauthorised) and "state 1" in errors(agent)[0]
    assert publisher.waiting and 0 < publisher.wait < 2


async def test_certificates_that_are_none_cost_no_message():
    def client():
        raise Rejected("client_cert: expected DER")

    agent = make()
    publisher = Publisher(agent)
    publisher.publish("t", 1)
    agent.client = client
    assert str(await publisher.deliver()) == "client_cert: expected DER"
    assert publisher.waiting and errors(agent) == ["publish: client_cert: expected DER"]


async def test_a_channel_that_refuses_the_board_is_not_the_servers_refusal():
    refusal = answer(status="401 No")
    async with Server([refusal], [TAKEN, refusal]) as server:
        agent = make(server.url)
        publisher = Publisher(agent)
        publisher.publish("t", 1, channel="alarms")
        publisher.publish("t", 2, channel="room")
        assert isinstance(await publisher.deliver(), Unauthorised)
        await agent.disconnect()
        assert await publisher.deliver() is None
    assert [values(request) for request in server.requests] == [[1], [2], [1]]
    assert publisher.waiting and publisher.wait > 0


async def test_a_channel_that_the_board_does_not_have_blocks_nothing():
    async with Server([TAKEN]) as server:
        agent = make(server.url)
        agent.publish("t", 1, channel="garden")
        agent.publish("t", 2, channel="room")
        await run(agent, 0.3)
    assert [values(request) for request in server.requests] == [[2]]
    assert "'alarms', 'room'" in errors(agent)[0] and "'garden'" in errors(agent)[0]


async def test_what_waits_survives_a_reset_and_finds_its_channel_later():
    blank = make(magistrala_url="", magistrala_secret="", bootstrap_url="https://b.example")
    assert blank.publishes
    blank.publish("t", 1)
    blank.leaving()
    async with Server([TAKEN]) as server:
        agent = make(server.url, root=blank.root)
        await run(agent, 0.3)
    assert [path(request) for request in server.requests] == ["/channels/c2/messages"]
    assert os.listdir(agent.root) == []


def refusal(agent, *args):
    try:
        agent.publish(*args)
    except Rejected as error:
        return str(error)
    raise AssertionError("taken")


def test_where_nothing_can_be_published():
    for values in ({"magistrala_url": ""}, {"magistrala_secret": ""}):
        agent = make(mender_url="https://m.example", ca=[], **values)
        assert not agent.publishes
        assert "expected magistrala_url and magistrala_secret" in refusal(agent, "t", 1)
    assert "finite" in refusal(make(), "t", float("nan"))
    assert make().publishes


def test_an_instar_without_the_part_says_so_before_it_is_asked_to():
    blank = make(magistrala_url="", magistrala_secret="", bootstrap_url="https://b.example")
    sys.modules["instar.publisher"] = object()  # nothing can be imported from it
    try:
        assert not blank.publishes
        assert "expected instar with its Magistrala part" in refusal(blank, "t", 1)
    finally:
        del sys.modules["instar.publisher"]
    assert blank.publishes


def test_a_heap_that_is_full_costs_the_record_not_the_application():
    agent = make()
    agent.publish("t", 1)

    def full(topic, body):
        raise MemoryError("allocating 3584 bytes")

    agent.publisher._outbox.put = full
    agent.publish("humidity", 2)
    assert errors(agent) == ["publish: humidity is lost: allocating 3584 bytes"]


async def test_a_board_without_any_server_says_so():
    agent = make(magistrala_url="", magistrala_secret="")
    await run(agent, 0.2)
    assert "expected mender_url, murano_url, magistrala_url or bootstrap_url" in errors(agent)[0]


async def test_no_network_is_no_loss():
    class Offline(Board):
        async def connect(self):
            raise Transient("no Wi-Fi")

    agent = make()
    agent.board = Offline()
    publisher = Publisher(agent)
    publisher.publish("t", 1)
    assert str(await publisher.deliver()) == "no Wi-Fi"
    assert publisher.waiting


async def test_a_network_that_is_away_is_no_silence_of_a_server_that_is_not_configured():
    class Offline(Board):
        async def connect(self):
            raise Transient("no Wi-Fi")

    agent = make(bootstrap_url="https://b.example")
    agent.settings.configured = True
    agent.board = Offline()
    heard = []
    agent._bootstrapper.heard = lambda source, error=None: heard.append(source)
    await run(agent, 0.2)
    assert "no Wi-Fi" in errors(agent) and heard == []
