"""The boards' files: the checker finds each fault planted in them; partition tables; names."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import click
import pytest

from instar_tools.flashing import partitions
from instar_tools.flashing.partition_table import table_binary
from instar_tools.paths import BOARDS as FOLDER
from instar_tools.paths import FIRMWARE, LIB, ROOT
from instar_tools.real_boards import BOARDS
from instar_tools.simulated.board_kinds import OTA_4MIB
from instar_tools.simulated.flash_builder import parse_table

sys.path.insert(0, str(ROOT / "tools"))

import check_boards

ESP32, S3, PICO = "boards/ESP32_GENERIC/", "boards/ESP32_GENERIC_S3/", "boards/RPI_PICO_W/"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("UNIX", "__pycache__")
    for folder in (FOLDER, FIRMWARE, LIB):
        shutil.copytree(folder, root / folder.relative_to(ROOT), ignore=ignored)
    (root / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "porting.md", root / "docs")
    return root


def test_the_boards_are_without_fault(checkout):
    assert check_boards.check(ROOT) == []
    assert check_boards.check(checkout) == []


# (file, what is there, what is put in its place, a pattern for what is to be said of it)
FAULTS = [
    (ESP32 + "partitions-4MiB.csv", "0x190000", "0x180000", "ota_1: overlaps ota_0"),
    (ESP32 + "partitions-4MiB.csv", "0x190000", "0x191000", "ota_1: an offset that is a multiple"),
    (ESP32 + "partitions-4MiB.csv", "0xf0000", "0x100000", "vfs: ends at 0x410000, after"),
    (ESP32 + "partitions-4MiB.csv", "0xf0000", "0xe0000", "0x10000 bytes at the end"),
    (ESP32 + "partitions-4MiB.csv", "0xd000,   0x2000", "0xd000,   0x1000", "otadata: 0x2000"),
    (ESP32 + "partitions-8MiB.csv", "data, 0x8f", "data, fat", "romfs: data of subtype 0x8f"),
    (ESP32 + "partitions-16MiB.csv", "app,  ota_1", "app,  ota_one", "csv:10: a number or one of"),
    (ESP32 + "partitions-4MiB-romfs.csv", "romfs,", "rom,", "romfs: a partition of that name"),
    (ESP32 + "partitions-8MiB.csv", None, None, "partitions-8MiB.csv: expected, for 8 MiB"),
    (
        ESP32 + "mpconfigboard.cmake",
        "IDF_TARGET esp32)",
        "IDF_TARGET esp32s2)",
        "IDF_TARGET: esp32",
    ),
    (
        ESP32 + "mpconfigboard.cmake",
        "boards/ESP32_GENERIC/",
        "boards/ESP32/",
        "of MicroPython's stock",
    ),
    (ESP32 + "mpconfigboard.cmake", "LAYOUT 4MiB", "LAYOUT 2MiB", "partitions-2MiB.csv: expected"),
    (ESP32 + "mpconfigboard.cmake", "/manifest.py", "/manifests.py", "the board's manifest.py"),
    (
        ESP32 + "mpconfigboard.cmake",
        "/sdkconfig.board",
        "/sdkconfig.boar",
        "boar: expected a file",
    ),
    (ESP32 + "mpconfigboard.cmake", "list(REMOVE", "message(REMOVE", r"message\(\) is not known"),
    (ESP32 + "mpconfigboard.cmake", "sdkconfig.ble", "sdkconfig.bl", "Bluetooth: on or off"),
    (ESP32 + "mpconfigvariant_FLASH_16M.cmake", "16MiB", "32MiB", "FLASH_16M: partitions-32MiB"),
    (ESP32 + "mpconfigvariant_FLASH_16M.cmake", None, None, "board.json: variants"),
    (S3 + "mpconfigvariant_SPIRAM_OCT.cmake", None, None, "this folder hides the stock one"),
    (
        S3 + "mpconfigvariant_SPIRAM_OCT.cmake",
        "variant_SPIRAM_OCT.cmake)",
        "variant_SPIRAM.cmake)",
        "SPIRAM_OCT: .* of MicroPython's stock",
    ),
    (
        S3 + "mpconfigvariant_SPIRAM_OCT_FLASH_16M.cmake",
        "include(boards/ESP32_GENERIC_S3/mpconfigvariant_SPIRAM_OCT.cmake)",
        "",
        "SPIRAM_OCT_FLASH_16M: MicroPython's own SPIRAM_OCT expected",
    ),
    (
        ESP32 + "mpconfigvariant_FLASH_8M.cmake",
        "set(",
        "include(boards/ESP32_GENERIC/mpconfigvariant_SPIRAM.cmake)\nset(",
        "FLASH_8M: MicroPython's own SPIRAM expected in SPIRAM and SPIRAM_..., in no other",
    ),
    ("boards/layout.cmake", "${INSTAR_FLASH_MIB}MB=y", "4MB=y", "8MiB.csv: a flash of that size"),
    ("boards/layout.cmake", "${MICROPY_BOARD_DIR}/part", "part", "in the board's folder expected"),
    ("boards/layout.cmake", "list(REMOVE_ITEM", "list(APPEND", "each file once expected"),
    (
        ESP32 + "mpconfigboard.h",
        "MICROPY_VFS_ROM",
        "MICROPY_VFS_RAM",
        "a line known to this check",
    ),
    (ESP32 + "mpconfigboard.h", "boards/ESP32_GENERIC", "boards/ESP32", "expected at its end"),
    (ESP32 + "sdkconfig.board", "ROLLBACK_ENABLE=y", "ROLLBACK_ENABLE=", "nothing rolls back"),
    (ESP32 + "sdkconfig.board", "CONFIG_COMPILER_OPT", "CONFIG_OPT", "a setting known to this"),
    (ESP32 + "board.json", '"mcu": "esp32"', '"mcu": "esp8266"', "mcu esp32 expected"),
    (ESP32 + "board.json", '"WiFi"', '"Wi-Fi"', "features of"),
    (ESP32 + "board.json", "porting.md", "portion.md", "portion.md: expected a file"),
    (ESP32 + "board.json", '"0x1000"', '"0"', "flash_offset 0x1000"),
    (ESP32 + "board.json", '"docs": "",', "", r"without \['docs'\]"),
    (ESP32 + "board.json", "{", "", "board.json: "),
    (ESP32 + "manifest.py", "$(PORT_DIR)/boards/", "$(PORT_DIR)/", "of the port expected"),
    (ESP32 + "manifest.py", "../../firmware", "../firmware", "expected a manifest, found none"),
    (ESP32 + "manifest.py", 'module("board.py", opt=3)', "", "board.py: expected to be frozen"),
    (
        ESP32 + "manifest.py",
        'module("board.py"',
        'module("boards.py"',
        "boards.py: expected a file",
    ),
    (ESP32 + "manifest.py", "app=options.app", "app=None", "no sample application expected"),
    ("firmware/manifest.py", 'module("boot.py"', 'module("app.py"', "app.py: is frozen twice"),
    ("firmware/manifest.py", '"../lib"', '"../libs"', "package instar: modules in"),
    ("firmware/manifest.py", 'module("start.py", opt=3)', "", "start.py: expected to be frozen"),
    ("lib/instar/boot.py", " main micropython", " micropython", "main: a file could hide it"),
    ("lib/instar/wifi_board.py", "def reset(", "def restart(", "Board has no reset$"),
    (ESP32 + "board.py", "class Board(", "class Bord(", "a class Board expected"),
    (ESP32 + "board.py", '"ESP32_GENERIC"', '"ESP32"', "Board.name: ESP32_GENERIC expected"),
    (ESP32 + "board.py", "class Board(Esp32Board):", "class Board(:", "board.py: mpy-cross"),
    (ESP32 + "board.py", None, None, "board.py: expected, found none"),
    (PICO + "pins.csv", "LED,", "LAMP,", "a pin LED expected"),
    (PICO + "pins.csv", "GP7,GPIO7", "GP7", "a line like GP0,GPIO0"),
    (PICO + "pins.csv", None, None, "hides the stock one"),
    (PICO + "mpconfigboard.cmake", "/RPI_PICO_W/", "/RPI_PICO/", "of MicroPython's stock"),
    (PICO + "manifest.py", "boards/RPI_PICO_W/", "boards/", "of the port expected"),
]


@pytest.mark.parametrize(("name", "old", "new", "said"), FAULTS)
def test_a_planted_fault_is_found(checkout, name, old, new, said):
    path = checkout / name
    good = path.read_text()
    try:
        if old is None:
            path.unlink()
        else:
            assert old in good, "the fault cannot be planted"
            path.write_text(good.replace(old, new))
        found = check_boards.check(checkout)
    finally:
        path.write_text(good)
    assert any(re.search(said, line) for line in found), found


def test_a_board_without_folder_and_a_folder_without_board_are_found(checkout):
    (checkout / "boards" / "RPI_PICO2_W").rename(checkout / "boards" / "RPI_PICO3_W")
    found = check_boards.check(checkout)
    (checkout / "boards" / "RPI_PICO3_W").rename(checkout / "boards" / "RPI_PICO2_W")
    assert found == [
        "boards/RPI_PICO2_W: expected, found none",
        "boards/RPI_PICO3_W: a board of real_boards.py expected",
    ]


# Partition tables


def test_a_table_is_read_as_esp_idf_reads_it(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(
        "# a comment, with commas\n\nnvs, data, nvs, , 16K\notadata,data,ota,,8K,\n"
        "phy_init,data,1,,4K\nota_0,app,ota_0,,1536K  # the first\nota_1,0,0x11,,0x180000,\n"
        "vfs,data,fat,0x310000,960K,\n"
    )
    rows = partitions.read_csv(path)
    assert rows == [*OTA_4MIB, (1, 0x81, 0x310000, 0xF0000, "vfs")]
    assert partitions.problems(rows, 4 << 20) == []
    assert parse_table(b"\xff" * 0x8000 + table_binary(rows)) == rows


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nvs, data, nvs, 0x9000", "t.csv:1: name, type, subtype"),
        ("nvs, date, nvs, 0x9000, 4K", "a number or one of app, data expected, got 'date'"),
        ("nvs, data, nvs, 0x9000, 4G", "a size like 0x180000, 1536K or 2M expected, got '4G'"),
        ("nvs, data, nvs, -4K, 4K", "a size like"),
        ("nvs, data, 300, 0x9000, 4K", "a number from 0 to 254 expected"),
        ("nvs, data, nvs, 0x9000, 4K, encrypted", "no flags expected, got 'encrypted'"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path, line, said):
    (tmp_path / "t.csv").write_text(line + "\n")
    with pytest.raises(click.ClickException) as error:
        partitions.read_csv(tmp_path / "t.csv")
    assert error.value.message.startswith("t.csv:1: ") and said in error.value.message


def test_what_is_wrong_with_a_table():
    vfs = (1, 0x81, 0x310000, 0xF0000, "vfs")
    good = [*OTA_4MIB, vfs]

    def told(row: int, **change) -> list[str]:
        fields = dict(zip(("type", "subtype", "address", "size", "label"), good[row], strict=True))
        changed = tuple({**fields, **change}.values())
        return partitions.problems([*good[:row], changed, *good[row + 1 :]], 4 << 20)

    assert partitions.problems(good, 4 << 20) == []
    assert partitions.problems(good[:5], 4 << 20) == [
        "vfs: a partition of that name expected, found none"
    ]
    assert told(4, size=0x170000) == [
        "slots: equal sizes expected, got ota_0 0x180000, ota_1 0x170000"
    ]
    assert told(4, subtype=0x12) == ["slots: ota_0 and ota_1 expected, got [0, 2]"]
    assert told(4, label="ota_0") == ["ota_0: one of that name expected, got 2"]
    assert told(4, label="a name of 17 byte")[0].endswith("a name of 1 to 16 bytes expected")
    assert told(0, address=0x8000) == ["nvs: begins at 0x8000, below 0x9000"]
    assert told(0, size=0x2000) == ["nvs: 0x3000 bytes or more expected, got 0x2000"]
    assert told(5, size=0) == ["vfs: a size that is a multiple of 0x1000 expected: 0x0"]
    assert told(5, address=0x310800, size=0xEF000)[0].startswith("vfs: an offset that is a mult")
    # One that lies inside another, with a third after both.
    assert "phy_init: overlaps otadata, which ends at 0xf000" in told(2, address=0xD000)


# What boards say of themselves


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("Generic ESP32 module with ESP32", "ESP32_GENERIC"),
        ("Generic ESP32 module with OTA with ESP32", "ESP32_GENERIC"),
        ("Simulated ESP32 module with ESP32", "ESP32_GENERIC"),
        ("Generic ESP32S3 module with ESP32S3", "ESP32_GENERIC_S3"),
        ("Generic ESP32S3 module with Octal-SPIRAM with ESP32S3", "ESP32_GENERIC_S3"),
        ("ESP32C3 module with ESP32C3", "ESP32_GENERIC_C3"),
        ("ESP32-C3 module with ESP32-C3", "ESP32_GENERIC_C3"),
        ("Raspberry Pi Pico W with RP2040", "RPI_PICO_W"),
        ("Simulated Raspberry Pi Pico W with RP2040", "RPI_PICO_W"),
        ("Raspberry Pi Pico 2 W with RP2350", "RPI_PICO2_W"),
        ("Raspberry Pi Pico with RP2040", None),
        ("Generic ESP32S2 module with ESP32S2", None),
        ("ESP32-C6 with ESP32-C6", None),
    ],
)
def test_a_board_is_known_by_what_it_says(machine, name):
    assert [board.name for board in BOARDS.values() if board.is_on(machine)] == [name] * bool(name)


def test_a_layout_fits_the_flash_or_there_is_none():
    board = BOARDS["ESP32_GENERIC_C3"]
    sizes = {mib: board.layout(mib) for mib in (2, 4, 8, 16)}
    assert sizes[2] is None and BOARDS["RPI_PICO_W"].layout(2) is None
    assert [sizes[mib].name for mib in (4, 8, 16)] == [
        "partitions-4MiB.csv",
        "partitions-8MiB.csv",
        "partitions-8MiB.csv",
    ]
    assert all(path.is_file() for path in sizes.values() if path)
