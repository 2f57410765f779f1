"""Of a trace every state is built as the chip would have left it, and each only once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .beliefs import Snapshot
from .chip import Chip
from .scenarios import SCENARIOS
from .sweep import make_keys, prepare
from .thinning import left_out
from .trace import SECTOR, SHAPES, Moment, Op, Trace, torn

FLASH = bytes(range(256)) * 192  # twelve sectors
NOTHING = Snapshot({}, [], "nothing yet")
TOLD = Snapshot({}, [], "told")


@pytest.fixture
def keys_folder(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("keys"))


def erase(number: int, address: int, before: bytes) -> Op:
    return Op(number, "erase", address, before, b"\xff" * SECTOR, 1, 0)


def program(
    number: int,
    address: int,
    before: bytes,
    new: bytes,
    snapshot: int = 0,
    state: str = "download",
) -> Op:
    after = bytes(a & b for a, b in zip(before, new, strict=True))
    return Op(number, "program", address, before, after, 1, snapshot, state)


def trace(*ops: Op, moments: tuple[Moment, ...] = ()) -> Trace:
    return Trace(FLASH, [NOTHING, TOLD], list(ops), list(moments))


def bits(data: bytes) -> int:
    return bin(int.from_bytes(data, "little")).count("1")


def test_an_erase_that_is_torn_leaves_some_old_zeros_and_nothing_else():
    op = erase(1, 0, bytes(SECTOR))
    left = {shape: 8 * SECTOR - bits(torn(op, shape)) for shape in SHAPES["erase"]}
    assert 1800 < left["early"] < 2300  # of 32768: one in 16
    assert 80 < left["late"] < 180  # one in 256
    assert torn(op, "half") == b"\xff" * (SECTOR // 2) + bytes(SECTOR // 2)


def test_a_program_that_is_torn_clears_some_of_its_bits_and_no_others():
    old, new = b"\xf0" * 64, b"\x3c" * 64
    op = program(1, 0, old, new)
    assert torn(op, "low") == b"\x30" * 32 + b"\xf0" * 32
    half = torn(op, "random")
    assert bits(op.after) < bits(half) < bits(old)
    assert all(found & 0x30 == 0x30 and found | 0xF0 == 0xF0 for found in half)


def test_a_torn_state_is_the_same_each_time():
    op = erase(7, 0, bytes(SECTOR))
    assert torn(op, "early") == torn(op, "early") != torn(erase(8, 0, bytes(SECTOR)), "early")


def test_a_state_is_what_was_done_before_it_and_the_torn_rest():
    first = erase(1, 0, FLASH[:SECTOR])
    second = program(2, 8, b"\xff" * 4, b"abcd")
    cuts = {cut.label: cut for cut in trace(first, second).cuts()}
    assert len(cuts) == 4 + 3 + 1, list(cuts)

    def flash(label):
        return trace(first, second).state(cuts[label])[0]

    assert flash("op 1 erase 0x0+4096 before") == FLASH
    assert flash("op 1 erase 0x0+4096 torn half")[: SECTOR // 2] == b"\xff" * (SECTOR // 2)
    assert flash("op 2 program 0x8+4 before") == b"\xff" * SECTOR + FLASH[SECTOR:]
    assert flash("op 2 program 0x8+4 torn low")[8:12] == b"ab\xff\xff"
    assert flash("the end")[8:12] == b"abcd" and flash("the end")[SECTOR:] == FLASH[SECTOR:]


def test_equal_states_are_one():
    blank = b"\xff" * SECTOR
    nothing = Trace(blank, [NOTHING], [erase(1, 0, blank), program(2, 0, b"\xff", b"\xff")])
    assert [cut.label for cut in nothing.cuts()] == ["op 1 erase 0x0+4096 before"]


def test_a_request_is_a_cut_where_the_server_has_learnt_from_it():
    op = program(1, 0, FLASH[:4], bytes(4))
    moments = (Moment(1, 0, "PUT /status not yet told"), Moment(1, 1, "PUT /status told"))
    moments += (Moment(1, 1, "GET /next not yet told"), Moment(1, 1, "GET /next told"))
    found = trace(op, moments=moments)
    found.last = 1
    labels = [cut.label for cut in found.cuts() if cut.request]
    asked, told = "PUT /status not yet told", "PUT /status told"
    assert labels == [f"request 1 {asked} after op 1", f"request 1 {told} after op 1"]
    assert [found.state(cut)[1] for cut in found.cuts()[-2:]] == [NOTHING, TOLD]


def test_of_a_long_run_of_data_its_ends_are_cut_and_some_between():
    ops, at = [program(1, 0, FLASH[:4], bytes(4))], SECTOR
    for number in range(2, 302):
        ops.append(program(number, at, FLASH[at : at + 4], bytes(4)))
        at += 4
    ops.append(program(302, 4, FLASH[4:8], bytes(4)))
    slot = [(SECTOR, 2 * SECTOR)]
    left = left_out(trace(*ops), slot)
    assert not left & {0, *range(1, 5), *range(297, 302)}
    assert 260 < len(left) < 300
    assert {cut.ops for cut in trace(*ops).cuts(left)} - {302} == set(range(302)) - left
    # In another state of the update it is no plain data.
    assert left_out(trace(*(replace(op, state="install") for op in ops)), slot) == set()


@pytest.mark.parametrize("look", [True, False])
def test_a_short_stretch_is_cut_everywhere(look):
    ops = [program(n + 1, 4 * n, FLASH[4 * n : 4 * n + 4], bytes(4)) for n in range(40)]
    assert left_out(trace(*ops), (), look) == set()
    many = [*ops, *(program(n, 400, bytes(4), bytes(4), snapshot=1) for n in range(41, 181))]
    assert set() < left_out(trace(*many), (), look) < set(range(48, 172))


def test_what_changes_a_file_is_never_left_out(tmp_path, keys_folder):
    golden = prepare(tmp_path, SCENARIOS["directory"], keys_folder)
    left = left_out(golden.trace, golden.scenario.sampled)
    flash, before, changes = bytearray(golden.trace.start), {}, 0
    assert left and golden.sampled == len(golden.trace.ops) - len(left)
    for index, op in enumerate(golden.trace.ops):
        flash[op.address : op.address + len(op.after)] = op.after
        tree = {x: y for x, y in Chip(bytes(flash)).tree.items() if "/.instar-files" not in x}
        if tree != before:
            changes += 1
            assert index not in left and index + 1 not in left
        before = tree
    assert changes > 10
