# The board as it is put together at power-on: boot loader, modules, file systems.
# mainboard.start(flash, options) does it all; the options are listed in power_on.py. Used once and
# then forgotten, so that it does not stay in the board's heap.
# SPDX-License-Identifier: MIT
import gc
import sys

import bootloader
import chance
import control
import dates
import esp32
import image
import machine
import network
import nor
import otadata
import rtc
import vfs
from micropython import const

_MAC = const(0)  # where `sim create` leaves the MAC: the efuses, in flash that the ESP32 ignores
# The board's programs may have modules of these names.
_PRIVATE = (
    "bootloader",
    "chance",
    "control",
    "dates",
    "image",
    "mainboard",
    "nor",
    "otadata",
    "program",
    "rtc",
    "standin",
)
_FIRST_BOOT_PY = "# This file is executed on every boot\n"


def start(flash, options):
    """Boot as far as the first line of the board's own program; the size of the ROMFS's buffer."""
    control.connect(options.get("control", "/dev/null"))
    seed = options.get("seed")
    chip = nor.Flash(
        flash,
        int(options.get("ops", 0)),
        _cut(options.get("cut")),
        "trace" in options,
        int(seed or 0),
    )
    row = _boot(chip, options)
    rom = _rom(chip, row, int(options.get("rom", 0)))
    _modules(chip, options, seed)
    gc.collect()
    _mount(rom)
    sys.path[:] = ["", "/rom", ".frozen", "/lib"]
    sys.argv[:] = []
    return len(rom)


def _cut(text):
    if not text:
        return None
    number, _, how = text.partition(":")
    return int(number), how or nor.BEFORE


def _boot(chip, options):
    # A soft reset does not pass through the boot loader: the slot stays.
    rows = otadata.table(chip)
    if "soft" in options:
        row = next(row for row in rows if row[otadata.LABEL] == options["soft"])
    else:
        try:
            row = bootloader.select(chip, rows)
        except bootloader.NoBootable as error:
            control.end("dead %s" % error)
    # Reading the image left garbage all over the heap. Swept now, what stays lies at its
    # beginning, and the board gets the rest in one piece.
    gc.collect()
    in_place = options.get("same_slot", "in_place") == "in_place"
    esp32.attach(chip, otadata.with_vfs(rows, chip.size), row, in_place)
    control.send("boot %s" % row[otadata.LABEL])
    return row


def _rom(chip, row, size):
    # The one large thing in the heap: the parent adds `size` to the heap, for the larger slot's
    # ROMFS, and all of it is taken here, so that what is left is what --heap said.
    found = image.find_romfs(chip, row[otadata.ADDRESS])
    rom = bytearray(max(size, found[1] if found else 0))
    if found:
        chip.read(found[0], memoryview(rom)[: found[1]])
    return rom


def _modules(chip, options, seed):
    mac = bytearray(6)
    chip.read(_MAC, mac)
    machine.attach(int(options.get("cause", machine.PWRON_RESET)), bytes(mac))
    network.attach(bytes(mac))
    rtc.start(int(options["rtc"]) if "rtc" in options else None)
    if seed is not None:
        seed = ("%s %s" % (seed, options.get("boot", 1))).encode()
    for name, module in (
        ("os", chance.Os(seed)),
        ("time", rtc.Time()),
        ("tls", dates.Tls(__import__("tls"))),
        ("random", __import__("random")),
        ("machine", machine),
    ):
        sys.modules[name] = module
        sys.modules["u" + name] = module
    for name in _PRIVATE:
        sys.modules.pop(name, None)


def _mount(rom):
    vfs.umount("/")
    partition = esp32.Partition("vfs")
    try:
        vfs.mount(_littlefs(partition), "/")
    except OSError:
        _format(partition)
    if rom:
        vfs.mount(vfs.VfsRom(memoryview(rom)), "/rom")


def _littlefs(partition):
    # Without times of files: the host's clock must not reach the flash.
    return vfs.VfsLfs2(partition, mtime=False)


def _format(partition):
    # As the stock firmware: a blank chip is formatted, anything else is left alone for good.
    block = bytearray(512)
    partition.readblocks(0, block)
    if any(byte != 0xFF for byte in block):
        print("The filesystem appears to be corrupted: it does not mount, and is not blank.")
        control.end("stuck")
    vfs.VfsLfs2.mkfs(partition)
    vfs.mount(_littlefs(partition), "/")
    with open("/boot.py", "w") as f:
        f.write(_FIRST_BOOT_PY)
