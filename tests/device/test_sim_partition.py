# esp32.Partition against what is documented of it, one row per fact; then otadata.
import binascii

from esp32 import Partition
from simchip import (
    FACTORY_ONLY,
    OTA_0,
    OTA_1,
    OTADATA,
    SIZE,
    SLOT,
    TABLE,
    VFS,
    WITH_FACTORY,
    Chip,
    Ended,
    app_image,
    entry,
    raises,
)

NEW, PENDING, VALID, INVALID, ABORTED = range(5)
INVALID_ARG = (-258, "ESP_ERR_INVALID_ARG")
INVALID_SIZE = (-260, "ESP_ERR_INVALID_SIZE")
NOT_FOUND = (-261, "ESP_ERR_NOT_FOUND")
VALIDATE_FAILED = (-5379, "ESP_ERR_OTA_VALIDATE_FAILED")
B = bytes


def rows(chip, cases):
    """Every case: (what, function, outcome); an outcome that is a type and args is an error."""
    for what, function, outcome in cases:
        if isinstance(outcome, tuple) and outcome and isinstance(outcome[0], type):
            got = raises(outcome[0], function)
            assert got == outcome[1:], (what, got, outcome)
        else:
            got = function()
            assert got == outcome, (what, got, outcome)


def labels(found):
    return [partition.info()[4] for partition in found]


def test_objects_and_lookup():
    with Chip() as chip:
        chip.run()
        find = Partition.find
        rows(
            chip,
            (
                ("constants", lambda: (Partition.BOOT, Partition.RUNNING), (0, 1)),
                ("types", lambda: (Partition.TYPE_APP, Partition.TYPE_DATA), (0, 1)),
                ("running", lambda: Partition(1).info(), (0, 16, OTA_0, SLOT, "ota_0", False)),
                ("boot", lambda: Partition(0).info()[4], "ota_0"),
                ("other number", lambda: Partition(2), (ValueError,)),
                ("label", lambda: Partition("nvs").info(), (1, 2, 0x9000, 0x4000, "nvs", False)),
                ("no such label", lambda: Partition("none"), (OSError, 2)),
                ("default type is app", lambda: labels(find()), ["ota_0", "ota_1"]),
                (
                    "table order, vfs last",
                    lambda: labels(find(Partition.TYPE_DATA)),
                    ["nvs", "otadata", "phy_init", "vfs"],
                ),
                ("subtype", lambda: labels(find(subtype=17)), ["ota_1"]),
                ("label among apps only", lambda: find(label="vfs"), []),
                ("keywords", lambda: labels(find(type=1, label="vfs")), ["vfs"]),
                ("no match", lambda: find(5), []),
                (
                    "vfs is FAT by its number",
                    lambda: Partition("vfs").info(),
                    (1, 0x81, VFS, SIZE - VFS, "vfs", False),
                ),
                (
                    "repr",
                    lambda: repr(Partition("ota_1")),
                    "<Partition type=0, subtype=17, address=131072, size=65536, label=ota_1,"
                    " encrypted=0>",
                ),
            ),
        )


def test_a_vfs_of_the_table_is_the_only_one():
    with Chip(TABLE + ((1, 0x81, VFS, 0x4000, "ffat"),)) as chip:
        chip.run()
        assert labels(Partition.find(1))[-1] == "ffat"


def test_blocks():
    with Chip() as chip:
        chip.run()
        part = Partition("ota_1")
        small = Partition("ota_1", 512)
        block = bytearray(4096)
        rows(
            chip,
            (
                ("1 to 3", lambda: [part.ioctl(op, 0) for op in (1, 2, 3)], [0, 0, 0]),
                ("count", lambda: part.ioctl(4, 0), 16),
                ("count of small blocks", lambda: small.ioctl(4, 0), 128),
                ("size", lambda: (part.ioctl(5, 0), small.ioctl(5, 0)), (4096, 512)),
                ("erase", lambda: part.ioctl(6, 3), 0),
                ("erase with other blocks", lambda: small.ioctl(6, 3), -22),
                ("other requests", lambda: part.ioctl(7, 0), None),
                ("read", lambda: part.readblocks(0, bytearray(10), 3), None),
                ("write", lambda: part.writeblocks(4, block), None),
                (
                    "not whole sectors",
                    lambda: part.writeblocks(4, B(100)),
                    (OSError,) + INVALID_SIZE,
                ),
                ("beyond the end", lambda: part.readblocks(16, B(1)), (OSError,) + INVALID_SIZE),
                ("far beyond", lambda: part.readblocks(17, B(1)), (OSError,) + INVALID_ARG),
                ("over the end", lambda: part.writeblocks(15, B(8192)), (OSError,) + INVALID_SIZE),
                (
                    "program over it",
                    lambda: part.writeblocks(15, B(9), 4090),
                    (OSError,) + INVALID_SIZE,
                ),
                ("erase beyond", lambda: part.ioctl(6, 16), (OSError,) + INVALID_SIZE),
            ),
        )


def test_a_write_of_whole_blocks_erases_first():
    with Chip() as chip:
        chip.run()
        part = Partition("ota_1")
        part.writeblocks(4, bytes(4096))
        part.writeblocks(4, b"\xf0" * 4096)
        assert chip.read(OTA_1 + 16384, 4096) == b"\xf0" * 4096


def test_a_write_with_an_offset_never_erases_even_at_0():
    with Chip() as chip:
        chip.run()
        part = Partition("ota_1")
        part.writeblocks(4, b"\xf0", 0)
        part.writeblocks(4, b"\xaa", 0)
        part.writeblocks(4, b"xyz", 4095)
        assert chip.read(OTA_1 + 16384, 2) == b"\xa0\xff"
        assert chip.read(OTA_1 + 16384 + 4095, 3) == b"xyz"


def test_a_refused_write_wrote_nothing():
    with Chip() as chip:
        chip.run()
        before = chip.read(0, SIZE)
        raises(OSError, Partition("ota_1").writeblocks, 0, bytes(4100))
        assert chip.flash.ops == 0 and chip.read(0, SIZE) == before


def test_small_blocks_keep_what_is_around_them():
    with Chip() as chip:
        chip.run()
        part = Partition("ota_1", 512)
        Partition("ota_1").writeblocks(4, bytes(range(256)) * 32)
        part.writeblocks(39, b"new!" * 256)  # the last block of one sector, the first of the next
        got = chip.read(OTA_1 + 16384, 8192)
        assert got[3584:4608] == b"new!" * 256
        assert got[:3584] == bytes(range(256)) * 14
        assert got[4608:] == bytes(range(256)) * 14


def test_reads_at_any_place_and_length():
    with Chip() as chip:
        chip.run()
        got = bytearray(7)
        Partition("ota_0").readblocks(0, got, 281)
        assert got == app_image()[281:288]


def test_writing_where_the_program_runs_aborts_the_chip():
    with Chip() as chip:
        running = chip.run("ota_1")
        before = chip.read(0, SIZE)
        for call in (
            lambda: running.writeblocks(0, bytes(4096)),
            lambda: running.writeblocks(3, b"x", 0),
            lambda: running.ioctl(6, 15),
        ):
            assert raises(Ended, call)[0].startswith("panic ")
        assert chip.read(0, SIZE) == before
        Partition("ota_0").ioctl(6, 0)


def test_without_otadata():
    with Chip(FACTORY_ONLY) as chip:
        factory = chip.run("factory")
        rows(
            chip,
            (
                ("boot", lambda: Partition(Partition.BOOT), (OSError, 2)),
                ("running", lambda: Partition(Partition.RUNNING).info()[4], "factory"),
                ("no slot", factory.get_next_update, (OSError, 2)),
                ("set_boot", factory.set_boot, (OSError,) + NOT_FOUND),
                ("valid", Partition.mark_app_valid_cancel_rollback, (OSError,) + NOT_FOUND),
            ),
        )


def test_next_update():
    with Chip(WITH_FACTORY) as chip:
        assert chip.run("factory").get_next_update().info()[4] == "ota_0"
        assert Partition("ota_0").get_next_update().info()[4] == "ota_1"
        assert Partition("ota_1").get_next_update().info()[4] == "ota_0"
        assert Partition("nvs").get_next_update().info()[4] == "ota_0"
    with Chip(TABLE[:4]) as chip:
        assert chip.run().get_next_update().info()[4] == "ota_0"


# set_boot(): the image first.


def test_set_boot_refuses_what_is_no_image():
    good = app_image()
    cases = (
        ("magic", b"\xe8" + good[1:]),
        ("no segments", good[:1] + b"\0" + good[2:]),
        ("17 segments", good[:1] + b"\x11" + good[2:]),
        ("another chip", app_image(chip=9)),
        ("a segment of 3 bytes", good[:28] + b"\x03" + good[29:]),
        ("a segment past the end", good[:30] + b"\x02" + good[31:]),
        ("data", good[:100] + b"\x01" + good[101:]),
        ("checksum", good[:-33] + bytes([good[-33] ^ 1]) + good[-32:]),
        ("hash", good[:-1] + bytes([good[-1] ^ 1])),
        ("blank", b"\xff" * len(good)),
    )
    with Chip() as chip:
        chip.run()
        for what, image in cases:
            chip.write(OTA_1, image)
            got = raises(OSError, Partition("ota_1").set_boot)
            assert got == VALIDATE_FAILED, (what, got)
            assert chip.flash.ops == 0, what
        chip.write(OTA_1, good)
        Partition("ota_1").set_boot()


def test_set_boot_wants_the_chip_revision_the_image_wants():
    for low, high, taken in ((300, 0, True), (301, 0, False), (0, 299, False), (0, 65535, True)):
        image = bytearray(app_image()[:-32])
        image[15:19] = low.to_bytes(2, "little") + high.to_bytes(2, "little")
        import hashlib

        with Chip() as chip:
            chip.run()
            chip.write(OTA_1, image + hashlib.sha256(image).digest())
            try:
                Partition("ota_1").set_boot()
                assert taken, (low, high)
            except OSError:
                assert not taken, (low, high)


def test_set_boot_of_data():
    with Chip() as chip:
        chip.run()
        assert raises(OSError, Partition("vfs").set_boot) == VALIDATE_FAILED
        chip.write(VFS, app_image())
        assert raises(OSError, Partition("vfs").set_boot) == INVALID_ARG


def test_set_boot_rewrites_the_other_entry_with_the_next_number_of_that_slot():
    one, two, three = entry(1, VALID), entry(2, VALID), entry(3, VALID)
    # (entries before, slot, entries after)
    cases = (
        ((None, None), 0, [(1, NEW), None]),
        ((None, None), 1, [(2, NEW), None]),
        ((one, None), 1, [(1, VALID), (2, NEW)]),
        ((one, two), 0, [(3, NEW), (2, VALID)]),
        ((three, two), 1, [(3, VALID), (4, NEW)]),
        ((entry(1, VALID, crc=0), two), 0, [(3, NEW), (2, VALID)]),
        ((three, entry(4, ABORTED)), 1, [(3, VALID), (4, NEW)]),
        # the slot that is chosen already: in place
        ((one, None), 0, [(1, NEW), None]),
        ((one, two), 1, [(1, VALID), (2, NEW)]),
    )
    for before, slot, after in cases:
        with Chip() as chip:
            chip.run()
            chip.set_entries(*before)
            Partition("ota_%d" % slot).set_boot()
            assert chip.entries() == after, (before, slot, chip.entries())
            assert Partition(Partition.BOOT).info()[4] == "ota_%d" % slot
            assert chip.flash.ops == 2


def test_set_boot_of_the_chosen_slot_in_older_idf():
    with Chip() as chip:
        chip.run(in_place=False)
        chip.set_entries(entry(1, VALID), None)
        Partition("ota_0").set_boot()
        assert chip.entries() == [(1, VALID), (1, NEW)]


def test_set_boot_of_factory_erases_otadata():
    with Chip(WITH_FACTORY) as chip:
        chip.run("ota_0")
        chip.set_entries(entry(1, VALID), entry(2, VALID))
        Partition("factory").set_boot()
        assert chip.read(OTADATA, 8192) == b"\xff" * 8192
        assert Partition(Partition.BOOT).info()[4] == "factory"


def test_mark_valid():
    mark = Partition.mark_app_valid_cancel_rollback
    with Chip() as chip:
        chip.run()
        assert raises(OSError, mark) == (1, "ESP_FAIL")
        chip.set_entries(entry(1, VALID), entry(2, PENDING))
        mark()
        assert chip.entries() == [(1, VALID), (2, VALID)]
        assert chip.flash.ops == 2
        mark()
        assert chip.flash.ops == 2  # valid already: nothing is written


def test_mark_valid_cut_between_erase_and_program_loses_the_entry():
    with Chip(cut=(2, "before")) as chip:
        chip.run("ota_1")
        chip.set_entries(entry(1, VALID), entry(2, PENDING))
        raises(Ended, Partition.mark_app_valid_cancel_rollback)
        assert chip.entries() == [(1, VALID), None]
        assert Partition(Partition.BOOT).info()[4] == "ota_0"


def test_the_entry_as_documented():
    assert binascii.crc32(b"\x01\0\0\0", 0xFFFFFFFF) == 0x4743989A
    with Chip() as chip:
        chip.run()
        Partition("ota_0").set_boot()
        want = b"\x01\0\0\0" + b"\xff" * 20 + b"\0\0\0\0" + b"\x9a\x98\x43\x47"
        assert chip.read(OTADATA, 32) == want


def test_boot_reads_otadata_as_the_boot_loader_will():
    cases = (
        (None, None, "ota_0"),
        (entry(1, VALID), entry(2, NEW), "ota_1"),
        (entry(3, VALID), entry(2, VALID), "ota_0"),
        (entry(2, VALID), entry(2, NEW), "ota_1"),
        (entry(1, VALID), entry(2, ABORTED), "ota_0"),
        (entry(1, VALID), entry(2, INVALID), "ota_0"),
        (entry(1, VALID), entry(2, VALID, crc=5), "ota_0"),
        (entry(1, ABORTED), entry(2, ABORTED), "ota_0"),
    )
    for first, second, label in cases:
        with Chip() as chip:
            chip.run()
            chip.set_entries(first, second)
            assert Partition(Partition.BOOT).info()[4] == label, (first, second)
