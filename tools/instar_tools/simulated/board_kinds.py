"""The boards that can be simulated, and what the world around each has to know of it.

    kind = kind_of("board.flash")       # by the name that `instar sim create` left there
    kind.firmware_slots, kind.heap

What a board does by itself is in boards/UNIX; that folder knows it by the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from ..flashing.partition_table import Row

# MicroPython's ports/esp32/partitions-4MiB-ota.csv. `vfs` is what is left of the chip.
OTA_4MIB: tuple[Row, ...] = (
    (1, 0x02, 0x9000, 0x4000, "nvs"),
    (1, 0x00, 0xD000, 0x2000, "otadata"),
    (1, 0x01, 0xF000, 0x1000, "phy_init"),
    (0, 0x10, 0x10000, 0x180000, "ota_0"),
    (0, 0x11, 0x190000, 0x180000, "ota_1"),
)
NAME_AT = 16  # in flash that no board of these looks at
_NAME_SIZE = 16
_YEAR_2021_US = (21 * 365 + 6) * 86400 * 1_000_000


@dataclass(frozen=True)
class BoardKind:
    """One kind of board.

    rows: its partition table; without one it has no firmware slots, and its code lies on the file
    system. flash_size: in bytes; any_size: it may be larger. heap: as MicroPython's -X heapsize.
    tls: bytes of the heap, scaled as its `wk`, that one TLS session takes there and the simulator
    cannot: they are held. oui: how its MAC address begins.

    causes: how a boot ended -> machine.reset_cause() of the next one, None: as before. Ends that
    are not in it are for good, unless the watchdog runs. rtc_us: the RTC at power-on, since 2000;
    keeps_rtc: it counts on through a reset.
    """

    name: str
    flash_size: int
    heap: str
    oui: bytes
    causes: Mapping[str, int | None]
    rows: tuple[Row, ...] = ()
    any_size: bool = False
    tls: int = 0
    rtc_us: int = 0
    keeps_rtc: bool = True

    @property
    def firmware_slots(self) -> bool:
        return bool(self.rows)

    @property
    def name_field(self) -> bytes:
        """The name as it lies in the flash."""
        return self.name.encode().ljust(_NAME_SIZE, b"\0")


ESP32_GENERIC = BoardKind(
    name="ESP32_GENERIC",
    flash_size=4 << 20,
    any_size=True,
    heap="92wk",  # Mender alone takes 80wk; bootstrap and messages 88wk; Murano's data the rest
    oui=bytes.fromhex("240ac4"),  # Espressif
    causes={"cut": 1, "reset": 2, "panic": 2, "watchdog": 3, "soft_reset": 5},
    rows=OTA_4MIB,
)
# Of a Pico W with its radio on 202,928 bytes are free; a TLS session took 26.7 KB of them. A panic
# leaves it standing, and its RTC begins anew with every start of the chip.
RPI_PICO_W = BoardKind(
    name="RPI_PICO_W",
    flash_size=2 << 20,
    heap="198wk",
    tls=2 * 27 << 10,
    oui=bytes.fromhex("28cdc1"),  # Raspberry Pi
    causes={"cut": 1, "reset": 3, "watchdog": 3, "soft_reset": None},
    rtc_us=_YEAR_2021_US,
    keeps_rtc=False,
)
KINDS = {kind.name: kind for kind in (ESP32_GENERIC, RPI_PICO_W)}


def kind_of(flash: Path | str) -> BoardKind:
    """The kind of the board whose flash file this is.

    Raises:
        click.ClickException: the file names none that is known.
    """
    with open(flash, "rb") as file:
        file.seek(NAME_AT)
        name = file.read(_NAME_SIZE).rstrip(b"\0")
    for kind in KINDS.values():
        if kind.name.encode() == name:
            return kind
    raise click.ClickException(
        f"{flash}: expected the flash of one of {', '.join(KINDS)}, found {name!r} as its name;"
        " `instar sim create` makes one"
    )
