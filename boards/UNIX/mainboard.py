# The board itself, from power-on to its REPL: boot loader, modules, file systems, program.
# mainboard.main(flash, options): power_on.py's work; the options are listed there.
# What is only for the simulation leaves sys.modules again, so that programs may use those names.
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
_PRIVATE = ("bootloader", "chance", "control", "dates", "image", "mainboard", "nor", "otadata")
_FIRST_BOOT_PY = "# This file is executed on every boot\n"


def main(flash, options):
    """One boot. Ends the process; what the parent hears last tells how."""
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
    gc.collect()
    control.send("heap %d %d" % (gc.mem_alloc() - len(rom), gc.mem_free()))
    del chip, row, rom, options
    sys.path[:] = ["", "/rom", ".frozen", "/lib"]
    sys.argv[:] = []
    control.end("repl %s" % _run())


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
    for name in _PRIVATE + ("rtc",):
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


def _run():
    # boot.py, then main.py: frozen before the file system's, as pyexec_file_if_exists() does. An
    # error in the first keeps the second from starting, as on an ESP32.
    program = {"__name__": "__main__"}
    for name in ("boot.py", "main.py"):
        try:
            for folder in ("/rom/", "/"):
                if _exists(folder + name):
                    execfile(folder + name, program)  # noqa: F821 (MicroPython's)
                    break
        except SystemExit:
            control.end("soft_reset")
        except BaseException as error:
            sys.print_exception(error)
            return "error in " + name
    return "end of main.py"


def _exists(path):
    try:
        open(path).close()
    except OSError:
        return False
    return True
