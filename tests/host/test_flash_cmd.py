"""`instar flash` as far as it goes without a chip: layouts, what is erased, dry runs, Picos."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile

import click
import pytest
from click.testing import CliRunner
from uf2_build import blocks, program

from instar_tools import flash_cmd
from instar_tools.cable import ports
from instar_tools.cable.serial_line import PortError
from instar_tools.cli import main
from instar_tools.flashing import firmware_file, flash_layout, image_tool, partitions
from instar_tools.flashing.esptool_run import Chip, Esptool, EsptoolError, NoChip
from instar_tools.flashing.flash_layout import Area
from instar_tools.flashing.partition_table import table_binary
from instar_tools.real_boards import BOARDS
from instar_tools.simulated.board_kinds import OTA_4MIB
from instar_tools.simulated.stock_firmware import STOCK_4MIB, official_image

ESP32, S3, C3 = (BOARDS[name] for name in BOARDS if name.startswith("ESP32"))
MIB = 1 << 20


@pytest.fixture
def official(tmp_path):
    """A firmware file. app: what its application seems to have, for a file that is never run."""

    def make(*options, app=0, **named):
        path = tmp_path / "official.bin"
        path.write_bytes(official_image("v1.29.0", *options, **named))
        firmware = firmware_file.read(path)
        if app:
            object.__setattr__(firmware, "app", firmware.app.ljust(app, b"\0"))
        return firmware

    return make


# Layouts.


@pytest.mark.parametrize("board, mib", [(ESP32, 4), (ESP32, 16), (S3, 8), (C3, 32)])
def test_a_file_with_one_slot_gets_the_boards_layout(tmp_path, official, board, mib):
    firmware = official(board.chip)
    layout = flash_layout.choose(board, firmware, mib)
    assert layout.new and layout.rows == partitions.read_csv(board.layout(mib))
    app, boot, table = image_tool.make(firmware, layout, tmp_path)
    assert table[1].read_bytes()[:3072] == table_binary(layout.rows)
    assert app[1].read_bytes().startswith(firmware.app)
    # The boot loader would not read beyond what its header says.
    assert 1 << (boot[1].read_bytes()[3] >> 4) == mib
    assert (app[0], boot[0], table[0]) == (0x10000, firmware.start, 0x8000)
    assert firmware.path.read_bytes() == firmware.data  # the original is as it was


def test_a_file_with_two_slots_stays_as_it_is(tmp_path, official):
    firmware = official("esp32", OTA_4MIB)
    for mib in (4, 8):
        layout = flash_layout.choose(ESP32, firmware, mib)
        assert not layout.new and layout.rows == list(OTA_4MIB)
    parts = image_tool.make(firmware, layout, tmp_path)
    data = {address: path.read_bytes() for address, path in parts}
    for address, content in data.items():
        begin = address - firmware.start
        found = firmware.data[begin : begin + len(content)]
        assert content.rstrip(b"\xff") == found.rstrip(b"\xff")
    assert len(data) == 3


def test_too_small_a_flash(official):
    with pytest.raises(click.ClickException, match="4, 8, 16 MiB, the chip has 2 MiB"):
        flash_layout.choose(ESP32, official(), 2)
    made_for_16 = official("esp32", OTA_4MIB, 16)
    with pytest.raises(click.ClickException, match="made for 16 MiB of flash, the chip has 4 MiB"):
        flash_layout.choose(ESP32, made_for_16, 4)
    beyond = (*OTA_4MIB[:4], (0, 0x11, 0x190000, 0x300000, "ota_1"))
    with pytest.raises(click.ClickException, match=r"does not fit 4 MiB of flash: .*ota_1"):
        flash_layout.choose(ESP32, official("esp32", beyond), 4)


def test_a_table_that_overlaps_is_refused(official):
    rows = (*OTA_4MIB[:4], (0, 0x11, 0x180000, 0x180000, "ota_1"))
    with pytest.raises(click.ClickException, match="ota_1: overlaps ota_0"):
        flash_layout.choose(ESP32, official("esp32", rows), 4)


def test_an_application_that_is_larger_than_a_slot(official):
    firmware = official(app=0x180001)
    with pytest.raises(click.ClickException) as refusal:
        flash_layout.choose(ESP32, firmware, 4)
    for words in (
        "1572865 bytes",
        "holds 1572864",
        "-OTA in its",
        "0x190000, which leaves 832 KiB",
    ):
        assert words in refusal.value.message
    rows = flash_layout.choose(ESP32, firmware, 4, 0x190000).rows
    assert [row[2:4] for row in partitions.slots(rows)] == [
        (0x10000, 0x190000),
        (0x1A0000, 0x190000),
    ]
    files = partitions.find(rows, "vfs")
    assert files and files[2:4] == (0x330000, 0xD0000)
    with pytest.raises(click.ClickException) as refusal:
        flash_layout.choose(ESP32, official(app=0x1F0001), 4)
    assert "--app-size" not in refusal.value.message  # two of them have no room
    with pytest.raises(click.ClickException, match="0x1f0000 at most expected, got 0x200000"):
        flash_layout.choose(ESP32, firmware, 4, 0x200000)


def test_a_partition_that_the_tool_does_not_know():
    with pytest.raises(click.ClickException, match=r"one of the subtypes .*, got 0x40"):
        image_tool.csv_text([(1, 0x40, 0x9000, 0x1000, "mine")])


# What is erased.


def labels(*args, **named):
    return [area.label for area in flash_layout.to_blank(*args, **named)]


def test_a_board_with_the_same_table_keeps_all_but_what_says_which_slot_runs():
    rows = partitions.read_csv(ESP32.layout(4))
    otadata = Area("otadata", 0xD000, 0x2000)
    assert flash_layout.to_blank(rows, rows, 4) == [otadata]
    # MicroPython's own OTA build has this layout, without naming the file system.
    assert flash_layout.to_blank(list(OTA_4MIB), rows, 4) == [otadata]
    assert flash_layout.to_blank(rows, list(OTA_4MIB), 4) == [otadata]


def test_of_another_table_what_is_elsewhere_is_erased():
    rows = partitions.read_csv(ESP32.layout(4))
    areas = flash_layout.to_blank(list(STOCK_4MIB), rows, 4)
    assert Area("nvs", 0x9000, 0x4000) in areas and Area("vfs", 0x310000, 0x2000) in areas
    assert "phy_init" not in [area.label for area in areas]
    assert set(labels(None, rows, 4)) == {"nvs", "otadata", "phy_init", "vfs"}
    # The same table on a larger chip: MicroPython's file system reaches to its end.
    assert "vfs" in labels(list(OTA_4MIB), partitions.read_csv(ESP32.layout(8)), 8)


def test_erase_keeps_nothing():
    rows = partitions.read_csv(ESP32.layout(8))
    areas = flash_layout.to_blank(rows, rows, 8, erase=True)
    data = [row for row in rows if row[0] == 1]
    assert [(a.label, a.address, a.size) for a in areas] == [(r[4], r[2], r[3]) for r in data]


# The command.


def raises(error):
    raise error


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """What a dry run leaves for its commands goes with the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def flash(*words, code=0):
    done = CliRunner().invoke(main, ["flash", *map(str, words)])
    assert done.exit_code == code, (done.output, done.exception)
    return " ".join(done.output.split()) if code else done.output


def dry(firmware, *words):
    output = flash("--board", "ESP32_GENERIC", "--firmware", firmware.path, "--dry-run", *words)
    return [shlex.split(line) for line in output.splitlines()[1:] if not line.startswith("#")]


def test_a_dry_run_runs_nothing_and_its_commands_work_as_they_are(official, monkeypatch):
    def ran(*args, **named):
        raise AssertionError(f"ran {args}")

    firmware = official()
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", ran)
        lines = dry(firmware, "--port", "/dev/ttyUSB7", "--baud", 921600)
    folder = lines[0][1]
    assert lines[0][0] == "cd" and sorted(os.listdir(folder)) == [
        "blank-nvs.bin",
        "blank-otadata.bin",
        "blank-phy_init.bin",
        "blank-vfs.bin",
        "official.bin",
        "partitions.csv",
    ]
    for line in lines:
        if "instar_tools.flashing.mp_image_tool" in line:
            subprocess.run(line, cwd=folder, check=True)
    tools = [line for line in lines if "esptool" in line]
    assert [line[line.index("no-reset") + 1] for line in tools[:2]] == [
        "read-flash",
        "write-flash",
    ]
    assert all("/dev/ttyUSB7" in line for line in tools)
    assert [line[line.index("--baud") + 1] for line in tools] == ["115200", "921600", "921600"]
    written, verified = tools[1:]
    assert "--skip-flashed" in written  # above all the table of a board that keeps its files
    assert "--no-stub" not in written and "hard-reset" in verified
    for line in (written, verified):
        for name in (word for word in line if word.endswith(".bin")):
            assert os.path.exists(os.path.join(folder, name)), name
    assert written[-2:] == ["0x8000", "partition-table.bin"]  # last: see image_tool.programs
    table = open(os.path.join(folder, "partition-table.bin"), "rb").read()
    assert firmware_file.parse_table(table) == partitions.read_csv(ESP32.layout(4))


def test_a_dry_run_of_a_file_with_slots_lays_nothing_out(official):
    lines = dry(official("esp32", OTA_4MIB), "--no-stub")
    assert not any("--from-csv" in line for line in lines)
    assert all("--no-stub" in line and "PORT" in line for line in lines if "esptool" in line)


def test_a_dry_run_names_the_port_that_auto_finds(official, monkeypatch):
    firmware = official("esp32", OTA_4MIB)
    one, none = lambda port: "/dev/ttyUSB3", lambda port: raises(PortError("found none"))
    for resolve, shown in ((one, "/dev/ttyUSB3"), (none, "PORT")):
        monkeypatch.setattr(flash_cmd, "resolve", resolve)
        lines = dry(firmware, "--port", "auto")
        assert {line[line.index("--port") + 1] for line in lines if "--port" in line} == {shown}


def test_wrong_usage_is_named(official, tmp_path):
    path = official().path
    esp32 = ["--board", "ESP32_GENERIC", "--firmware", path]
    assert "over its serial port: --port" in flash(*esp32, code=2)
    assert "and no --drive" in flash(*esp32, "--port", "x", "--drive", tmp_path, code=2)
    pico = ["--board", "RPI_PICO_W", "--firmware", path]
    assert "--drive, and no --port" in flash(*pico, "--port", "x", code=2)
    assert "--drive, and no --port" in flash(*pico, "--erase", code=2)
    for size in ("1", "1536k0", "0", "-2M", "0x180001"):
        words = flash(*esp32, "--dry-run", "--app-size", size, code=2)
        assert "a multiple of 64 KiB like 0x180000, 1536k or 2M expected" in words
    assert "'--board'" in flash("--board", "ESP8266", "--firmware", path, code=2)


def test_what_is_refused_before_a_port_is_opened(official, monkeypatch):
    monkeypatch.setattr(ports, "WAIT", 0)
    path = official("esp32s3").path
    words = flash("--board", "ESP32_GENERIC", "--port", "x", "--firmware", path, code=1)
    assert "expected firmware for the esp32, this is for the esp32s3" in words
    words = flash("--board", "RPI_PICO_W", "--firmware", path, code=1)
    assert "expected a UF2 file, this is a firmware for an ESP32" in words
    path = official().path
    words = flash("--board", "ESP32_GENERIC", "--firmware", path, "--port", "/dev/none", code=1)
    assert "no port /dev/none" in words


class Ran:
    """esptool's commands, and the files that each was given."""

    def __init__(self):
        self.names, self.files = [], {}


COMMANDS = ("read-", "write-", "verify-")
BLANK = b"\xff" * 8192


@pytest.fixture
def chip(monkeypatch):
    """A port with an esptool that finds this chip, and whose commands do nothing.

    begins: what the file system's place begins with.
    """
    master, slave = os.openpty()
    ran = Ran()

    def make(fails="", begins=BLANK, **facts):
        found = {"name": "esp32", "description": "ESP32", "mac": "24:0a:c4:00:00:01"}
        found |= {"flash_mib": 4, "table": table_binary(OTA_4MIB), **facts}

        def ask(tool, line):
            if not run(tool, line):
                raise EsptoolError("it failed")
            (tool.folder / "found.bin").write_bytes(begins)

        def run(tool, line):
            ran.names.append(next(word for word in line if word.startswith(COMMANDS)))
            ran.files[ran.names[-1]] = [word for word in line if word.endswith(".bin")]
            return ran.names[-1] != fails

        monkeypatch.setattr(Esptool, "identify", lambda tool: Chip(**found))
        monkeypatch.setattr(image_tool, "make", image_tool.programs)
        monkeypatch.setattr(Esptool, "ask", ask)
        monkeypatch.setattr(Esptool, "run", run)
        return ["--board", "ESP32_GENERIC", "--port", os.ttyname(slave)], ran

    yield make
    os.close(master)
    os.close(slave)


def test_what_lies_there_is_not_what_was_written(official, chip):
    words, ran = chip(fails="verify-flash")
    said = flash(*words, "--firmware", official().path, code=1)
    assert "what lies on ESP32_GENERIC is not what was written" in said and "--baud" in said
    assert ran.names == ["write-flash", "verify-flash"]
    assert "The chip has this partition table already." in said  # of MicroPython's OTA build


def test_another_chip_than_the_boards(official, chip):
    words, ran = chip(name="esp32s2", description="ESP32-S2")
    said = flash(*words, "--firmware", official().path, code=1)
    assert "has an esp32, on this port is an esp32s2" in said and "no board with that chip" in said
    assert ran.names == ["read-mac"] and "press its RESET button" in said


@pytest.mark.parametrize(
    "why, facts, words",
    [
        ("16 MiB, the chip has 2 MiB", {"flash_mib": 2}, []),
        ("at most expected, got 0x200000", {}, ["--app-size", "2M"]),
        ("could not lay it out", {}, []),
        ("Aborted!", {}, []),
        ("it failed", {"fails": "read-flash", "table": BLANK[:3072]}, []),
    ],
)
def test_what_is_refused_leaves_the_board_running(official, chip, monkeypatch, why, facts, words):
    port, ran = chip(**facts)
    mistakes = {"could not lay it out": click.ClickException(why), "Aborted!": KeyboardInterrupt}
    if why in mistakes:
        monkeypatch.setattr(image_tool, "make", lambda *args: raises(mistakes[why]))
    said = flash(*port, "--firmware", official().path, *words, code=1)
    assert ran.names[-1] == "read-mac" and "write-flash" not in ran.names
    assert "Nothing was written, the board starts again as it was" in said and why in said


def test_a_board_that_cannot_be_started_again(official, chip):
    words, ran = chip(fails="read-mac", flash_mib=2)
    said = flash(*words, "--firmware", official().path, code=1)
    assert "the board still waits in its loader, press its RESET button" in said
    assert "the chip has 2 MiB" in said and ran.names == ["read-mac"]


def test_where_no_chip_answers_none_is_started(official, chip, monkeypatch):
    words, ran = chip()
    monkeypatch.setattr(Esptool, "identify", lambda tool: raises(NoChip("no chip that answers")))
    assert "no chip that answers" in flash(*words, "--firmware", official().path, code=1)
    assert not ran.names


def test_a_chip_that_falls_silent_is_told_from_none(tmp_path):
    tool = Esptool("/dev/ttyUSB7", tmp_path)
    fail = "raise SystemExit('Failed to read')"
    with pytest.raises(EsptoolError, match=r"(?s)Failed to read.*a lower --baud") as failure:
        tool.ask([sys.executable, "-c", f"print('Connected to ESP32-S3 on x:'); {fail}"])
    assert not isinstance(failure.value, NoChip)
    with pytest.raises(NoChip, match="Hold the board's BOOT button"):
        tool.ask([sys.executable, "-c", fail])


@pytest.mark.parametrize(
    "mib, words, advice",
    [
        (8, [], "say --erase if they may"),
        (4, ["--app-size", "0x170000"], "or --app-size 0x180000"),
    ],
)
def test_a_board_with_two_slots_does_not_lose_its_files_unasked(
    official, chip, mib, words, advice
):
    port, ran = chip(flash_mib=mib)
    line = [*port, "--firmware", official().path, *words]
    said = flash(*line, code=1)
    assert "its file system would go, with settings, identity key, records" in said
    assert advice in said and ran.names == ["read-mac"]
    said = flash(*line, "--erase")
    assert "Erases the file system: settings, identity key, records, the application" in said
    assert "blank-vfs.bin" in ran.files["write-flash"]


def superblock(block):
    at = block * 4096 + 8
    return BLANK[:at] + b"littlefs" + BLANK[at + 8 :]


@pytest.mark.parametrize("begins", [superblock(0), superblock(1)])
def test_a_board_whose_table_is_lost_keeps_its_files(official, chip, begins):
    table = table_binary(OTA_4MIB)[:64].ljust(3072, b"\xff")
    words, ran = chip(table=table, begins=begins)
    said = flash(*words, "--firmware", official().path)
    assert "no partition table, but a file system" in said and "Keeps the file system" in said
    assert ran.names == ["read-flash", "write-flash", "verify-flash"]
    blanks = [name for name in ran.files["write-flash"] if name.startswith("blank-")]
    assert blanks == ["blank-otadata.bin"]
    flash(*words, "--firmware", official().path, "--erase")
    assert ran.names[3:] == ["write-flash", "verify-flash"]
    assert "blank-vfs.bin" in ran.files["write-flash"]


def test_what_lies_there_by_chance_is_no_file_system(official, chip):
    words, ran = chip(table=BLANK[:3072], begins=b"littlefs".ljust(8192))
    said = flash(*words, "--firmware", official().path)
    assert "no partition table." in said and "Makes a new file system" in said
    assert ran.names == ["read-flash", "write-flash", "verify-flash"]


def test_a_chip_that_does_not_say_enough(tmp_path, monkeypatch):
    tool = Esptool("/dev/ttyUSB7", tmp_path)
    said = "Connected to ESP32-S3 on /dev/ttyUSB7:\nMAC:   24:0a:c4:00:00:01\n"
    monkeypatch.setattr(tool, "ask", lambda line: said)
    with pytest.raises(EsptoolError, match=r"(?s)expected esptool to name .*ESP32-S3 on"):
        tool.identify()
    said += "Chip type:   ESP32-S3 (revision v0.2)\nAuto-detected flash size: 8MB\n"
    (tmp_path / "found.bin").write_bytes(b"\xff" * 3072)
    found = tool.identify()
    assert (found.name, found.mac, found.flash_mib) == ("esp32s3", "24:0a:c4:00:00:01", 8)
    assert found.description == "ESP32-S3 (revision v0.2)"
    assert "esp32s3" in tool.write([])


# A Pico.


@pytest.fixture
def pico_file(tmp_path):
    path = tmp_path / "RPI_PICO_W-v1.29.0.uf2"
    path.write_bytes(b"".join(blocks(program())))
    return path


def test_a_pico_is_told_how(pico_file):
    words = flash("--board", "RPI_PICO_W", "--firmware", pico_file)
    for said in ("MicroPython v1.29.0 for RPI_PICO_W", "hold BOOTSEL", "RPI-RP2", "mpremote boot"):
        assert said in words
    assert f"--firmware {pico_file} --drive /path/to/RPI-RP2" in words


def test_a_pico_drive_gets_the_file(pico_file, tmp_path):
    drive = tmp_path / "drive"
    drive.mkdir()
    pico = ["--board", "RPI_PICO_W", "--firmware", pico_file, "--drive", drive]
    assert "there is no INFO_UF2.TXT" in flash(*pico, code=1)
    assert "there is no INFO_UF2.TXT" in flash(*pico, "--dry-run", code=1)
    (drive / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    assert f"cp {pico_file} {drive}" in flash(*pico, "--dry-run")
    assert not (drive / pico_file.name).exists()
    assert "instar deploy --board RPI_PICO_W" in flash(*pico)
    assert (drive / pico_file.name).read_bytes() == pico_file.read_bytes()
