# The rules of NOR flash, and cuts that hit exactly the operation they name.
from simchip import OTA_1, Chip, Ended, raises

A = OTA_1 + 0x4000  # a blank sector


def test_programming_clears_bits_and_only_erasing_sets_them():
    with Chip() as chip:
        chip.flash.program(A, b"\xf0\x0f\xff")
        chip.flash.program(A, b"\xaa\xff\x00")
        assert chip.read(A, 4) == b"\xa0\x0f\x00\xff"
        chip.flash.erase(A)
        assert chip.read(A, 4096) == b"\xff" * 4096


def test_erasing_keeps_to_its_sector():
    with Chip() as chip:
        for at in (A - 1, A, A + 4095, A + 4096):
            chip.flash.program(at, b"\0")
        chip.flash.erase(A)
        assert [chip.read(at, 1)[0] for at in (A - 1, A, A + 4095, A + 4096)] == [0, 255, 255, 0]


def test_long_programs_over_old_data_are_and_at_every_byte():
    old = bytes((i * 7 + 3) & 0xFF for i in range(1000))
    new = bytes((i * 13 + 5) & 0xFF for i in range(1000))
    with Chip() as chip:
        chip.flash.program(A + 100, old)
        chip.flash.program(A + 100, new)
        assert chip.read(A + 100, 1000) == bytes(a & b for a, b in zip(old, new))


def test_every_operation_has_a_number_and_none_spans_two_sectors():
    with Chip(ops=41) as chip:
        chip.flash.erase(A)
        chip.flash.program(A + 4090, b"0123456789")
        assert chip.flash.ops == 44
        assert chip.read(A + 4090, 10) == b"0123456789"


def test_before_and_after_differ_by_one_whole_operation():
    for how, left in (("before", b"\xff\xff"), ("after", b"ab")):
        with Chip(cut=(2, how)) as chip:
            chip.flash.program(A, b"xy")
            assert raises(Ended, chip.flash.program, A + 2, b"ab") == ("cut 2 " + how,)
            assert chip.read(A, 4) == b"xy" + left


def test_a_torn_operation_is_half_done():
    with Chip(cut=(1, "torn")) as chip:
        raises(Ended, chip.flash.program, A, b"abcd")
        assert chip.read(A, 4) == b"ab\xff\xff"
        chip.write(A, bytes(4096))
        chip.on(cut=(1, "torn"))
        raises(Ended, chip.flash.erase, A)
        assert chip.read(A, 4096) == b"\xff" * 2048 + bytes(2048)


def test_a_ragged_operation_is_seeded_and_only_moves_towards_its_end():
    def ragged(seed, old, function, *args):
        with Chip(cut=(1, "ragged"), seed=seed) as chip:
            chip.write(A, old)
            raises(Ended, getattr(chip.flash, function), *args)
            return chip.read(A, 4096)

    programs = [ragged(seed, b"\xff" * 4096, "program", A, bytes(512)) for seed in (1, 1, 2)]
    assert programs[0] == programs[1] != programs[2]
    ones = sum(bin(byte).count("1") for byte in programs[0][:512])
    assert 1500 < ones < 2600  # of 4096: about half are still set
    assert programs[0][512:] == b"\xff" * 3584
    erased = ragged(1, bytes(4096), "erase", A)
    zeros = sum(bin(byte ^ 0xFF).count("1") for byte in erased)
    assert 1000 < zeros < 3000  # of 32768: about one in 16 is still clear


def test_a_cut_leaves_other_numbers_alone():
    with Chip(cut=(2, "before"), ops=2) as chip:
        chip.flash.erase(A)
        chip.flash.program(A, b"ab")
        assert chip.read(A, 2) == b"ab"
