"""Firmware images: esptool, which knows the format best, is the judge."""

from __future__ import annotations

import click
import esptool
import pytest
from click.testing import CliRunner

from instar_tools import image_builder
from instar_tools.cli import main
from instar_tools.flashing.partition_table import table_binary
from instar_tools.simulated.flash_builder import OTA_4MIB, parse_table

FILES = {"main.py": b"print('hello')\n", "pkg/data.bin": bytes(range(256)) * 5}


@pytest.fixture
def esptool_says(capsys):
    def says(path, chip="esp32") -> str:
        esptool.main(["--chip", chip, "image-info", str(path)])
        return capsys.readouterr().out

    return says


@pytest.mark.parametrize("chip", image_builder.CHIPS)
def test_esptool_accepts_the_image_of_each_chip(tmp_path, chip, esptool_says):
    path = tmp_path / "app.bin"
    path.write_bytes(image_builder.build_image("1.2.3", FILES, chip))
    told = esptool_says(path, chip)
    assert "Checksum" in told and "invalid" not in told and told.count("(valid)") == 2, told
    assert "App version: 1.2.3" in told and "Project name: instar" in told


def test_esptool_finds_a_flipped_byte(tmp_path, esptool_says):
    data = bytearray(image_builder.build_image("1", FILES))
    data[700] ^= 1
    path = tmp_path / "app.bin"
    path.write_bytes(data)
    told = esptool_says(path)
    assert "Checksum" in told and told.count("invalid") >= 2, told


def test_equal_input_is_equal_output_and_the_romfs_is_found():
    first, second = (image_builder.build_image("1", FILES) for _ in range(2))
    assert first == second != image_builder.build_image("2", FILES)
    romfs = image_builder.build_romfs(FILES)
    assert image_builder.find_romfs(first)[: len(romfs)] == romfs
    assert FILES["pkg/data.bin"] in romfs
    assert image_builder.find_romfs(image_builder.build_image("1", None)) == b""
    assert image_builder.find_romfs(b"\xff" * 4096) == b""


def build(*options: object):
    return CliRunner().invoke(main, ["image", *map(str, options)])


def test_an_image_holds_instar_compiled_and_the_programs_as_source(tmp_path):
    app = tmp_path / "extra"
    app.mkdir()
    (app / "tool.py").write_text("X = 1\n")
    (app / "main.py").write_text("import tool\n")
    out = tmp_path / "app.bin"
    done = build("-o", out, "--version", "7", "--app", f"{app}/", "--app", app)
    assert done.exit_code == 0, done.output
    romfs = image_builder.find_romfs(out.read_bytes())
    for name in (b"errors.mpy", b"board.mpy", b"tool.mpy", b"start.mpy", b"extra"):
        assert name in romfs, name
    assert b"class InstarError" not in romfs  # no source
    assert romfs.count(b"import tool\n") == 1  # /main.py; /extra/main.py is a module like others


def test_root_and_bare_stand_alone_and_are_taken_as_they_are(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "thing.py").write_text("THING = 'as it is'\n")
    out = tmp_path / "app.bin"
    assert build("-o", out, "--version", "1", "--root", root).exit_code == 0
    assert b"THING = 'as it is'\n" in out.read_bytes()
    assert build("-o", out, "--version", "1", "--root", root, "--bare").exit_code == 2
    assert build("-o", out, "--version", "1", "--root", root, "--no-instar").exit_code == 2
    assert build("-o", out, "--version", "1", "--bare").exit_code == 0
    assert len(out.read_bytes()) < 400


@pytest.fixture
def tree(tmp_path):
    """A folder with what is not meant for a board: an owner's secrets, and Python's leavings."""
    root = tmp_path / ".projects" / "app"  # a hidden folder above means nothing
    for name in ("app.py", "lib/x.py", ".env", ".git/config", "lib/.keys/k", "lib/.k", "x.pyc",
                 "__pycache__/app.txt"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_hidden_files_of_a_folder_stay_at_home(tree):
    found = image_builder.read_tree(tree, content_only=True)
    assert found == {"app.py": b"app.py", "lib/x.py": b"lib/x.py"}
    assert set(image_builder.read_tree(tree)) == {"app/app.py", "app/lib/x.py"}


def test_links_stay_in_their_folder(tree, tmp_path):
    (tree / "lib" / "same.py").symlink_to("../app.py")
    (tree / ".link").symlink_to("/etc/passwd")  # hidden: left out
    assert image_builder.read_tree(tree, content_only=True)["lib/same.py"] == b"app.py"
    (tree.parent / "app-secrets").write_text("token")
    for target in ("../app-secrets", "/etc/passwd", "lib", "missing"):
        (tree / "link.py").symlink_to(target)
        with pytest.raises(click.ClickException, match=f"link.py: expected .* to {target}$"):
            image_builder.read_tree(tree, content_only=True)
        (tree / "link.py").unlink()
    alias = tmp_path / "alias"
    alias.symlink_to(tree)  # what the user names may be a link itself
    assert "app.py" in image_builder.read_tree(alias, content_only=True)


def test_bad_input_is_named(tmp_path):
    out = tmp_path / "app.bin"
    done = build("-o", out, "--version", "1" * 32, "--bare")
    assert done.exit_code == 1 and "at most 31 bytes expected, got 32" in done.output
    bad = tmp_path / "bad.py"
    bad.write_text("def broken(:\n")
    done = build("-o", out, "--version", "1", "--no-instar", "--app", bad)
    assert done.exit_code == 1 and "bad.py" in done.output and "SyntaxError" in done.output
    assert not out.exists()


def test_the_partition_table_is_gen_esp32parts():
    """What ESP-IDF's gen_esp32part.py makes of the same CSV: first row, form of the MD5 entry."""
    data = table_binary(OTA_4MIB)
    assert len(data) == 0xC00
    assert data[:32] == bytes.fromhex("aa50 0102 00900000 00400000") + b"nvs".ljust(20, b"\0")
    at = 32 * len(OTA_4MIB)
    assert data[at : at + 16] == b"\xeb\xeb" + b"\xff" * 14
    assert data[at + 32 :] == b"\xff" * (0xC00 - at - 32)
    assert tuple(parse_table(b"\xff" * 0x8000 + data)) == OTA_4MIB
