# The boot loader's rules: (otadata before) -> (slot, otadata after), then whole stories.
import bootloader
from esp32 import Partition
from simchip import (
    FACTORY_ONLY,
    OTA_0,
    OTA_1,
    WITH_FACTORY,
    Chip,
    Ended,
    entry,
    raises,
)

NEW, PENDING, VALID, INVALID, ABORTED = range(5)
UNDEFINED = 0xFFFFFFFF


def boot(chip):
    return bootloader.select(chip.flash, chip.rows)[4]


def test_selection():
    e = entry
    cases = (
        ("blank", (None, None), "ota_0", [(1, VALID), None]),
        ("both damaged", (e(1, VALID, 0), e(2, VALID, 0)), "ota_0", [(1, VALID), (2, VALID)]),
        ("one valid", (e(1, VALID), None), "ota_0", [(1, VALID), None]),
        ("highest", (e(1, VALID), e(2, VALID)), "ota_1", [(1, VALID), (2, VALID)]),
        ("new", (e(1, VALID), e(2, NEW)), "ota_1", [(1, VALID), (2, PENDING)]),
        ("pending", (e(1, VALID), e(2, PENDING)), "ota_0", [(1, VALID), (2, ABORTED)]),
        ("aborted", (e(1, VALID), e(2, ABORTED)), "ota_0", [(1, VALID), (2, ABORTED)]),
        ("invalid", (e(1, VALID), e(2, INVALID)), "ota_0", [(1, VALID), (2, INVALID)]),
        ("undefined", (e(1, VALID), e(2, UNDEFINED)), "ota_1", [(1, VALID), (2, UNDEFINED)]),
        ("bad crc", (e(1, VALID), e(2, VALID, 7)), "ota_0", [(1, VALID), (2, VALID)]),
        ("no good", (e(1, ABORTED), e(2, ABORTED)), "ota_0", [(1, ABORTED), (2, ABORTED)]),
        ("only trial", (e(1, PENDING), None), "ota_0", [(1, ABORTED), None]),
        ("tie", (e(2, VALID), e(2, NEW)), "ota_1", [(2, VALID), (2, NEW)]),
        ("new and pending", (e(3, NEW), e(2, PENDING)), "ota_0", [(3, PENDING), (2, ABORTED)]),
    )
    for what, before, label, after in cases:
        with Chip() as chip:
            chip.set_entries(*before)
            got = boot(chip)
            assert (got, chip.entries()) == (label, after), (what, got, chip.entries())


def test_damaged_images_fall_back_down_then_up_and_leave_otadata_alone():
    with Chip() as chip:
        chip.set_entries(entry(1, VALID), entry(2, VALID))
        chip.write(OTA_1 + 60, b"\x55")
        assert boot(chip) == "ota_0"
        assert chip.entries() == [(1, VALID), (2, VALID)]
        chip.run("ota_0")
        assert Partition(Partition.BOOT).info()[4] == "ota_1"  # BOOT and RUNNING differ
    with Chip() as chip:
        chip.set_entries(entry(1, VALID), None)
        chip.write(OTA_0 + 60, b"\x55")
        assert boot(chip) == "ota_1"
    with Chip() as chip:
        chip.write(OTA_0, b"\0")
        assert boot(chip) == "ota_1"  # and what started is written down
        assert chip.entries() == [(2, VALID), None]


def test_nothing_to_boot():
    with Chip() as chip:
        chip.write(OTA_0, b"\0")
        chip.write(OTA_1, b"\0")
        raises(bootloader.NoBootable, boot, chip)
        assert chip.flash.ops == 0


def test_factory():
    with Chip(FACTORY_ONLY) as chip:
        assert boot(chip) == "factory" and chip.flash.ops == 0
    with Chip(WITH_FACTORY) as chip:
        assert boot(chip) == "factory" and chip.flash.ops == 0
        chip.set_entries(entry(1, NEW), None)
        assert boot(chip) == "ota_0"
        chip.write(OTA_1, b"\0")  # there lies this table's ota_0
        assert boot(chip) == "factory"


def test_update_that_is_confirmed_stays():
    with Chip() as chip:
        boot(chip)
        chip.run("ota_0")
        Partition("ota_1").set_boot()
        assert boot(chip) == "ota_1"
        chip.run("ota_1")
        Partition.mark_app_valid_cancel_rollback()
        assert [boot(chip) for _ in range(3)] == ["ota_1"] * 3
        assert chip.entries() == [(1, VALID), (2, VALID)]


def test_update_that_is_not_confirmed_has_one_boot_and_leaves_its_trace():
    with Chip() as chip:
        boot(chip)
        chip.run("ota_0")
        Partition("ota_1").set_boot()
        assert [boot(chip) for _ in range(4)] == ["ota_1", "ota_0", "ota_0", "ota_0"]
        assert chip.entries() == [(1, VALID), (2, ABORTED)]


def cut_then_boot(entries, operation, how, act):
    """The slot that boots after `act` was cut at that operation, with power for good then."""
    with Chip(cut=(operation, how)) as chip:
        chip.set_entries(*entries)
        chip.run("ota_0")
        raises(Ended, act, chip)
        chip.on()
        return boot(chip), chip.entries()


def test_cuts_in_set_boot_leave_the_old_slot_or_choose_the_new_one():
    entries = (entry(3, VALID), entry(2, VALID))

    def act(chip):
        Partition("ota_1").set_boot()

    old = ("ota_0", [(3, VALID), None])
    for operation, how, outcome in (
        (1, "before", ("ota_0", [(3, VALID), (2, VALID)])),
        (1, "after", old),
        (2, "before", old),
        (2, "after", ("ota_1", [(3, VALID), (4, PENDING)])),
    ):
        got = cut_then_boot(entries, operation, how, act)
        assert got == outcome, (operation, how, got)
    got = cut_then_boot(entries, 2, "torn", act)  # seq is there, its CRC is not
    assert got[0] == "ota_0", got


def test_cuts_in_the_boot_loaders_own_writes():
    cases = (
        # NEW -> PENDING_VERIFY: between erase and program the trial is lost, the old slot starts
        ((entry(1, VALID), entry(2, NEW)), 1, "before", "ota_1"),
        ((entry(1, VALID), entry(2, NEW)), 1, "after", "ota_0"),
        ((entry(1, VALID), entry(2, NEW)), 2, "before", "ota_0"),
        ((entry(1, VALID), entry(2, NEW)), 2, "after", "ota_0"),  # that was its one boot
        # PENDING_VERIFY -> ABORTED: the old slot in any case
        ((entry(1, VALID), entry(2, PENDING)), 1, "before", "ota_0"),
        ((entry(1, VALID), entry(2, PENDING)), 2, "before", "ota_0"),
        ((entry(1, VALID), entry(2, PENDING)), 2, "after", "ota_0"),
        # blank otadata: what started is written down at the next boot
        ((None, None), 2, "before", "ota_0"),
    )
    for entries, operation, how, label in cases:
        got = cut_then_boot(entries, operation, how, boot)
        assert got[0] == label, (entries, operation, how, got)
