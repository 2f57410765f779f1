# What makes the simulated board a Pico W: no slots, no boot loader, all code on the file system.
# The firmware itself (MicroPython with its frozen modules) is the interpreter that runs this.
# SPDX-License-Identifier: MIT
import control
import rp2
import rp2_machine
import rp2_network
import vfs
from micropython import const

PLATFORM = "rp2"
BUILD = "RPI_PICO_W"
MACHINE = "Simulated Raspberry Pi Pico W with RP2040"
EPOCH = 0
MODULES = {"machine": rp2_machine, "network": rp2_network, "rp2": rp2}
PATH = ("", ".frozen", "/lib")
ROOTS = ("/",)

_PAGE = const(256)  # what this flash programs at a time


def boot(chip, options):
    """There is nothing to choose, and no ROMFS: None."""
    attach(chip)
    control.send("boot")


def attach(chip):
    """Give the module rp2 its chip."""
    rp2.attach(chip)


def storage():
    """The block device that holds the file system."""
    return rp2.Flash()


def format(device):
    """Make an empty file system."""
    vfs.VfsLfs2.mkfs(device, progsize=_PAGE)


def file_system(device):
    """The file system on a block device. Raises OSError if there is none."""
    # Without times of files: the host's clock must not reach the flash.
    return vfs.VfsLfs2(device, progsize=_PAGE, mtime=False)


def mount(rom, device):
    """As the stock firmware's _boot.py: what does not mount is formatted, whatever it held."""
    try:
        found = file_system(device)
    except Exception:
        format(device)
        found = file_system(device)
    vfs.mount(found, "/")
