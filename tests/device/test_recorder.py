# From record() to what a Murano holds: real queue, real client, a server that stores by alias and
# time; and what a time is while nobody knows it.
import os

from outbox_store import Records
from outbox_store import Ticks as OutboxTicks
from record_server import NOW, TOKEN, Board, Direct, Product, Ticks

from instar.errors import Rejected, Transient, Unauthorised
from instar.outbox import Outbox
from instar.servers.murano.form import stamp

BLOCK = 4096
ALIASES = ("temperature", "humidity")


def refused(function, *args):
    try:
        function(*args)
    except Rejected as error:
        return str(error)
    raise AssertionError("expected Rejected")


def fill(board, first, last):
    """Values that are numbers, of two aliases by turns, a second apart."""
    for number in range(first, last):
        board.clock.us = NOW + number * 1000000
        board.recorder.record(ALIASES[number % 2], number)


def numbers(product):
    """What came, in order of arrival, each at the time when it was measured; each alias in order.

    (A request has its aliases one behind the other.)
    """
    for alias, time, value in product.shelf.taken:
        assert time == stamp(NOW + int(value) * 1000000) and alias == ALIASES[int(value) % 2]
    for alias in ALIASES:
        values = [int(value) for value in product.shelf.values(alias)]
        assert values == sorted(values), values
    return sorted(int(value) for _, _, value in product.shelf.taken)


# While the network is there


async def test_the_documents_example_byte_for_byte():
    async with Product() as product:
        board = Board(product)
        record = board.recorder.record
        record("temperature", 23, 1506708552123000)
        record("temperature", 22, 1506708551000000)
        record("state", "on", 1506708552000000)
        record("state", "off", 1506708551000000)
        record("state", "on", 1506708550123456)
        assert await board.deliver() is None
    head, _, body = product.requests[0].partition(b"\r\n\r\n")
    assert body == (
        b"alias=temperature&1506708552.123=23&1506708551=22"
        b"&alias=state&1506708552=on&1506708551=off&1506708550.123456=on"
    )
    assert b"X-Exosite-CIK: " + TOKEN.encode() in head
    assert b"Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n" in head
    assert board.events == [{"event": "recorded", "records": 5, "conflicts": 0}]
    assert os.listdir(board.root) == []  # the flash was not touched
    assert not board.recorder.waiting


async def test_a_thousand_records_need_few_requests():
    async with Product() as product:
        board = Board(product)
        fill(board, 0, 1000)
        await board.deliver()
    assert numbers(product) == list(range(1000))
    assert len(product.requests) <= 40 and product.accepted == 1, len(product.requests)
    assert max(product.shelf.batches) > 40


async def test_keys_and_values_are_encoded_on_their_way():
    murano = Direct()
    board = Board(murano)
    board.clock.us = None
    board.recorder.record("a&b =@", {"k": [1, "&0="]})
    board.clock.us = NOW
    board.recorder.record("a&b =@", "50% @ 1+1\n")
    await board.deliver()
    assert murano.shelf.values("a%26b%20%3D%40") == [
        "%7B%22k%22%3A%5B1%2C%22%260%3D%22%5D%7D",
        "50%25%20%40%201%2B1%0A",
    ]


# Over outages and reboots


async def test_a_thousand_records_over_an_outage_and_reboots_arrive_once_each():
    fates = ["503 No", "lose", None, "cut", None, "lose", "lose", "500 No", None, None, "lose"]
    async with Product(*fates) as product:
        root, starts = None, []
        for first, last in ((0, 400), (400, 700), (700, 1000)):
            board = Board(product, root)
            root = board.root
            starts.append(board)
            fill(board, first, last)
            await board.deliver(2)
            board.recorder.save()
            await board.off()
        board = Board(product, root)
        starts.append(board)
        await board.deliver(20)
    assert numbers(product) == list(range(1000))
    assert not board.recorder.waiting and os.listdir(root) == []
    records = sum(start.recorded()[0] for start in starts)
    conflicts = sum(start.recorded()[1] for start in starts)
    # Every answer that was lost is followed by one that names what had been stored.
    assert conflicts > 3 * 30 and records - conflicts < 1000 <= records
    assert sum(start.lost for start in starts) == 0
    assert TOKEN not in str([start.events for start in starts])


async def test_an_answer_that_was_lost_is_told_as_conflicts():
    async with Product("lose") as product:
        board = Board(product)
        fill(board, 0, 10)
        assert isinstance(await board.deliver(), (Transient, OSError))
        fill(board, 10, 15)
        assert await board.deliver(3) is None
    assert numbers(product) == list(range(15))
    assert board.recorded() == (15, 10) and not board.recorder.waiting


async def test_of_a_thousand_what_has_no_room_is_told():
    async with Product("503 No", "503 No", "lose") as product:
        board = Board(product, outbox_size=4 * BLOCK)
        fill(board, 0, 500)
        await board.deliver()
        board.recorder.save()
        again = Board(product, board.root, outbox_size=4 * BLOCK)
        fill(again, 500, 1000)
        await again.deliver(10)
    lost = board.lost + again.lost
    assert lost > 300 and numbers(product) == list(range(lost, 1000))
    assert any("the outbox is full" in line for line in board.errors)


async def test_a_power_cut_costs_what_was_put_since_the_last_save_and_nothing_else():
    async with Product("503 No", "lose") as product:
        clock = OutboxTicks()
        board = Board(product)
        fill(board, 0, 333)
        clock.ms += 600000
        board.recorder.tick()
        fill(board, 333, 340)
        await board.off()  # without save()
        board = Board(product, board.root)
        fill(board, 340, 500)
        await board.deliver(2)
        board.recorder.save()
        board = Board(product, board.root)
        fill(board, 500, 1000)
        await board.deliver(10)
    assert numbers(product) == list(range(333)) + list(range(340, 1000))


async def test_a_token_that_is_refused_changes_no_order():
    async with Product("401 No") as product:
        board = Board(product)
        fill(board, 0, 200)
        error = await board.deliver()
        assert type(error) is Unauthorised, repr(error)
        assert 0 < board.recorder.wait <= 2
        assert board.recorder.waiting and product.shelf.taken == []
        product.fates = []
        board.murano = Board(product, board.root).murano  # an operator did something
        assert await board.deliver() is None
    assert numbers(product) == list(range(200))
    assert [alias for alias, _, _ in product.shelf.taken[:2]] == ["temperature"] * 2
    assert product.shelf.values("temperature")[0] == "0"


async def test_no_network_is_no_loss_and_delays_the_next_try():
    murano = Direct()
    board = Board(murano)
    assert board.recorder.wait is None  # nothing is there
    fill(board, 0, 3)
    assert board.recorder.wait == 0
    board.away = Transient("no Wi-Fi")
    assert str(await board.deliver()) == "no Wi-Fi"
    assert board.errors == ["record: no Wi-Fi"] and 0 < board.recorder.wait <= 2
    board.away = None
    assert await board.deliver() is None
    assert numbers(murano) == [0, 1, 2]


def test_where_no_murano_is_configured_nothing_is_to_be_sent():
    board = Board(murano_url="")
    board.recorder.record("a", 1)
    assert board.recorder.waiting and board.recorder.wait is None


# What Murano refuses


def bad(*found):
    """Refuses the entries with these values."""
    return lambda text: int(text.rpartition("=")[2]) in found


async def refusing(count, *found):
    """A board that delivers so many, of which these are refused; and the other values."""
    murano = Direct()
    murano.refuses = bad(*found)
    board = Board(murano)
    fill(board, 0, count)
    return board, murano, [number for number in range(count) if number not in found]


async def test_what_is_refused_costs_no_other_record():
    # one, at each place; several; more than eight in a row, but behind one that is taken
    cases = [(one,) for one in (0, 1, 31, 32, 62, 63)]
    for found in cases + [(0, 1), (3, 9, 40), tuple(range(7)), tuple(range(20, 50))]:
        board, murano, others = await refusing(64, *found)
        assert await board.deliver() is None
        assert numbers(murano) == others, found
        assert board.lost == len(found) and "refused: record: expected" in board.errors[0]
        assert not board.recorder.waiting
        assert len(found) > 1 or murano.requests <= 20, murano.requests
        assert board.recorded() == (len(others), 0)


async def test_one_in_the_next_batch_is_told_too_and_the_rest_goes_on():
    board, murano, others = await refusing(100, 99)
    assert await board.deliver() is None
    assert numbers(murano) == others and board.lost == 1


async def test_a_server_that_refuses_all_costs_nothing():
    for status in ("400 Bad Request", "413 Payload Too Large", "415 Unsupported Media Type"):
        async with Product(*[status] * 60) as product:
            board = Board(product)
            fill(board, 0, 200)
            for _ in range(3):
                error = await board.deliver()
                assert type(error) is Transient and status[:3] in str(error)
            assert len(product.requests) <= 3 * 16 and 0 < board.recorder.wait
            assert board.lost == 0 and product.shelf.taken == []
            product.fates = []
            assert await board.deliver() is None
        assert numbers(product) == list(range(200)) and not board.recorder.waiting


async def test_one_that_is_refused_waits_for_another_that_is_taken():
    board, murano, _ = await refusing(1, 0)
    assert type(await board.deliver()) is Transient
    assert board.lost == 0 and board.recorder.waiting
    fill(board, 1, 2)
    assert await board.deliver() is None
    assert numbers(murano) == [1] and board.lost == 1 and not board.recorder.waiting


async def test_eight_in_a_row_hold_up_the_others():
    board, murano, _ = await refusing(64, *range(8))
    assert type(await board.deliver()) is Transient
    assert board.lost == 0 and numbers(murano) == []


async def test_an_answer_that_is_lost_amid_a_search_doubles_none():
    board, murano, others = await refusing(64, 40)
    murano.fates = [None, "lose"]
    assert type(await board.deliver()) is Transient
    assert board.lost == 0
    assert await board.deliver() is None
    assert numbers(murano) == others and board.lost == 1


async def test_a_configuration_on_trial_is_blamed_before_the_records():
    board, murano, _ = await refusing(10, *range(10))
    board.settings.on_trial = True
    assert type(await board.deliver()) is Transient
    murano.refuses = bad()
    assert await board.deliver() is None
    assert numbers(murano) == list(range(10)) and board.lost == 0


# What is no record


def test_what_cannot_be_recorded_is_refused_at_once():
    board = Board(Direct())
    record = board.recorder.record
    assert "alias" in refused(record, "", 1)
    assert "NoneType" in refused(record, "a", None)
    assert "nan" in refused(record, "a", float("nan"))
    assert "got 1506708552" in refused(record, "a", 1, 1506708552)
    assert "got 1506708552123" in refused(record, "a", 1, 1506708552123)
    assert "got 1.5" in refused(record, "a", 1, 1.5)
    assert "got -5" in refused(record, "a", 1, -5)
    assert not board.recorder.waiting and board.events == []


def test_what_is_too_long_for_an_entry_is_refused_with_both_numbers():
    board = Board(Direct())
    whole = len("alias=a&%s=" % stamp(NOW))
    text = refused(board.recorder.record, "a", "x" * (1019 - whole))
    assert text.startswith("record: a: expected at most 1018 bytes") and text.endswith("got 1019")
    assert refused(board.recorder.record, "a", "ü" * 200).endswith("got %d" % (whole + 1200))
    assert refused(board.recorder.record, "a", "x" * 60000).endswith("got 60000")
    assert not board.recorder.waiting
    board.recorder.record("a", "x" * (1018 - whole))
    assert board.recorder.waiting


def test_a_heap_that_is_full_costs_the_record_not_the_application():
    board = Board(Direct())
    board.recorder.record("a", 1)

    def full(topic, body):
        raise MemoryError("allocating 3584 bytes")

    board.recorder._outbox.put = full
    board.recorder.record("b", 2)
    assert board.errors == ["record: b is lost: allocating 3584 bytes"]


# Times


async def times(*given):
    """What the times of values measured at these offsets from NOW become, as offsets again."""
    murano = Direct()
    board = Board(murano)
    for us in given:
        board.clock.us = NOW + us
        board.recorder.record("a", us)
    await board.deliver()
    found = [time.split(".") for time in murano.shelf.times("a")]
    found = [int(whole) * 1000000 + int((part[0] + "00000")[:6]) for whole, *part in found]
    assert murano.shelf.values("a") == [str(us) for us in given]
    return [us - NOW for us in found]


async def test_no_two_times_of_an_alias_are_equal():
    assert await times(0, 0, 0, 5) == [0, 1, 2, 5]
    assert await times(0, -1, -999, -1000, 4) == [0, 1, 2, -1000, 4]
    assert await times(0, -1000) == [0, 1]
    assert await times(0, -1001) == [0, -1001]  # the clock was set back: that is its time
    assert await times(-600000, 0) == [-600000, 0]


async def test_aliases_do_not_move_each_others_times():
    murano = Direct()
    board = Board(murano)
    for alias in ("a", "b", "a"):
        board.recorder.record(alias, 1)
    await board.deliver()
    assert murano.shelf.times("b") == [stamp(NOW)]
    assert murano.shelf.times("a") == [stamp(NOW), stamp(NOW + 1)]


def unknown(board, ticks, *seconds):
    """Record at these seconds of uptime, while nobody knows the time."""
    board.clock.us = None
    for second in seconds:
        ticks.ms = second * 1000
        board.recorder.record("a", second)


async def test_what_was_measured_before_the_time_was_known_gets_its_true_time():
    ticks, murano = Ticks(), Direct()
    board = Board(murano)
    unknown(board, ticks, 1, 2, 2, 7)
    error = await board.deliver()
    assert type(error) is Transient and "nobody said the time" in str(error)
    assert murano.shelf.taken == [] and board.lost == 0
    ticks.ms = 10000
    board.clock.us = NOW
    board.recorder.record("a", 10)
    ticks.ms = 15000
    board.clock.us = NOW + 4000000  # the clock was set once more, by a second
    assert await board.deliver() is None
    expected = [NOW - 9000000, NOW - 8000000, NOW - 8000000 + 1, NOW - 3000000, NOW]
    assert murano.shelf.times("a") == [stamp(us) for us in expected]
    assert os.listdir(board.root) == []


async def test_the_time_is_the_same_when_it_is_sent_again():
    ticks, murano = Ticks(), Direct("lose")
    board = Board(murano)
    unknown(board, ticks, 1, 3)
    board.clock.us = NOW
    await board.deliver()
    ticks.ms, board.clock.us = 60000, NOW + 59000000
    await board.deliver()
    assert murano.shelf.times("a") == [stamp(NOW - 2000000), stamp(NOW)]
    assert board.recorded() == (2, 2)


async def test_the_moment_when_the_time_becomes_known_doubles_none():
    ticks, murano = Ticks(), Direct()
    board = Board(murano)
    unknown(board, ticks, 5, 5)
    board.clock.us = NOW
    board.recorder.record("a", 6)
    await board.deliver()
    assert murano.shelf.times("a") == [stamp(NOW + us) for us in (0, 1, 2)]


async def test_ticks_that_begin_anew_change_no_time():
    period = 1 << 30
    ticks, murano = Ticks(period - 5000), Direct()
    board = Board(murano)
    board.clock.us = None
    board.recorder.record("a", 1)
    days = 40
    for _ in range(days * 24):
        ticks.ms += 3600000
        board.recorder.tick()
    board.clock.us = NOW
    await board.deliver()
    assert murano.shelf.times("a") == [stamp(NOW - days * 86400000000)]


async def test_a_start_whose_time_nobody_knows_any_more_is_dropped_and_told():
    ticks, murano = Ticks(), Direct("lose")
    board = Board(murano)
    unknown(board, ticks, 1, 2, 3)
    board.recorder.save()
    board = Board(murano, board.root)
    board.recorder.record("a", "new")
    await board.deliver()
    assert board.lost == 0  # told once: with the sending that succeeds
    await board.deliver()
    assert murano.shelf.taken == [("a", stamp(NOW), "new")]
    assert board.lost == 3 and "3 records are lost: of an earlier start" in board.errors[-1]
    assert board.recorded() == (1, 1) and os.listdir(board.root) == []


async def test_where_all_is_lost_nothing_is_sent():
    ticks, murano = Ticks(), Direct()
    board = Board(murano)
    unknown(board, ticks, 1, 2)
    board.recorder.save()
    board = Board(murano, board.root)
    await board.deliver()
    assert murano.shelf.batches == [] and board.lost == 2 and not board.recorder._taken
    assert not board.recorder.waiting and board.recorded() == (0, 0)


async def test_a_later_start_knows_the_time_of_one_that_learnt_it():
    ticks, murano = Ticks(), Direct()
    board = Board(murano)
    unknown(board, ticks, 1)
    board.away = Transient("no server")
    ticks.ms, board.clock.us = 3000, NOW
    board.recorder.tick()
    await board.deliver()
    assert os.listdir(board.root) == ["rec-starts"]
    board.recorder.save()
    ticks.ms = 0
    second = Board(murano, board.root)
    unknown(second, ticks, 4)
    second.clock.us = NOW + 60000000
    second.recorder.save()
    third = Board(murano, board.root)
    assert await third.deliver() is None
    assert murano.shelf.times("a") == [stamp(NOW - 2000000), stamp(NOW + 60000000)]
    assert third.lost == 0 and os.listdir(board.root) == []


async def test_of_many_starts_the_last_are_known():
    ticks, murano, board = Ticks(), Direct(), None
    for start in range(12):
        ticks.ms = 0
        board = Board(murano, board and board.root)
        unknown(board, ticks, start)
        board.clock.us = NOW + start * 100000000
        board.recorder.tick()
        board.recorder.save()
        await board.off()
    board = Board(murano, board.root)
    await board.deliver()
    assert murano.shelf.values("a") == [str(start) for start in range(4, 12)]
    assert board.lost == 4 and os.listdir(board.root) == []


async def test_a_flash_that_does_not_take_the_time_is_told():
    store, murano, ticks = Records(), Direct(), Ticks()
    store.put_json = store.get_json = lambda *args: None
    board = Board(murano, store=store)
    unknown(board, ticks, 1)
    board.clock.us = NOW

    def full(name, value):
        raise OSError(28)

    store.put_json = full
    board.recorder.tick()
    board.recorder.save()
    assert "the times of this start are not saved: OSError(28,)" in board.errors[-1]
    assert await board.deliver() is None and len(murano.shelf.taken) == 1


def test_a_damaged_record_of_starts_is_told_and_harms_nothing():
    board = Board(Direct())
    for raw in (b"iST1 damaged", b""):
        with open(board.root + "/rec-starts", "wb") as file:
            file.write(raw)
        again = Board(Direct(), board.root)
        assert "rec-starts is damaged" in again.errors[0]
        again.recorder.record("a", 1)
        assert again.recorder.waiting
