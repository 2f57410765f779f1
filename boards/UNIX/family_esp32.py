# What makes the simulated board an ESP32: partition table, boot loader, code in a ROMFS of the
# slot that booted, LittleFS in the `vfs` partition.
# SPDX-License-Identifier: MIT
import gc

import bootloader
import control
import esp32
import image
import machine
import network
import otadata
import vfs

PLATFORM = "esp32"
BUILD = "ESP32_GENERIC"
MACHINE = "Simulated ESP32 module with ESP32"
EPOCH = 946684800  # 2000-01-01 in Unix time
MODULES = {"machine": machine, "network": network, "esp32": esp32}
PATH = ("", "/rom", ".frozen", "/lib")
# Where boot.py and main.py are looked for: the ROMFS's come first, as frozen ones do.
ROOTS = ("/rom/", "/")

_FIRST_BOOT_PY = "# This file is executed on every boot\n"


def boot(chip, options):
    """Choose the slot; the buffer with its ROMFS (empty if it has none)."""
    row = _select(chip, options)
    # Reading the image left garbage all over the heap. Swept now, what stays lies at its
    # beginning, and the board gets the rest in one piece.
    gc.collect()
    attach(chip, row, options.get("same_slot", "in_place") == "in_place")
    control.send("boot %s" % row[otadata.LABEL])
    return _rom(chip, row, int(options.get("rom", 0)))


def attach(chip, row=None, in_place=True):
    """Give the module esp32 its chip; row: what runs."""
    rows = otadata.with_vfs(otadata.table(chip), chip.size)
    # The stubs know another esp32, and a vfs without VfsRom.
    esp32.attach(chip, rows, row, in_place)  # pyright: ignore[reportAttributeAccessIssue]


def storage():
    """The block device that holds the file system."""
    return esp32.Partition("vfs")


def format(device):
    """Make an empty file system."""
    vfs.VfsLfs2.mkfs(device)


def file_system(device):
    """The file system on a block device. Raises OSError if there is none."""
    # Without times of files: the host's clock must not reach the flash.
    return vfs.VfsLfs2(device, mtime=False)


def mount(rom, device):
    """As the stock firmware: a blank chip is formatted, anything else is left alone for good."""
    try:
        vfs.mount(file_system(device), "/")
    except OSError:
        _first_format(device)
    if rom and rom[0]:  # blank, if this slot has no ROMFS but another has
        romfs = vfs.VfsRom(memoryview(rom))  # pyright: ignore[reportAttributeAccessIssue]
        vfs.mount(romfs, "/rom")


def _select(chip, options):
    # A soft reset does not pass through the boot loader: the slot stays.
    rows = otadata.table(chip)
    if "soft" in options:
        return next(row for row in rows if row[otadata.LABEL] == options["soft"])
    try:
        return bootloader.select(chip, rows)
    except bootloader.NoBootable as error:
        control.end("dead %s" % error)


def _rom(chip, row, size):
    # The one large thing in the heap: the parent adds `size` to the heap, for the larger slot's
    # ROMFS, and all of it is taken here, so that what is left is what --heap said.
    found = image.find_romfs(chip, row[otadata.ADDRESS])
    rom = bytearray(max(size, found[1] if found else 0))
    if found:
        chip.read(found[0], memoryview(rom)[: found[1]])
    return rom


def _first_format(device):
    block = bytearray(512)
    device.readblocks(0, block)
    if any(byte != 0xFF for byte in block):
        print("The filesystem appears to be corrupted: it does not mount, and is not blank.")
        control.end("stuck")
    format(device)
    vfs.mount(file_system(device), "/")
    with open("/boot.py", "w") as f:
        f.write(_FIRST_BOOT_PY)
