"""What a firmware for a board is built from: CMake files, sdkconfig, header, board.json.

Every variant of the board is put together as ports/esp32 and ports/rp2 do, from stand-ins for
MicroPython's own files; then what comes out has to fit the partition table that it names.
"""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from instar_tools.real_boards import RealBoard

from .cmake import BadCMake, Build

_PORT = "/micropython/port"
_BINARY = "/micropython/port/build"
_BLE = "boards/sdkconfig.ble"
# What the stock boards set, as far as these files change it.
_STOCK = {
    "esp32": f"set(SDKCONFIG_DEFAULTS boards/sdkconfig.base {_BLE})",
    "rp2": "set(PICO_BOARD pico_w) set(MICROPY_PY_NETWORK_CYW43 ON)",
}
# Their variants that those here extend, whose names are kept: BOARD_DIR hides them.
_STOCK_VARIANTS: dict[str, dict[str, str]] = {
    "ESP32_GENERIC": {"SPIRAM": "list(APPEND SDKCONFIG_DEFAULTS boards/sdkconfig.spiram)"},
    "ESP32_GENERIC_S3": {
        "SPIRAM_OCT": "list(APPEND SDKCONFIG_DEFAULTS boards/sdkconfig.spiram_oct)"
    },
}
_FLASH_KEYS = tuple(f"CONFIG_ESPTOOLPY_FLASHSIZE_{size}MB" for size in (2, 4, 8, 16, 32))
_KEYS = {
    *_FLASH_KEYS,
    "CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE",
    "CONFIG_COMPILER_OPTIMIZATION_PERF",
    "CONFIG_COMPILER_OPTIMIZATION_SIZE",
    "CONFIG_PARTITION_TABLE_CUSTOM",
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME",
}
_MACROS = {"MICROPY_PY_BLUETOOTH", "MICROPY_VFS_ROM"}
_BOARD_JSON = {
    "deploy",
    "docs",
    "features",
    "images",
    "mcu",
    "product",
    "thumbnail",
    "url",
    "vendor",
}
_OPTIONAL_JSON = {"deploy_options", "variants"}
_FEATURES = {"BLE", "Dual-core", "External Flash", "External RAM", "USB", "WiFi"}
_BOOTLOADER_AT = {"esp32": "0x1000", "esp32s3": "0", "esp32c3": "0"}


def problems(board: RealBoard, folder: Path) -> Iterator[str]:
    """What is wrong with them."""
    variants = [path.stem.split("_", 1)[1] for path in folder.glob("mpconfigvariant_*.cmake")]
    macros = _header(board, folder / "mpconfigboard.h")
    yield from (text for text in macros if isinstance(text, str))
    defined = dict(pair for pair in macros if not isinstance(pair, str))
    for name in _STOCK_VARIANTS.get(board.name, {}).keys() - set(variants):
        yield f"{_variant_file(name)}: expected, since this folder hides the stock one"
    for variant in ("", *sorted(variants)):
        for problem in _variant(board, folder, variant, defined):
            yield f"{variant or 'mpconfigboard'}: {problem}"
    yield from _json(board, folder / "board.json", set(variants))


def _variant(
    board: RealBoard, folder: Path, variant: str, macros: dict[str, str]
) -> Iterator[str]:
    given = {
        "MICROPY_PORT_DIR": [_PORT],
        "MICROPY_BOARD_DIR": [str(folder.resolve())],
        "CMAKE_BINARY_DIR": [_BINARY],
        "MICROPY_BOARD_VARIANT": [variant],
    }
    build = Build(given, _stock(board).get)
    try:
        build.run(folder / "mpconfigboard.cmake")
        if variant:
            build.run(folder / _variant_file(variant))
    except BadCMake as error:
        yield str(error)
        return
    for name in _STOCK_VARIANTS.get(board.name, {}):
        taken = any(path.endswith(_variant_file(name)) for path in build.taken)
        if taken != f"{variant}_".startswith(f"{name}_"):
            yield f"MicroPython's own {name} expected in {name} and {name}_..., in no other"
    manifest = build.text("MICROPY_FROZEN_MANIFEST")
    if manifest != str(folder.resolve() / "manifest.py"):
        yield f"MICROPY_FROZEN_MANIFEST: the board's manifest.py expected, got {manifest!r}"
    if board.firmware_slots:
        yield from _esp32(board, folder.resolve(), build, macros)


def _stock(board: RealBoard) -> dict[str, str]:
    """What stands for MicroPython's own files of the board, by their paths in the port."""
    more = _STOCK_VARIANTS.get(board.name, {})
    variants = {_variant_file(name): text for name, text in more.items()}
    files = {"mpconfigboard.cmake": _STOCK[board.port], **variants}
    return {f"boards/{board.name}/{name}": text for name, text in files.items()}


def _variant_file(name: str) -> str:
    return f"mpconfigvariant_{name}.cmake"


def _esp32(board: RealBoard, folder: Path, build: Build, macros: dict[str, str]) -> Iterator[str]:
    if build.text("IDF_TARGET") != board.chip:
        yield f"IDF_TARGET: {board.chip} expected, got {build.text('IDF_TARGET')!r}"
    files = build.lists["SDKCONFIG_DEFAULTS"]
    if (_BLE in files) != (macros.get("MICROPY_PY_BLUETOOTH") != "(0)"):
        yield "Bluetooth: on or off in SDKCONFIG_DEFAULTS and in mpconfigboard.h alike, expected"
    if len(set(files)) < len(files):
        yield f"SDKCONFIG_DEFAULTS: each file once expected, got {files}"
    settings: dict[str, str] = {}
    for name in files:
        path = Path(name)
        if name in build.written:
            text = build.written[name]
        elif not path.is_absolute():
            continue  # MicroPython's own
        elif path.is_file():
            text = path.read_text()
        else:
            yield f"SDKCONFIG_DEFAULTS: {path.name}: expected a file, found none"
            continue
        yield from _sdkconfig(path.name, text, settings)
    yield from _fits(settings, folder)


def _sdkconfig(name: str, text: str, settings: dict[str, str]) -> Iterator[str]:
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or key not in _KEYS:
            yield f"{name}: a setting known to this check expected, got {line!r}"
        if value == "y" and key in _FLASH_KEYS:  # the last of a choice counts
            settings |= dict.fromkeys(_FLASH_KEYS, "")
        settings[key] = value


def _fits(settings: dict[str, str], folder: Path) -> Iterator[str]:
    if settings.get("CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE") != "y":
        yield "CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE=y expected: else nothing rolls back"
    name = settings.get("CONFIG_PARTITION_TABLE_CUSTOM_FILENAME", "").strip('"')
    table = Path(name)
    if settings.get("CONFIG_PARTITION_TABLE_CUSTOM") != "y" or table.parent != folder:
        yield f"a partition table in the board's folder expected, got {name!r}"
        return
    if not table.is_file():
        yield f"{table.name}: expected a partition table, found none"
        return
    sizes = [key.rpartition("_")[2] for key in _FLASH_KEYS if settings.get(key) == "y"]
    if [size.replace("MB", "MiB") for size in sizes] != re.findall(r"\d+MiB", table.name):
        yield f"{table.name}: a flash of that size expected, got {sizes or 'none'}"


def _header(board: RealBoard, path: Path) -> list[str | tuple[str, str]]:
    # Problems, and pairs of a macro and its value.
    if not path.is_file():
        return ["mpconfigboard.h: expected, found none"]
    found: list[str | tuple[str, str]] = []
    stock = f'#include "boards/{board.name}/mpconfigboard.h"'
    lines = [line for line in path.read_text().splitlines() if line and line[:2] != "//"]
    for line in lines:
        match = re.fullmatch(r"#define (\w+) (\(\d+\))", line)
        if match and match[1] in _MACROS:
            found.append((match[1], match[2]))
        elif line != stock:
            found.append(f"mpconfigboard.h: a line known to this check expected, got {line!r}")
    if lines[-1:] != [stock]:
        found.append(f"mpconfigboard.h: {stock} expected at its end, so that the above counts")
    return found


def _json(board: RealBoard, path: Path, variants: set[str]) -> Iterator[str]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        yield f"board.json: {error}"
        return
    missing, more = _BOARD_JSON - data.keys(), data.keys() - _BOARD_JSON - _OPTIONAL_JSON
    if missing or more:
        yield f"board.json: without {sorted(missing)}, with {sorted(more)}"
        return
    if data["mcu"] != board.chip:
        yield f"board.json: mcu {board.chip} expected, got {data['mcu']!r}"
    if unknown := set(data["features"]) - _FEATURES:
        yield f"board.json: features of {sorted(_FEATURES)} expected, got {sorted(unknown)}"
    if set(data.get("variants", {})) != variants:
        yield f"board.json: variants {sorted(variants)} expected, got {data.get('variants')}"
    for name in data["deploy"]:
        if not (path.parent / name).is_file():
            yield f"board.json: deploy: {name}: expected a file, found none"
    offset = data.get("deploy_options", {}).get("flash_offset")
    if offset != _BOOTLOADER_AT.get(board.chip):
        yield f"board.json: flash_offset {_BOOTLOADER_AT.get(board.chip)} expected, got {offset!r}"
