"""What goes into application slots, as files and as a micropython-app Artifact."""

from __future__ import annotations

import io
import tarfile

import click
import pytest
from click.testing import CliRunner

from instar_tools import slot_builder
from instar_tools.artifact_reader import read_artifact
from instar_tools.artifact_writer import Content, write_artifact
from instar_tools.cli import main


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "my-app"
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "app.py").write_text("import tool\n")
    (folder / "tool.py").write_text("X = 1\n")
    (folder / "data" / "deep" / "table.csv").write_text("1,2\n")
    return folder


def write(path, *words):
    words = (
        "artifact",
        "write",
        "micropython-app",
        "-n",
        "r2",
        "-t",
        "pico-w",
        "-o",
        path,
        *words,
    )
    return CliRunner().invoke(main, [str(word) for word in words])


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getmembers(), {
            member.name: tar.extractfile(member).read() for member in tar if member.isfile()
        }


def payload(path):
    """The one payload file of an Artifact: (name, bytes)."""
    with tarfile.open(path) as outer:
        data = outer.extractfile("data/0000.tar").read()
    ((name, content),) = members(data)[1].items()
    return name, content


def test_update_tar_is_plain_sorted_and_without_times():
    files = {"b/two.py": b"2" * 513, "app.py": b"", "b/a/one.py": b"1"}
    data = slot_builder.update_tar(files)
    assert data == slot_builder.update_tar(dict(reversed(files.items())))
    entries, content = members(data)
    assert [(e.name, e.type, e.mode) for e in entries] == [
        ("app.py", tarfile.REGTYPE, 0o644),
        ("b", tarfile.DIRTYPE, 0o755),
        ("b/a", tarfile.DIRTYPE, 0o755),
        ("b/a/one.py", tarfile.REGTYPE, 0o644),
        ("b/two.py", tarfile.REGTYPE, 0o644),
    ]
    assert content == files
    assert {(e.mtime, e.uid, e.gid, e.uname, e.gname) for e in entries} == {(0, 0, 0, "", "")}
    assert data[257:265] == b"ustar\x0000"
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    assert len(blocks[-1]) == 512 and blocks[-2:] == [bytes(512)] * 2
    assert len(blocks) == 5 + 1 + 2 + 2  # headers, the files' blocks, the end


def test_names_that_ustar_cannot_hold_are_refused(app, tmp_path):
    (app / ("n" * 120)).write_text("")
    done = write(tmp_path / "x.mender", "--app", app, "--app-only")
    assert done.exit_code == 1 and "Traceback" not in done.output


def test_a_slot_with_firmware_holds_the_application_alone(app):
    assert sorted(slot_builder.slot_files(None, app)) == [
        "app.mpy", "data/deep/table.csv", "tool.mpy",
    ]  # fmt: skip
    source = slot_builder.slot_files(None, app, source=True)
    assert source["tool.py"] == b"X = 1\n" and "tool.mpy" not in source


def test_a_slot_without_holds_instar_too_and_the_application_goes_first(app):
    (app / "board.py").write_text("MINE = 1\n")
    files = slot_builder.slot_files("RPI_PICO_W", app, source=True)
    assert {"app.py", "start.py", "instar/agent.py", "instar/installers/app.py"} <= set(files)
    assert files["board.py"] == b"MINE = 1\n"
    compiled = slot_builder.slot_files("RPI_PICO_W", app)
    assert not [name for name in compiled if name.endswith(".py")]


def test_a_folder_without_an_application_is_refused(tmp_path):
    (tmp_path / "main.py").write_text("")
    with pytest.raises(click.ClickException, match=r"expected one of app\.py, app\.mpy"):
        slot_builder.slot_files(None, tmp_path)


def test_the_artifact_carries_update_tar(app, tmp_path):
    path = tmp_path / "r2.mender"
    done = write(path, "--app", app, "--board", "RPI_PICO_W", "--compression", "none")
    assert done.exit_code == 0, done.output
    info = read_artifact(path)
    assert info.payloads[0].type == "micropython-app"
    assert info.provides["rootfs-image.micropython-app.version"] == "r2"
    name, data = payload(path)
    assert name == "update.tar"
    assert data == slot_builder.update_tar(slot_builder.slot_files("RPI_PICO_W", app))
    first = path.read_bytes()
    write(path, "--app", app, "--board", "RPI_PICO_W", "--compression", "none")
    assert path.read_bytes() == first


def test_app_only_and_source(app, tmp_path):
    path = tmp_path / "r2.mender"
    done = write(path, "--app", app, "--app-only", "--source", "--compression", "none")
    assert done.exit_code == 0, done.output
    assert sorted(members(payload(path)[1])[1]) == ["app.py", "data/deep/table.csv", "tool.py"]


@pytest.mark.parametrize("words", [(), ("--app-only", "--board", "RPI_PICO_W")])
def test_what_the_slot_holds_has_to_be_said(app, tmp_path, words):
    done = write(tmp_path / "r2.mender", "--app", app, *words)
    assert done.exit_code == 2 and "one of --board and --app-only" in done.output
    assert not (tmp_path / "r2.mender").exists()


def test_a_payload_file_may_be_bytes(tmp_path):
    fields = {"artifact_name": "n", "device_types": ["d"], "payload_type": "t"}
    on_disk = tmp_path / "f.bin"
    on_disk.write_bytes(b"content")
    write_artifact(tmp_path / "a", files=[on_disk], **fields)
    write_artifact(tmp_path / "b", files=[Content("f.bin", b"content")], **fields)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(ValueError, match="expected a file name"):
        write_artifact(tmp_path / "c", files=[Content("a/b", b"")], **fields)
