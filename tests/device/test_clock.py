import asyncio
import os
import socket
import struct
import sys
import time

import instar.sntp
from instar.clock import FLOOR, Clock
from instar.errors import Transient

COOKIE = b"12345678"


def unix_time(answer, cookie):
    found = instar.sntp.unix_time(answer, cookie, FLOOR)
    return found and found / 1000000


class Board:
    def __init__(self):
        self.set = []

    def set_clock(self, seconds):
        self.set.append(seconds)


def answer(seconds, mode=4, leap=0, stratum=2, cookie=COOKIE):
    ntp = (int(seconds) + 2208988800) & 0xFFFFFFFF
    head = leap << 6 | 4 << 3 | mode, stratum, cookie
    return struct.pack(">BB22x8s8xII", *head, ntp, int(seconds % 1 * 2**32))


def test_which_answers_are_believed():
    now = FLOOR + 1000
    assert unix_time(answer(now), COOKIE) == now
    assert unix_time(answer(FLOOR), COOKIE) == FLOOR
    assert unix_time(answer(FLOOR + 0.75), COOKIE) == FLOOR + 0.75
    assert unix_time(answer(2085978496 + 5), COOKIE) == 2085978501  # era 1, after 2036-02-07
    assert unix_time(answer(FLOOR - 1), COOKIE) is None
    assert unix_time(answer(now, mode=3), COOKIE) is None
    assert unix_time(answer(now, mode=5), COOKIE) is None
    assert unix_time(answer(now, leap=3), COOKIE) is None
    assert unix_time(answer(now, stratum=0), COOKIE) is None
    assert unix_time(answer(now, stratum=16), COOKIE) is None
    assert unix_time(answer(now, cookie=b"87654321"), COOKIE) is None
    assert unix_time(answer(now)[:47], COOKIE) is None


def serve(udp, respond):
    async def loop():
        while True:
            await asyncio.sleep_ms(5)
            try:
                question, peer = udp.recvfrom(64)
            except OSError:
                continue
            for reply in respond(question):
                udp.sendto(reply, peer)

    return asyncio.create_task(loop())


async def ask(respond):
    port = 20000 + int.from_bytes(os.urandom(2), "big") % 20000
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
    udp.setblocking(False)
    task = serve(udp, respond)
    board = Board()
    clock = Clock(board, "127.0.0.1", port)
    try:
        await clock.sync()
        return board.set, clock
    finally:
        task.cancel()
        udp.close()


async def test_the_clock_is_set_from_the_answer_to_our_own_question():
    def respond(question):
        assert len(question) == 48 and question[0] == 0x23
        # A forged answer first: it must be passed over.
        return answer(FLOOR + 9, cookie=b"forged!!"), answer(FLOOR + 77, cookie=question[40:48])

    times, clock = await ask(respond)
    assert times == [FLOOR + 77]
    await clock.sync()
    assert times == [FLOOR + 77]  # asked again only after a day


async def test_an_answer_before_the_floor_is_refused():
    try:
        await ask(lambda question: [answer(FLOOR - 86400, cookie=question[40:48])])
    except Transient as error:
        assert "no usable answer" in str(error)
    else:
        raise AssertionError("the clock was taken back")


def test_rfc3339_is_now():
    text = Clock(Board(), "").rfc3339()
    assert len(text) == 20 and text[:4] == str(time.gmtime()[0]) and text[10] == "T"
    assert text[19] == "Z"


async def test_no_server_no_error():
    board = Board()
    await Clock(board, "").sync()
    assert board.set == []  # the host's clock is past the floor


class Set(Clock):
    def now(self):
        return self.seconds


def test_a_stamp_needs_a_time_that_somebody_said():
    asked = Set(Board(), "pool.example")
    asked.seconds = FLOOR + 9
    assert asked.stamp_us() is None
    asked._synced = FLOOR + 8
    assert abs(asked.stamp_us() - time.time_ns() // 1000) < 60000000
    own = Set(Board(), "")
    own.seconds = FLOOR - 1
    assert own.stamp_us() is None
    own.seconds = FLOOR
    assert abs(own.stamp_us() - time.time_ns() // 1000) < 60000000


class Silent:
    questions = []

    @staticmethod
    async def ask(host, port, floor, beat):
        Silent.questions.append(host)
        raise Transient("no answer")


async def test_who_did_not_answer_is_left_alone_for_a_minute():
    clock = Clock(Board(), "pool.example")
    for passed_ms, expected in ((0, 1), (0, 1), (59000, 1), (2000, 2)):
        sys.modules["instar.sntp"] = Silent  # sync() unloads it
        if clock._failed is not None:
            clock._failed = time.ticks_add(clock._failed, -passed_ms)
        try:
            await clock.sync()
        except Transient:
            pass
        assert len(Silent.questions) == expected


async def told(answer, host="", port=123):
    """What the board's clock was set to, where Murano (say) answers the question for the time."""
    board = Board()
    clock = Clock(board, host, port, told=True)
    assert clock.stamp_us() is None

    async def other():
        if isinstance(answer, Exception):
            raise answer
        return answer

    try:
        await clock.sync(other=other)
    except Transient as error:
        return board.set, clock, str(error)
    return board.set, clock, None


async def test_another_server_may_say_what_time_it_is():
    times, clock, _ = await told(FLOOR + 5)
    assert times == [FLOOR + 5] and clock.stamp_us() is not None
    await clock.sync(other=None)
    assert times == [FLOOR + 5]  # asked again only after a day


async def test_it_is_asked_where_sntp_does_not_answer():
    sys.modules["instar.sntp"] = Silent  # sync() unloads it
    times, _, _ = await told(FLOOR + 6, "pool.example")
    assert times == [FLOOR + 6] and Silent.questions == ["pool.example"]


async def test_a_time_before_the_floor_or_none_at_all_sets_nothing():
    times, clock, error = await told(FLOOR - 1)
    assert times == [] and clock.stamp_us() is None and f"got {FLOOR - 1}" in error
    times, clock, error = await told(Transient("nobody there"))
    assert times == [] and clock.stamp_us() is None and error == "nobody there"


async def test_a_stamp_knows_what_the_rtc_cannot_take():
    said = []

    def respond(question):  # half a second more than this computer's clock says
        said.append((time.time_ns() // 1000 + 500000) / 1000000)
        return [answer(said[0], cookie=question[40:48])]

    _, clock = await ask(respond)
    late = clock.stamp_us() / 1000000 - said[0]
    assert 0 <= late < 0.3, late


class Rtc(Clock):
    """Its RTC is a number; it is its own board."""

    def __init__(self, us, told=True):
        super().__init__(self, "", told=told)
        self.us = us

    def set_clock(self, seconds):
        self.us = seconds * 1000000

    def rtc_us(self):
        return self.us

    def now(self):
        return self.us // 1000000


async def test_it_knows_by_how_much_the_rtc_was_set():
    async def other():
        return FLOOR + 100

    async def silent():
        raise Transient("nobody there")

    lost, late = Rtc(946684800000005), Rtc((FLOOR + 40) * 1000000 + 5)
    await late.sync(other=other)
    assert late.moved_us == 60 * 1000000 - 5
    try:
        await lost.sync(other=silent)
    except Transient:
        assert lost.us - lost.moved_us == 946684800000005 and lost.us == FLOOR * 1000000
    lost._failed = None
    await lost.sync(other=other)
    assert lost.us == (FLOOR + 100) * 1000000
    assert lost.us - lost.moved_us == 946684800000005
