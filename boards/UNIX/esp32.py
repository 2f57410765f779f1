# The esp32 module of the simulated board: Partition over the emulated chip.
# Behaves as ports/esp32/esp32_partition.c and ESP-IDF's esp_partition and esp_ota_ops do, errors
# included: OSError(-esp_err, name). What would abort the chip (a write to the running image, the
# boot loader or the table) ends the process as a panic does.
# Limits: no encryption, no NVS, no ULP, no RMT.
# SPDX-License-Identifier: MIT
import control
import image
from micropython import const
from otadata import (
    ADDRESS,
    APP,
    DATA,
    FACTORY,
    LABEL,
    NEW,
    OTA,
    SIZE,
    SUBTYPE,
    TYPE,
    VALID,
    find,
    otadata,
    slots,
)

_SECTOR = const(4096)
_ANY = const(0xFF)
_PROTECTED = const(0x9000)  # boot loader and partition table
_ENOENT = const(2)
_EINVAL = const(22)

_INVALID_ARG = (0x102, "ESP_ERR_INVALID_ARG")
_INVALID_SIZE = (0x104, "ESP_ERR_INVALID_SIZE")
_NOT_FOUND = (0x105, "ESP_ERR_NOT_FOUND")
_VALIDATE_FAILED = (0x1503, "ESP_ERR_OTA_VALIDATE_FAILED")
_FAIL = (-1, "ESP_FAIL")

_flash = None
_rows = ()
_running = None
_in_place = True


def attach(flash, rows, running, in_place=True):
    """Give the module its chip, its table's rows and the row that runs. For power_on and tests.

    in_place: what set_boot() of the slot that is already chosen does. True: its entry in otadata
    is written again, as new (ESP-IDF since 996a9ca2). False: the other entry gets the same seq.
    """
    global _flash, _rows, _running, _in_place
    _flash, _rows, _running, _in_place = flash, rows, running, in_place


def _error(error):
    return OSError(-error[0], error[1])


def _lookup(label):
    for kind in (APP, DATA):
        for row in _rows:
            if row[TYPE] == kind and row[LABEL] == label:
                return row
    return None


def _default():
    return find(_rows, APP, FACTORY) or (slots(_rows) or [None])[0]


def _boot():
    # esp_ota_get_boot_partition(): what otadata names, whether or not it is what started.
    ota = otadata(_flash, _rows)
    if not ota:
        return None
    place = ota.active()
    apps = slots(_rows)
    if place < 0 or not apps:
        return _default()
    return apps[(ota.entries[place].seq - 1) % len(apps)]


class Partition:
    """A partition as a block device. Partition(id, block_size=4096): BOOT, RUNNING or a label."""

    BOOT = 0
    RUNNING = 1
    TYPE_APP = APP
    TYPE_DATA = DATA

    def __init__(self, _id, _block_size=4096):
        if isinstance(_id, tuple):  # a row, for this module's own use
            row = _id
        elif isinstance(_id, str):
            row = _lookup(_id)
        elif _id == self.BOOT:
            row = _boot()
        elif _id == self.RUNNING:
            row = _running
        else:
            raise ValueError
        if not row:
            raise OSError(_ENOENT)
        self._row = row
        self._block = _block_size
        self._cache = bytearray(_SECTOR) if _block_size < _SECTOR else None

    @staticmethod
    def find(type=APP, subtype=_ANY, label=None, block_size=4096):
        """Every partition that matches, in the table's order."""
        return [
            Partition(row, block_size)
            for row in _rows
            if row[TYPE] == type
            and subtype in (_ANY, row[SUBTYPE])
            and label in (None, row[LABEL])
        ]

    def info(self):
        """(type, subtype, address, size, label, encrypted)"""
        return self._row + (False,)

    def __repr__(self):
        return (
            "<Partition type=%d, subtype=%d, address=%d, size=%d, label=%s, encrypted=0>"
            % self._row
        )

    # Blocks.

    def readblocks(self, n, buf, off=0):
        """Fill `buf` from byte n * block_size + off, at any alignment."""
        at = n * self._block + off
        self._check_range(at, len(buf))
        _flash.read(self._row[ADDRESS] + at, buf)

    def writeblocks(self, n, buf, off=None):
        """Without `off`: erase, then program. With it, even 0: program only, bits go 1 to 0."""
        at = n * self._block
        if off is not None:
            self._program(at + off, buf)
        elif self._cache:
            self._rewrite(at, memoryview(buf))
        else:
            self._erase(at, len(buf))
            self._program(at, buf)

    def ioctl(self, op, arg=0):
        """1 to 3: nothing. 4: blocks. 5: block size. 6: erase the 4 KiB block `arg`."""
        if op in (1, 2, 3):
            return 0
        if op == 4:
            return self._row[SIZE] // self._block
        if op == 5:
            return self._block
        if op == 6:
            if self._block != _SECTOR:
                return -_EINVAL
            self._erase(arg * _SECTOR, _SECTOR)
            return 0
        return None

    def _rewrite(self, at, view):
        # Blocks smaller than a sector: the sectors around them are read, erased, written back.
        while len(view):
            inside = at % _SECTOR
            sector = at - inside
            step = min(len(view), _SECTOR - inside)
            self._check_range(at, step)
            _flash.read(self._row[ADDRESS] + sector, self._cache)
            self._cache[inside : inside + step] = view[:step]
            self._erase(sector, _SECTOR)
            self._program(sector, self._cache)
            at += step
            view = view[step:]

    def _check_range(self, at, length):
        if at < 0 or at > self._row[SIZE]:
            raise _error(_INVALID_ARG)
        if at + length > self._row[SIZE]:
            raise _error(_INVALID_SIZE)

    def _erase(self, at, length):
        self._check_range(at, length)
        if length % _SECTOR:
            raise _error(_INVALID_SIZE)
        if at % _SECTOR:
            raise _error(_INVALID_ARG)
        self._check_safe("erase")
        for sector in range(at, at + length, _SECTOR):
            _flash.erase(self._row[ADDRESS] + sector)

    def _program(self, at, buf):
        self._check_range(at, len(buf))
        self._check_safe("program")
        _flash.program(self._row[ADDRESS] + at, buf)

    def _check_safe(self, what):
        # SPI_FLASH_DANGEROUS_WRITE_ABORTS, the default: the chip aborts, Python sees nothing.
        if self._row is _running or self._row[ADDRESS] < _PROTECTED:
            control.end("panic %s of the running partition %s" % (what, self._row[LABEL]))

    # Which image starts next.

    def set_boot(self):
        """Verify the image here, all of it, and let the next reset start it."""
        try:
            image.verify(_flash, self._row[ADDRESS], self._row[SIZE])
        except image.BadImage:
            raise _error(_VALIDATE_FAILED)
        if self._row[TYPE] != APP:
            raise _error(_INVALID_ARG)
        ota = otadata(_flash, _rows)
        if not ota:
            raise _error(_NOT_FOUND)
        if self._row[SUBTYPE] == FACTORY:
            data = find(_rows, DATA, 0)
            for sector in range(data[ADDRESS], data[ADDRESS] + data[SIZE], _SECTOR):
                _flash.erase(sector)
        elif self._row in slots(_rows):
            _choose(ota, self._row[SUBTYPE] - OTA, len(slots(_rows)))
        else:
            raise _error(_INVALID_ARG)

    def get_next_update(self):
        """The OTA slot after this one; from the last one, or from elsewhere, the first."""
        apps = slots(_rows)
        if not apps:
            raise OSError(_ENOENT)
        after = apps.index(self._row) + 1 if self._row in apps else 0
        return Partition(apps[after % len(apps)])

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        """Make the running image the confirmed one. Writes only if it is not that yet."""
        ota = otadata(_flash, _rows)
        if not ota:
            raise _error(_NOT_FOUND)
        place = ota.active()
        if place < 0 or not slots(_rows):
            raise _error(_FAIL)
        entry = ota.entries[place]
        if entry.state != VALID:
            ota.write(place, entry.seq, VALID)


def _choose(ota, slot, count):
    place = ota.active()
    if place < 0:
        ota.write(0, slot + 1, NEW)
        return
    seq = ota.entries[place].seq
    if (seq - 1) % count == slot:
        ota.write(place if _in_place else 1 - place, seq, NEW)
        return
    while (seq - 1) % count != slot:
        seq += 1
    ota.write(1 - place, seq, NEW)
