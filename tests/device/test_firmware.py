# The firmware installer on a simulated ESP32: what lies in the slots and in otadata afterwards.
import asyncio
import os
import sys

import esp_chip
from esp_chip import SLOT, Chip, entry, image

from instar.errors import Broken, Rejected
from instar.installers.firmware import Firmware

NEW, PENDING, VALID, ABORTED = 0, 1, 2, 4
V1 = image(b"v1" * 3000)
V2 = image(b"v2" * 9001)


class Board:
    def __init__(self):
        self.resets = self.fed = 0

    def reset(self):
        self.resets += 1

    def feed(self):
        self.fed += 1


def write(installer, data, step=1000, name="v2.bin", size=None):
    sink = installer.download(name, len(data) if size is None else size)
    view = memoryview(data)
    for at in range(0, len(data), step):
        sink.write(view[at : at + step])
    sink.close()


def update(chip, data=V2, step=1000):
    """Install `data` from the slot that runs; the installed identity."""
    installer = Firmware(Board())
    write(installer, data, step)
    asyncio.run(installer.install())
    return installer.installed()


def refused(kind, function, *args):
    try:
        function(*args)
    except kind as error:
        return str(error)
    raise AssertionError(f"expected {kind.__name__}")


def test_a_good_update_is_committed():
    chip = Chip(V1)
    assert chip.boot() == "ota_0" and chip.states() == [(1, VALID), None]
    first = Firmware(Board()).running()
    installed = update(chip)
    assert chip.slot(1)[: len(V2)] == V2 and chip.slot(0)[: len(V1)] == V1
    assert chip.states() == [(1, VALID), (2, NEW)]
    assert chip.boot() == "ota_1" and chip.states()[1] == (2, PENDING)
    installer = Firmware(Board(), installed)
    assert installer.running() == installed != first
    asyncio.run(installer.commit())
    assert chip.states() == [(1, VALID), (2, VALID)]
    assert chip.boot() == "ota_1"
    chip.done()


def test_every_chunking_writes_the_same():
    for step in (1, 7, 4095, 4096, 4097, 100000):
        chip = Chip(V1)
        chip.boot()
        update(chip, step=step)
        tail = -len(V2) % 4096
        assert chip.slot(1)[: len(V2) + tail] == V2 + b"\xff" * tail, step
        chip.done()


def test_identity_is_the_slot_and_the_appended_digest():
    chip = Chip(V1)
    chip.boot()
    assert Firmware(Board()).running() == "ota_0:" + V1[-32:].hex()
    # The same image in the other slot is another installation.
    assert update(chip, V1) == "ota_1:" + V1[-32:].hex()
    chip.done()


def test_without_a_proof_the_boot_loader_goes_back():
    chip = Chip(V1)
    chip.boot()
    installed = update(chip)
    assert chip.boot() == "ota_1"
    assert chip.boot() == "ota_0"
    assert chip.states() == [(1, VALID), (2, ABORTED)]
    installer = Firmware(Board(), installed)
    before = chip.read(0xD000, 0x2000)
    asyncio.run(installer.rollback())
    assert installer.running() != installed
    assert chip.read(0xD000, 0x2000) == before  # nothing to do, nothing written
    chip.done()


def test_rollback_from_the_running_trial():
    chip = Chip(V1)
    chip.boot()
    installed = update(chip)
    chip.boot()
    asyncio.run(Firmware(Board(), installed).rollback())
    assert chip.states() == [(1, VALID), None]  # the old entry was never touched
    assert chip.boot() == "ota_0"
    chip.done()


def test_rollback_where_the_board_marks_images_valid_by_itself():
    chip = Chip(V1)
    chip.boot()
    installed = update(chip)
    chip.boot()
    esp_chip.esp32.Partition.mark_app_valid_cancel_rollback()
    asyncio.run(Firmware(Board(), installed).rollback())
    assert chip.boot() == "ota_0"
    chip.done()


def test_rollback_before_the_reboot():
    chip = Chip(V1)
    chip.boot()
    installer = Firmware(Board())
    write(installer, V2)
    asyncio.run(installer.install())
    installer.installed()
    asyncio.run(installer.rollback())
    assert chip.states() == [(1, VALID), None]
    assert chip.boot() == "ota_0"
    chip.done()


def test_updates_go_back_and_forth():
    chip = Chip(V1)
    label = chip.boot()
    for number in range(5):
        data = image(b"release %d" % number * 500)
        installed = update(chip, data)
        following = chip.boot()
        assert following != label
        label = following
        installer = Firmware(Board(), installed)
        assert installer.running() == installed
        asyncio.run(installer.commit())
    assert chip.boot() == label
    chip.done()


def test_the_slot_that_runs_unconfirmed_keeps_its_fallback():
    chip = Chip(V1)
    chip.boot()
    update(chip)
    chip.boot()
    text = refused(Broken, Firmware(Board()).download, "v3.bin", 100)
    assert "unconfirmed" in text
    assert chip.slot(0)[: len(V1)] == V1
    chip.done()


def test_a_slot_that_would_boot_next_is_not_written_to():
    # Somebody called set_boot() and did not reset; a cut while writing must not boot garbage.
    chip = Chip(V1, V2)
    chip.boot()
    esp_chip.esp32.Partition("ota_1").set_boot()
    assert chip.states()[1] == (2, NEW)
    Firmware(Board()).download("v3.bin", 100)
    assert chip.states() == [(1, VALID), None]
    chip.done()


def test_what_does_not_fit_leaves_the_slot_as_it_was():
    rows = (
        (b"\x00" * 8192, "starts with 0x0, expected 0xe9"),
        (b"\xe9", "starts with 0xe9"),
        (image(b"x" * 100, chip=5), "for chip id 5, this board has chip id 0"),
        (image(b"x" * 100, digest=False), "no SHA-256 appended"),
    )
    for data, text in rows:
        chip = Chip(V1, V2)
        chip.boot()
        before = chip.read(0, esp_chip.SIZE)
        message = refused(Rejected, write, Firmware(Board()), data)
        assert text in message or data == b"\xe9", message
        assert chip.read(0, esp_chip.SIZE) == before, text
        chip.done()


def test_an_image_larger_than_the_slot():
    chip = Chip(V1, V2)
    chip.boot()
    before = chip.read(0, esp_chip.SIZE)
    text = refused(Rejected, Firmware(Board()).download, "big.bin", SLOT + 1)
    assert text == f"big.bin: {SLOT + 1} bytes do not fit slot ota_1 of {SLOT}"
    assert chip.read(0, esp_chip.SIZE) == before
    chip.done()


def test_an_image_that_the_boot_loader_would_refuse():
    for at in (40, len(V2) - 40, len(V2) - 1):
        chip = Chip(V1)
        chip.boot()
        bad = bytearray(V2)
        bad[at] ^= 1
        installer = Firmware(Board())
        write(installer, bytes(bad))
        text = refused(Rejected, asyncio.run, installer.install())
        assert "boot loader refuses" in text and "VALIDATE_FAILED" in text
        assert chip.states() == [(1, VALID), None]
        chip.done()


def test_flash_that_does_not_hold_what_was_written():
    chip = Chip(V1)
    chip.boot()
    installer = Firmware(Board())
    write(installer, V2)
    esp_chip.esp32.Partition("ota_1").writeblocks(1, b"\x00" * 8, 100)  # a worn sector
    assert "does not hold" in refused(Broken, asyncio.run, installer.install())
    assert chip.states() == [(1, VALID), None]
    chip.done()


def test_one_file_and_not_two():
    chip = Chip(V1)
    chip.boot()
    installer = Firmware(Board())
    assert "no file" in refused(Rejected, installer.installed)
    write(installer, V2)
    assert "second file" in refused(Rejected, installer.download, "more", 10)
    chip.done()


def test_what_runs_on_trial_is_known_and_can_be_kept():
    chip = Chip(V1, V2)
    chip.boot()
    assert not Firmware(Board()).on_trial()
    esp_chip.esp32.Partition("ota_1").set_boot()
    assert chip.boot() == "ota_1"
    assert Firmware(Board()).on_trial()
    asyncio.run(Firmware(Board()).commit())
    assert chip.states() == [(1, VALID), (2, VALID)]
    assert not Firmware(Board()).on_trial()
    before = chip.read(0xD000, 0x2000)
    asyncio.run(Firmware(Board()).commit())
    assert chip.read(0xD000, 0x2000) == before
    chip.done()


def test_an_empty_payload_does_not_boot_what_lay_in_the_slot():
    chip = Chip(V1, V2)
    chip.boot()
    assert "0 bytes are no ESP32 image" in refused(Rejected, write, Firmware(Board()), b"")
    # A file that ends within an older image must not be completed by that image's rest.
    installer = Firmware(Board())
    write(installer, V2[:2000])
    assert "longer than 2000 bytes" in refused(Broken, installer.installed)
    chip.done()


def test_an_interrupted_mark_valid_is_noticed():
    # Between erase and program of its entry the new image's claim is gone.
    chip = Chip(V1, V2, (entry(1, VALID), entry(2, NEW)))
    assert chip.boot() == "ota_1"
    esp_chip.esp32.Partition("otadata").ioctl(6, 1)
    installed = Firmware(Board()).running()
    assert chip.boot() == "ota_0"
    assert Firmware(Board(), installed).running() != installed
    chip.done()


def test_other_tasks_go_on_during_the_read_back():
    chip = Chip(V1)
    chip.boot()
    ticks = []

    async def ticker():
        while True:
            ticks.append(1)
            await asyncio.sleep_ms(0)

    async def main():
        task = asyncio.create_task(ticker())
        installer = Firmware(Board())
        write(installer, image(os.urandom(SLOT - 100)))
        before = len(ticks)
        await installer.install()
        assert len(ticks) > before + 1
        task.cancel()

    asyncio.run(main())
    chip.done()


def test_a_board_without_ota_slots_says_so_and_nothing_else_stops():
    import simchip

    from instar.installers import INSTALLERS, on_trial
    from instar.settings import Settings
    from instar.store import Store

    settings = Settings({})
    with simchip.Chip(simchip.FACTORY_ONLY) as chip:
        chip.run("factory")
        sys.modules["esp32"] = simchip.esp32
        assert "OTA" in refused(Rejected, Firmware, Board())
        settings.store = Store("/tmp/instar-trial-" + os.urandom(6).hex())
        assert on_trial(INSTALLERS, Board(), settings) == []
