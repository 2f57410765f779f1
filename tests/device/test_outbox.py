import asyncio
import os

from outbox_store import Log, Records, Server, Ticks, delivered, drain_fails, fill, numbered, write

from instar.errors import Broken, Rejected, Transient, Unauthorised
from instar.outbox import Outbox
from instar.store import Store

BLOCK = 4096
A_SEGMENT = 56  # entries of fill() that a segment certainly has; 57 may go into it, 58 never


def refused(function, *args):
    try:
        function(*args)
    except Rejected as error:
        return str(error)
    raise AssertionError("expected Rejected")


# What goes in comes out


async def test_entries_arrive_in_order_as_bytes_in_runs_of_one_topic():
    outbox, server = Outbox(Records()), Server()
    assert not outbox.waiting
    for topic, body in (("a", "1"), ("a", b"\x00\xff"), ("b/é", "ü"), ("a", ""), ("a", "5")):
        outbox.put(topic, body)
    assert outbox.waiting
    await outbox.drain(server.send)
    assert server.batches == [
        ("a", [b"1", b"\x00\xff"]),
        ("b/é", ["ü".encode()]),
        ("a", [b"", b"5"]),
    ]
    assert not outbox.waiting
    await outbox.drain(server.send)
    assert len(server.batches) == 3


async def test_a_batch_has_at_most_64_bodies_and_2_kib():
    outbox, server = Outbox(Records()), Server()
    fill(outbox, 0, 150, size=10)
    await outbox.drain(server.send)
    assert [len(bodies) for _, bodies in server.batches] == [64, 64, 22]
    fill(outbox, 0, 3, size=1000)
    await outbox.drain(server.send)
    assert [len(bodies) for _, bodies in server.batches[3:]] == [2, 1]


async def test_the_topic_holds_over_batches_segments_and_starts():
    store, server = Records(), Server(None, Transient("away"))
    outbox = Outbox(store)
    for topic in ("one", "two", "three"):
        fill(outbox, 0, 100, topic=topic)
    await drain_fails(outbox, server)  # stops amid the first topic
    outbox.save()
    await Outbox(store).drain(server.send)
    wanted = [(topic, numbered(n)) for topic in ("one", "two", "three") for n in range(100)]
    assert server.got == wanted


def test_what_is_too_large_is_refused_and_leaves_the_queue_as_it_was():
    outbox = Outbox(Records())
    assert "got 1 and 1025" in refused(outbox.put, "t", b"x" * 1024)
    assert "got 256 and 256" in refused(outbox.put, "é" * 128, b"")
    assert "got 0 and 1" in refused(outbox.put, "", b"x")
    assert not outbox.waiting
    outbox.put("t", b"x" * 1023)
    outbox.put("é" * 127, b"")
    assert outbox.waiting


# The network is there, goes, comes back


async def test_while_the_network_is_there_nothing_touches_the_flash():
    clock, store, server = Ticks(), Records(), Server()
    outbox = Outbox(store, save_interval=600)
    for minute in range(100):
        fill(outbox, minute * 10, minute * 10 + 10)
        clock.ms += 60000
        await outbox.drain(server.send)
        outbox.tick()
    outbox.save()
    assert server.numbers == list(range(1000))
    assert store.writes == 0 and store.records == {}


async def test_a_thousand_entries_over_an_outage_and_a_reset_arrive_once_each():
    store = Records()
    outbox = Outbox(store)
    fill(outbox, 0, 600, size=40)
    await drain_fails(outbox, Server(Transient("no network")))
    outbox.save()
    outbox = Outbox(store)
    fill(outbox, 600, 1000, size=40)
    server = Server(*[None] * 7 + [OSError(113)])
    await drain_fails(outbox, server, OSError)
    assert 0 < len(server.numbers) < 1000
    outbox.save()
    outbox = Outbox(store)
    await outbox.drain(server.send)
    assert server.numbers == list(range(1000))
    assert store.records == {} and outbox.lost == 0


async def test_an_error_keeps_all_that_was_not_sent():
    for error in (Transient("x"), OSError(104), MemoryError(), Broken("x")):
        outbox, server = Outbox(Records()), Server(None, error)
        fill(outbox, 0, 200)
        await drain_fails(outbox, server, type(error))
        sent = len(server.numbers)
        assert 0 < sent < 200 and outbox.waiting
        fill(outbox, 200, 210)
        await outbox.drain(server.send)
        assert server.numbers == list(range(210))
        assert outbox.lost == 0


async def test_what_is_refused_is_dropped_and_told_and_the_rest_goes_on():
    log = Log()
    outbox = Outbox(Records(), note=log)
    fill(outbox, 0, 3, topic="good")
    fill(outbox, 3, 5, topic="poison")
    fill(outbox, 5, 7, topic="good")
    server = Server(None, Rejected("no such channel"))
    await outbox.drain(server.send)
    assert server.numbers == [0, 1, 2, 5, 6]
    assert outbox.lost == 2 and log.has("2 entries are lost: refused: no such channel")


async def test_two_drains_at_once_send_everything_once():
    outbox, got = Outbox(Records()), []

    async def send(topic, bodies):
        await asyncio.sleep_ms(1)
        got.extend(bodies)

    fill(outbox, 0, 200)
    await asyncio.gather(outbox.drain(send), outbox.drain(send))
    assert got == [numbered(number) for number in range(200)]


async def test_what_is_put_during_a_sending_comes_behind():
    # Few: they stay in RAM. Many: what is being sent goes to the flash under its feet.
    await check_put_during_sending(1)
    await check_put_during_sending(70)
    await check_put_during_sending(300)


async def check_put_during_sending(many):
    store = Records()
    outbox = Outbox(store)
    fill(outbox, 0, 40)
    server = Server(during=[lambda: fill(outbox, 40, 40 + many)])
    await outbox.drain(server.send)
    assert server.numbers == list(range(40 + many))
    assert store.records == {}


async def test_a_save_during_a_sending_loses_nothing():
    store = Records()
    outbox = Outbox(store)
    fill(outbox, 0, 300, size=10)
    server = Server(during=[outbox.save] * 3)
    await outbox.drain(server.send)
    assert sorted(set(server.numbers)) == list(range(300))
    assert store.records == {} and not outbox.waiting


async def test_a_drain_ends_though_an_application_publishes_as_fast_as_it_sends():
    clock, outbox, sent = Ticks(), Outbox(Records()), []
    clock.ms = 5000

    async def send(topic, bodies):
        clock.ms += 700
        sent.extend(bodies)
        assert len(sent) < 1000, "drain() never ends"
        fill(outbox, len(sent), len(sent) + 1)

    fill(outbox, 0, 1)
    await outbox.drain(send)
    assert 20000 <= clock.ms - 5000 < 21000
    assert sent == [numbered(number) for number in range(len(sent))] and outbox.waiting
    await outbox.drain(Server().send)
    assert not outbox.waiting


async def test_a_save_after_a_drain_that_ended_at_the_end_of_a_segment():
    clock, store = Ticks(), Records()
    outbox, server = Outbox(store), Server()
    fill(outbox, 0, 2 * A_SEGMENT)
    first = len(store.records)

    async def send(topic, bodies):
        await server.send(topic, bodies)
        clock.ms += 10000  # so that each drain sends two batches, which is a segment

    await outbox.drain(send)
    outbox.save()
    assert first == 1 and await delivered(store) == list(range(len(server.got), 2 * A_SEGMENT))


async def test_two_outboxes_share_a_store():
    store, server, other = Records(), Server(), Server()
    store.put("rec-starts", b"no segment")
    for prefix, first in (("out-", 0), ("rec-", 1000)):
        outbox = Outbox(store, prefix=prefix)
        fill(outbox, first, first + 2 * A_SEGMENT)
        outbox.save()
    assert store.names("out-") == ["out-00000001", "out-00000002"]
    assert store.names("rec-0") == ["rec-00000001", "rec-00000002"]
    await Outbox(store).drain(server.send)
    await Outbox(store, prefix="rec-").drain(other.send)
    assert server.numbers == list(range(2 * A_SEGMENT))
    assert other.numbers == list(range(1000, 1000 + 2 * A_SEGMENT))
    assert sorted(store.records) == ["rec-starts"]


# What the server does not allow


def put_barred(outbox, way):
    # One entry of topic "a", then 50 of "b": where they lie is what the ways differ in.
    outbox.put("a", numbered(0))
    if way == "a on flash":
        outbox.save()
    fill(outbox, 1, 51, topic="b", size=100 if way == "two segments" else 60)
    if way == "all on flash":
        outbox.save()


async def test_a_topic_that_is_refused_for_now_blocks_no_other():
    for way in ("in RAM", "a on flash", "all on flash", "two segments", "RAM only", "a start"):
        store, server = Records(), Server(barred=("a",))
        outbox = Outbox(store, limit=0 if way == "RAM only" else 65536)
        put_barred(outbox, way)
        if way == "a start":
            outbox.save()
            fill(outbox, 51, 101, topic="b")
            outbox.save()
            outbox = Outbox(store)
        await drain_fails(outbox, server, Unauthorised)
        assert server.got == []
        await drain_fails(outbox, server, Unauthorised)
        assert server.numbers == list(range(1, 101 if way == "a start" else 51)), way
        assert outbox.waiting and outbox.lost == 0
        writes = store.writes
        await drain_fails(outbox, server, Unauthorised)  # alone: it stays as it is
        assert store.writes == writes
        server.barred = ()
        await outbox.drain(server.send)
        assert server.got[-1] == ("a", numbered(0)) and not outbox.waiting
        assert server.batches[-1][1] == [numbered(0)] and store.records == {}, way


async def test_an_ordered_outbox_moves_nothing():
    for way in ("in RAM", "a on flash", "all on flash", "two segments"):
        outbox, server = Outbox(Records(), ordered=True), Server(barred=("a",))
        put_barred(outbox, way)
        for _ in range(3):
            await drain_fails(outbox, server, Unauthorised)
        assert server.got == [] and outbox.waiting
        server.barred = ()
        await outbox.drain(server.send)
        assert server.numbers == list(range(51)), way


async def test_what_was_saved_and_moved_is_on_flash_at_any_time():
    # A start of the board at any point finds the entry that was moved.
    for way in ("a on flash", "all on flash", "two segments"):
        clock, store, server = Ticks(), Records(), Server(barred=("a",))
        outbox = Outbox(store)
        put_barred(outbox, way)
        for minute in range(40):
            await drain_fails(outbox, server, Unauthorised)
            if way != "two segments" or minute > 1:
                assert 0 in await delivered(copy_of(store)), (way, minute)
            fill(outbox, 51 + minute, 52 + minute, topic="b")
            clock.ms += 60000
            outbox.tick()
        assert 0 in await delivered(copy_of(store)) and outbox.lost == 0
        assert store.writes < 12, store.writes  # about one per save_interval


async def test_what_moves_into_ram_that_is_not_saved_stays_on_flash():
    store = Records()
    put_barred(Outbox(store), "two segments")
    outbox = Outbox(store, limit=0)
    await drain_fails(outbox, Server(barred=("a",)), Unauthorised)
    outbox.save()
    assert 0 in await delivered(store)


def copy_of(store):
    copy = Records()
    copy.records.update(store.records)
    return copy


async def test_whole_batches_are_moved_and_each_goes_round():
    for limit in (65536, 0):
        outbox, server = Outbox(Records(), limit=limit), Server(*[Unauthorised("x")] * 2)
        fill(outbox, 0, 100, size=10, topic="a")  # two batches: 64 and 36
        fill(outbox, 100, 110, size=10, topic="b")
        for _ in range(2):
            await drain_fails(outbox, server, Unauthorised)
        await outbox.drain(server.send)
        assert server.numbers == list(range(100, 110)) + list(range(100)) and outbox.lost == 0


async def test_what_is_put_while_a_batch_is_refused_is_neither_lost_nor_doubled():
    await check_put_while_refused(1)
    await check_put_while_refused(70)
    await check_put_while_refused(300)


async def check_put_while_refused(many):
    store = Records()
    outbox = Outbox(store)
    fill(outbox, 0, 20, topic="a")
    put = [lambda: fill(outbox, 20, 20 + many, topic="b")]
    server = Server(during=put, barred=("a",))
    await drain_fails(outbox, server, Unauthorised)
    await drain_fails(outbox, server, Unauthorised)
    assert server.numbers == list(range(20, 20 + many))
    server.barred = ()
    await outbox.drain(server.send)
    assert server.numbers[many:] == list(range(20)) and store.records == {}


async def test_a_full_outbox_loses_nothing_by_moving():
    for limit in (0, BLOCK, 2 * BLOCK):
        for room in range(12):
            await check_full(limit, room * 30)


async def check_full(limit, room):
    # As much as goes in, but for `room` bytes: the batches at the front find more or less of it.
    outbox, server = Outbox(Records(), limit=limit), Server(barred=("a",))
    last = 0
    left = (limit // BLOCK + 1) * 3584 - room
    while left > 70 * (limit // BLOCK + 1):
        fill(outbox, last, last + 1, topic="ab"[last // 5 % 2])
        last += 1
        left -= 64
    lost = outbox.lost
    for _ in range(100):
        try:
            await outbox.drain(server.send)
        except Unauthorised:
            pass
    assert outbox.lost == lost
    server.barred = ()
    await outbox.drain(server.send)
    assert sorted(server.numbers) == list(range(lost, last)), (limit, room)


async def test_moving_writes_at_most_two_segments():
    store, server = Records(), Server(barred=("a", "c"))
    outbox = Outbox(store)
    for number in range(600):
        outbox.put("ac"[number // 40 % 2], numbered(number))
    for _ in range(100):
        before = store.writes
        await drain_fails(outbox, server, Unauthorised)
        assert store.writes - before <= 3  # and a segment that is deleted
    assert outbox.lost == 0
    outbox.save()
    assert sorted(await delivered(store)) == list(range(600))


async def test_any_mixture_of_all_that_arrives_once_each_in_order_but_for_what_was_moved():
    state = [20261122]

    def chance(n):
        state[0] = (state[0] * 1103515245 + 12345) % (1 << 31)
        return (state[0] >> 12) % n

    clock, store, expected, count = Ticks(), Records(), [], [0]
    outbox = Outbox(store, limit=1 << 20, save_interval=60)

    def put_some(most):
        for _ in range(chance(most)):
            entry = ("t", "other", "a/long/topic/é")[chance(3)], numbered(count[0], chance(400))
            count[0] += 1
            expected.append(entry)
            outbox.put(*entry)

    async def send(topic, bodies):
        put_some(3 if count[0] < 2000 else 1)
        if not chance(4):
            raise Transient("away")
        assert [(topic, body) for body in bodies] == expected[: len(bodies)]
        first = expected[: len(bodies)]
        del expected[: len(bodies)]
        if not chance(12):
            expected.extend(first)  # behind all others, if there are some
            raise Unauthorised("not now")

    while count[0] < 2000 or expected:
        put_some(8 if count[0] < 2000 else 1)
        clock.ms += chance(90000)
        outbox.tick()
        if chance(3):
            try:
                await outbox.drain(send)
            except Transient:
                pass
        if not chance(20):
            outbox.save()
            outbox = Outbox(store, limit=1 << 20, save_interval=60)
    assert outbox.lost == 0 and not outbox.waiting and store.records == {}


# The flash


async def test_a_full_segment_is_one_record_that_fits_a_block():
    store = Records()
    outbox = Outbox(store)
    fill(outbox, 0, 3 * A_SEGMENT)
    assert sorted(store.records) == ["out-00000001", "out-00000002"]
    assert all(3400 < len(data) <= 4096 - 12 for data in store.records.values())
    assert store.writes == 2


async def test_when_it_is_full_the_oldest_segment_goes():
    store, log = Records(), Log()
    outbox = Outbox(store, limit=4 * BLOCK, note=log)
    fill(outbox, 0, 1000)
    assert len(store.records) == 4 and outbox.lost > 0
    assert log.has("entries are lost: the outbox is full")
    outbox.save()
    assert len(store.records) == 4
    got = await delivered(store)
    assert got == list(range(outbox.lost, 1000)) and len(got) > 3 * A_SEGMENT


async def test_what_was_sent_of_a_segment_is_not_lost_with_it():
    server = Server(None, Transient("away"))
    outbox = Outbox(Records(), limit=2 * BLOCK)
    fill(outbox, 0, 2 * A_SEGMENT)
    await drain_fails(outbox, server)
    fill(outbox, 2 * A_SEGMENT, 4 * A_SEGMENT)
    assert outbox.lost > 0
    await outbox.drain(server.send)
    assert outbox.lost + len(server.numbers) == 4 * A_SEGMENT


async def test_a_limit_that_became_smaller_holds():
    store = Records()
    outbox = Outbox(store)
    fill(outbox, 0, 8 * A_SEGMENT)
    outbox.save()
    assert len(store.records) == 8
    outbox = Outbox(store, limit=2 * BLOCK)
    fill(outbox, 8 * A_SEGMENT, 10 * A_SEGMENT)
    assert len(store.records) == 2
    server = Server()
    await outbox.drain(server.send)
    assert server.numbers == list(range(outbox.lost, 10 * A_SEGMENT))


async def test_without_flash_the_newest_stay_in_ram():
    store, log, server = Records(), Log(), Server()
    outbox = Outbox(store, limit=0, note=log)
    fill(outbox, 0, 500)
    outbox.save()
    outbox.tick()
    assert store.writes == 0 and log.has("no room for more")
    assert len(log.lines) < 500 // 20  # told by the dozen, not one by one
    await outbox.drain(server.send)
    assert server.numbers == list(range(outbox.lost, 500)) and len(server.numbers) >= 28


async def test_a_drop_during_a_sending_loses_no_other_entry():
    for limit, first in ((2 * BLOCK, 2 * A_SEGMENT), (0, 40)):
        await check_drop_during_sending(limit, first, 4 * A_SEGMENT)


async def check_drop_during_sending(limit, first, last):
    outbox = Outbox(Records(), limit=limit)
    fill(outbox, 0, first)
    server = Server(during=[lambda: fill(outbox, first, last)])
    await outbox.drain(server.send)
    assert 0 < outbox.lost < last
    newest = [number for number in server.numbers if number >= outbox.lost]
    assert newest == list(range(outbox.lost, last))
    assert server.numbers[-len(newest) :] == newest


async def test_a_flash_that_takes_nothing_never_hurts_the_application():
    for error in (OSError(28), Broken("read back another"), MemoryError()):
        store, log, server = Records(), Log(), Server()
        outbox = Outbox(store, note=log)
        fill(outbox, 0, 3 * A_SEGMENT)
        store.fail = [error] * 1000
        fill(outbox, 3 * A_SEGMENT, 10 * A_SEGMENT)
        outbox.save()
        assert log.has("not saved: ") and log.has("the flash takes no more")
        await outbox.drain(server.send)
        assert server.numbers == list(range(outbox.lost, 10 * A_SEGMENT))
        assert server.numbers and store.records == {}


async def test_one_failure_costs_the_oldest_segment_alone():
    store = Records()
    outbox = Outbox(store)
    fill(outbox, 0, 3 * A_SEGMENT)
    store.fail = [OSError(28)]
    fill(outbox, 3 * A_SEGMENT, 5 * A_SEGMENT)
    assert A_SEGMENT <= outbox.lost <= A_SEGMENT + 1
    outbox.save()
    assert await delivered(store) == list(range(outbox.lost, 5 * A_SEGMENT))


async def test_a_damaged_segment_is_told_and_the_others_go_on():
    root = "/tmp/instar-outbox-" + os.urandom(6).hex()
    fill(Outbox(Store(root)), 0, 5 * A_SEGMENT)
    names = os.listdir(root)
    assert len(names) == 4
    for name, raw in (("out-00000002", b"iST1 damaged"), ("out-00000004", b"")):
        write(root + "/" + name, raw)
    log, server = Log(), Server()
    await Outbox(Store(root), note=log).drain(server.send)
    assert log.has("out-00000002 is damaged") and log.has("out-00000004 is damaged")
    assert len(log.lines) == 2
    assert len(server.numbers) >= 2 * A_SEGMENT and server.numbers[0] == 0
    assert sorted(set(server.numbers)) == server.numbers
    assert os.listdir(root) == []
    os.rmdir(root)


async def test_bytes_that_are_no_entries_are_told_and_block_nothing():
    for bad in (b"\x00\x01\x00x", b"\x05\x00\x00ab", b"\x01\xff\xfft", b"\x01", b"\xff" * 3000):
        store, log, server = Records(), Log(), Server()
        store.records["out-00000001"] = bad
        outbox = Outbox(store, note=log)
        await outbox.drain(server.send)
        assert log.has("expected an entry") and server.got == []
        fill(outbox, 0, 3)
        await outbox.drain(server.send)
        assert server.numbers == [0, 1, 2] and store.records == {}


async def test_records_of_others_stay():
    store = Records()
    store.records.update({"out-box": b"mine", "out-": b"", "token": b"x"})
    before = dict(store.records)
    outbox = Outbox(store)
    assert not outbox.waiting
    fill(outbox, 0, 100)
    await outbox.drain(Server().send)
    assert store.records == before


# Saving


async def test_what_waits_goes_to_the_flash_once_per_interval():
    clock, store = Ticks(), Records()
    outbox = Outbox(store, save_interval=600)
    for minute in range(60):
        clock.ms = minute * 60000
        if minute < 30:
            fill(outbox, minute, minute + 1)
        outbox.tick()
    assert store.writes == 3  # minutes 10, 21 and 32; then nothing new waits
    assert await delivered(store) == list(range(30))


async def test_a_save_that_fails_is_tried_again_after_the_interval():
    clock, store, log = Ticks(), Records(), Log()
    outbox = Outbox(store, save_interval=600, note=log)
    store.fail = [OSError(28)]
    fill(outbox, 0, 1)
    for minute in range(20):
        clock.ms = minute * 60000
        outbox.tick()
    assert len(log.lines) == 1 and store.writes == 0 and outbox.lost == 0
    clock.ms += 60000
    outbox.tick()
    assert await delivered(store) == [0]


async def test_what_was_saved_and_sent_leaves_the_flash():
    clock, store, server = Ticks(), Records(), Server()
    outbox = Outbox(store, save_interval=600)
    fill(outbox, 0, 5)
    clock.ms = 600000
    outbox.tick()
    assert len(store.records) == 1
    fill(outbox, 5, 7)
    await outbox.drain(server.send)
    assert store.records == {} and server.numbers == list(range(7))


async def test_what_is_saved_is_not_saved_again_because_some_of_it_was_sent():
    clock, store = Ticks(), Records()
    outbox = Outbox(store, save_interval=600)
    fill(outbox, 0, 100, size=10)
    clock.ms = 600000
    outbox.tick()
    await drain_fails(outbox, Server(None, Transient("away")))
    clock.ms += 600000
    outbox.tick()
    assert store.writes == 1


async def test_a_board_that_resets_often_fills_its_blocks():
    store = Records()
    for number in range(100):
        outbox = Outbox(store, limit=4 * BLOCK)
        fill(outbox, number, number + 1)
        outbox.save()
    assert len(store.records) <= 3
    assert await delivered(store) == list(range(100))


async def test_the_writes_of_an_outage_are_bounded():
    clock, store = Ticks(), Records()
    outbox = Outbox(store, limit=64 * BLOCK, save_interval=600)
    hours, size = 12, 0
    for minute in range(hours * 60):
        clock.ms = minute * 60000
        fill(outbox, minute * 3, minute * 3 + 3)
        size += 3 * 63
        outbox.tick()
        await drain_fails(outbox, Server(Transient("away")))
    assert store.writes <= size // 3400 + hours * 6
    outbox.save()
    assert await delivered(store) == list(range(hours * 180))
