"""What updates cost the flash, and that nothing else does: every operation of the chip counted.

The journal's programs alone are counted in tests/device/test_journal_wear.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from lab import GOOD, ROLLED_BACK, image
from wear_lab import POLLS, PUBLISHES, RECORDS, count, polls, worn

from instar_tools import slot_builder
from instar_tools.cli import main
from instar_tools.paths import FIRMWARE
from instar_tools.server.testing import DevServer

SECTOR = 4096
JOURNAL_MOST = 24  # programs of the journal in a good update
CHECKPOINT_MOST = 2  # and in each checkpoint of one that can be resumed:
CHECKPOINT = 128 << 10  # bytes of an image that comes uncompressed
PROVIDES_MOST = 8  # programs that storing what a board provides takes
SLOTS_MOST = 3 * 8  # and those of the boot guard's record: switched, counted, confirmed
FILE_MOST = 5  # and those of a file of an application, on average
IDLE_POLLS = 25


def mender(lab):
    lab.flash(settings={"inventory_poll_interval": 1}, app=POLLS)


def magistrala(lab):
    lab.flash_blank(app=PUBLISHES)
    lab.register({"inventory_poll_interval": 1})


def murano(lab):
    settings = lab.product({"inventory_poll_interval": 1}, resources=("starts",))
    lab.flash(settings=settings, app=RECORDS)


AGENTS = {
    # What the server heard besides polls, by a part of its path.
    mender: ("auth_requests", "device/attributes"),
    magistrala: ("auth_requests", "device/attributes", "clients/bootstrap", "/m/lab/"),
    murano: ("onep:v1", "record"),
}


@pytest.mark.parametrize(
    "agent, board",
    [*((agent, "ESP32_GENERIC") for agent in AGENTS), (mender, "RPI_PICO_W")],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_day_of_polls_writes_nothing(tmp_path, agent, board):
    with DevServer(tmp_path / "server", token_lifetime=1) as server:
        lab = worn(tmp_path, server, board=board)
        agent(lab)
        lab.meet()
        wear = count(lab)
        before = len(server.requests())
        polls(lab, IDLE_POLLS, inventories=3)  # a second apart: longer than a token lives
        heard = [entry["path"] for entry in server.requests()[before:]]
    for part in AGENTS[agent]:
        assert sum(part in path for path in heard) >= 3, (part, heard)
    assert wear.total().operations == 0, wear.counts


@pytest.fixture
def lab(tmp_path, server):
    lab = worn(tmp_path, server)
    lab.flash()
    lab.meet()
    return lab


def updated(lab, artifact):
    """The wear of one update, from the poll that finds it to the first that finds nothing."""
    deployment = lab.deploy(artifact)
    wear = count(lab)
    lab.run("success")
    assert lab.server.statuses(deployment) == GOOD
    return wear


def each_once(wear, slot, size):
    """Each sector of the image was erased once, each of its bytes was programmed once."""
    one = wear.total(slot)
    assert len(one.erases) == -(-size // SECTOR) and one.most == 1
    assert size <= one.programmed < size + SECTOR and wear.total().twice == 0


def entries_written(wear, number):
    """That many entries of otadata were written, and nothing else of it: 32 bytes each, into the
    sector that was erased for it."""
    one = wear.total("otadata")
    found = one.erases.total(), one.programs, one.programmed
    assert found == (number, number, 32 * number)


def test_a_firmware_update_writes_each_sector_once(lab):
    size = len(image("release-2"))
    for name, slot, compression in (
        ("release-2", "ota_1", "gzip"),
        ("release-3", "ota_0", "none"),
    ):
        wear = updated(lab, lab.artifact(name, compression=compression))
        each_once(wear, slot, size)
        # set_boot(), NEW to PENDING_VERIFY, mark_app_valid_cancel_rollback(): an entry each.
        entries_written(wear, 3)
        assert {place for _, place in wear.counts} == {slot, "otadata", "vfs"}
        programs = wear.total("vfs").programs
        checkpoints = size // CHECKPOINT if compression == "none" else 0
        assert programs <= JOURNAL_MOST + PROVIDES_MOST + CHECKPOINT_MOST * checkpoints, (
            wear.counts
        )


def test_firmware_that_is_rolled_back_costs_no_more_of_otadata(lab):
    bad = image("release-2", head="raise RuntimeError('no sensor')\n")
    deployment = lab.deploy(lab.artifact("release-2", bad))
    wear = count(lab)
    lab.run("failure")
    assert lab.server.statuses(deployment) == ROLLED_BACK
    each_once(wear, "ota_1", len(bad))
    # set_boot(); then the boot loader: PENDING_VERIFY, and at the next start ABORTED.
    entries_written(wear, 3)


@pytest.mark.parametrize("board", ["ESP32_GENERIC", "RPI_PICO_W"])
def test_an_application_writes_each_byte_once(tmp_path, server, board):
    lab = worn(tmp_path, server, board=board)
    lab.flash()
    lab.meet()
    files = slot_builder.slot_files(None if board == "ESP32_GENERIC" else board, FIRMWARE)
    wear = updated(lab, lab.app_artifact("release-2"))
    assert {place for _, place in wear.counts} == {"vfs"} and wear.total().twice == 0
    # A file's content goes to sectors of its own; names, and files of a few bytes, to those of the
    # folder, two of which take turns.
    whole = wear.total()
    folders = {Path(name).parent for name in files} | {Path("/"), Path("/.instar")}
    again = [address for address, erases in whole.erases.items() if erases > 1]
    assert len(again) <= 2 * len(folders), wear.counts
    assert whole.programmed < 2 * sum(map(len, files.values())) + 4 * SECTOR, wear.counts
    records = JOURNAL_MOST + PROVIDES_MOST + SLOTS_MOST
    assert whole.programs <= records + FILE_MOST * len(files), wear.counts


def operation(kind, address, length):
    return {"event": "op", "kind": kind, "address": address, "length": length}


def test_bytes_that_are_programmed_twice_are_counted(tmp_path, server):
    lab = worn(tmp_path, server)
    lab.flash()
    wear = count(lab)
    slot = 0x190000  # ota_1: blank
    wear.hear(operation("program", slot, 100))
    wear.hear(operation("program", slot + 100, 100))
    assert (wear.total("ota_1").twice, wear.total("ota_1").programmed) == (0, 200)
    wear.hear(operation("program", slot + 190, 30))
    assert wear.total("ota_1").twice == 10
    wear.hear({"event": "state", "state": "install"})
    wear.hear(operation("erase", slot, SECTOR))
    wear.hear(operation("program", slot, SECTOR))
    wear.hear(operation("erase", slot, SECTOR))
    assert wear.total("ota_1", "install").twice == 0 and wear.total("ota_1").most == 2
    wear.hear(operation("program", 0x10000, 1))  # the image that is there
    assert wear.total("ota_0").twice == 1
    wear.hear({"event": "reset"})
    wear.hear(operation("erase", lab.path.stat().st_size - SECTOR, SECTOR))
    assert wear.total("vfs", "boot").operations == 1


def test_the_command_line_shows_a_table(tmp_path):
    with DevServer(tmp_path / "server", accept_all=True) as server:
        lab = worn(tmp_path, server)
        lab.flash()
        words = ["--until", "idle", "--seconds", "60", "--heap", "2M", "--wear", "--quiet"]
        done = CliRunner().invoke(main, ["sim", "run", str(lab.path), *words])
    assert done.exit_code == 0, done.output
    assert "otadata" in done.stderr and "most of one" in done.stderr
    assert "op number" not in done.stderr
