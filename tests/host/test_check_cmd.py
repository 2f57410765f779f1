"""`instar artifact check`: its lines, its exit codes, and that the installers' rules count."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conformance_build import INFO, TYPE_INFO, depends, key_pair, made, member, signed, tar

from instar_tools import check_cmd
from instar_tools.artifact_cmd import artifact
from instar_tools.check_cmd import Conditions, check_files

APP = b"async def run(agent):\n    pass\n"


def check(*arguments: object) -> tuple[int, str]:
    """Exit code and output of the command, for a board of the type esp32."""
    words = ["check", "--device-type", "esp32", *map(str, arguments)]
    done = CliRunner().invoke(artifact, words)
    return done.exit_code, done.output


@pytest.fixture
def write(tmp_path):
    """write(build): the file that build() gives."""

    def write(build, name="artifact.mender") -> Path:
        (tmp_path / name).write_bytes(build())
        return tmp_path / name

    return write


def of_type(kind: str, files: dict[str, bytes], **more):
    info = INFO | {"payloads": [{"type": kind}]}
    return made(info=info, type_info={"type": kind}, files=files, **more)


def single_file(folder: str):
    return of_type(
        "single-file",
        {"dest_dir": folder.encode(), "filename": b"x.txt", "permissions": b"644", "x.txt": b"x"},
    )


def directory(*members):
    return of_type("directory", {"dest_dir": b"/data/www", "update.tar": tar(*members)})


def reason(path: Path, **conditions) -> str | None:
    return check_files([path], Conditions(device_type="esp32", **conditions))[0]["reason"]


def test_one_line_of_json_says_all(write):
    path = write(made(suffix=".gz", type_info=TYPE_INFO | {"clears_artifact_provides": ["a.*"]}))
    code, output = check(path, "--payload-type", "thing", "--json")
    assert code == 0 and output.count("\n") == 1
    assert list(json.loads(output).items()) == [
        ("accepted", True),
        ("reason", None),
        ("artifact_name", "v2"),
        ("artifact_group", None),
        ("payload_type", "thing"),
        ("signed", False),
        (
            "files",
            [
                {
                    "name": "a.txt",
                    "size": 6,
                    "sha256": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
                }
            ],
        ),
        ("provides", {"artifact_name": "v2", "rootfs-image.thing.version": "v2"}),
        ("clears_provides", ["a.*"]),
        ("depends", {"device_type": ["esp32"]}),
    ]


def test_what_is_not_known_is_null_or_empty(write):
    code, output = check(write(lambda: b"no Artifact at all"), "--json")
    assert code == 1
    found = json.loads(output)
    assert found.pop("reason").startswith("Artifact: expected more data, got the end")
    assert list(found.values()) == [False, None, None, None, None, [], {}, [], {}]


def test_a_rejection_after_the_header_shows_the_header(write):
    code, output = check(write(of_type("other", {"a": b"x"})), "--json")
    found = json.loads(output)
    assert code == 1 and found["artifact_name"] == "v2" and found["files"][0]["size"] is None


def test_several_files_one_line_each(write):
    files = [write(made(), "1"), write(depends(device_type=["pico"]), "2"), write(made(), "3")]
    code, output = check(*files, "--payload-type", "thing")
    assert code == 1
    assert output.splitlines() == [
        f"{files[0]}: accepted: v2, payload type thing, not signed, 1 file, 6 bytes",
        f"{files[1]}: rejected: Artifact is for device types ['pico'], this board is 'esp32'",
        f"{files[2]}: accepted: v2, payload type thing, not signed, 1 file, 6 bytes",
    ]


def test_depends_and_what_the_board_provides(write):
    path = write(depends(device_type=["esp32"], artifact_name=["v1"], artifact_group=["a=b"]))
    words = [path, "--payload-type", "thing", "--provides", "artifact_name=v1"]
    assert check(*words)[0] == 1
    assert check(*words, "--provides", "artifact_group=a=b")[0] == 0


def test_a_signature_by_any_of_the_keys(write, tmp_path):
    path = write(signed())
    for name in ("ours", "theirs"):
        (tmp_path / name).write_bytes(key_pair(name)[1])
    words = [path, "--payload-type", "thing", "--key", tmp_path / "theirs"]
    code, output = check(*words)
    assert code == 1 and "manifest.sig: expected a signature of this manifest by one" in output
    code, output = check(*words, "--key", tmp_path / "ours")
    assert code == 0 and ", signed, " in output


def test_a_newer_version_must_stay(write):
    path = write(made(type_info=TYPE_INFO | {"artifact_provides": {"app.version": "1.9"}}))
    words = [path, "--payload-type", "thing", "--downgrade-key", "app.version"]
    assert check(*words, "--provides", "app.version=1.8")[0] == 0
    code, output = check(*words, "--provides", "app.version=1.10")
    assert code == 1 and "expected app.version 1.10 or newer, got 1.9" in output


@pytest.mark.parametrize(
    "words, message",
    [
        (["artifact.mender", "--provides", "x"], "expected KEY=VALUE, got 'x'"),
        (["artifact.mender", "--heap", "large"], "a heap like 64wk"),
        (
            ["artifact.mender", "--heap", "99999999999999999999M"],
            "expected at most 1073741824 bytes",
        ),
        (["artifact.mender", "--board", "TOASTER"], "'RPI_PICO_W'"),
        (["artifact.mender", "--file-root", "data"], "file_roots: expected"),
        (
            ["artifact.mender", "--key", "artifact.mender"],
            "artifact.mender: expected a public key, at most",
        ),
        (["missing.mender"], "does not exist"),
        ([], "Missing argument"),
    ],
)
def test_wrong_usage(write, tmp_path, monkeypatch, words, message):
    write(made())
    monkeypatch.chdir(tmp_path)
    code, output = check(*words)
    assert code == 2 and message in output


def test_a_name_that_is_not_utf_8(write, tmp_path):
    good = write(made())
    path = tmp_path / os.fsdecode(b"caf\xe9.mender")
    path.write_bytes(good.read_bytes())
    code, output = check(path, "--payload-type", "thing")
    assert code == 0 and "accepted: v2" in output


def test_a_pipe_is_wrong_usage(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    code, output = check(tmp_path / "pipe")
    assert code == 2 and "expected a regular file" in output


def program(path: Path, line: str) -> str:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "line, message",
    [
        (None, "MicroPython does not start"),
        ("echo no such option >&2; exit 2", "MicroPython ended with 2: no such option"),
        ("echo '{\"error\": null}'", "it said nothing"),  # of being ready
        ("echo ready; kill -9 $$", "MicroPython ended with -9"),
        ("echo ready; echo MemoryError: no >&2; exit 1", "MicroPython ended with 1: MemoryError"),
        ("echo ready; echo '{'", "what is no JSON"),
        ("echo ready", "answered nothing"),
    ],
)
def test_a_check_that_cannot_be_made_is_no_verdict(write, tmp_path, monkeypatch, line, message):
    monkeypatch.setenv("MICROPYTHON", program(tmp_path / "port", line) if line else "/nonexist")
    code, output = check(write(made()), "--json")
    assert code == 3
    assert output.startswith("Error: the check could not be made: ") and message in output


def test_a_check_that_does_not_end_is_no_verdict(write, tmp_path, monkeypatch):
    monkeypatch.setenv("MICROPYTHON", program(tmp_path / "port", "exec sleep 60"))
    monkeypatch.setattr(check_cmd, "_SECONDS", 0.1)
    code, output = check(write(made()))
    assert code == 3 and "did not come to an end within 0.1 s" in output


def test_without_micropython_there_is_no_verdict(write, tmp_path, monkeypatch):
    monkeypatch.delenv("MICROPYTHON", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    code, output = check(write(made()))
    assert code == 3 and "could not be made: no MicroPython" in output


# What the installers ask


def test_an_application(write):
    slot = tar(("app.py", APP), ("lib/x.py", b""))
    assert reason(write(of_type("micropython-app", {"update.tar": slot}))) is None
    assert reason(write(of_type("micropython-app", {"app.py": APP}), "flat")) is None
    both = of_type("micropython-app", {"app.py": APP, "update.tar": slot})
    assert "expected update.tar alone" in reason(write(both, "both"))


def test_an_application_for_each_kind_of_board(tmp_path):
    """What `instar artifact write micropython-app` makes: its board takes it, the other not."""
    (tmp_path / "app.py").write_bytes(APP)
    written = {"ESP32_GENERIC": ["--app-only"], "RPI_PICO_W": ["--board", "RPI_PICO_W"]}
    why = {"ESP32_GENERIC": "would hide modules of the firmware", "RPI_PICO_W": "the slot lacks"}
    for kind, words in written.items():
        path = tmp_path / f"{kind}.mender"
        words = ["-n", "v2", "-t", "esp32", "--app", tmp_path, "-o", path, *words]
        words = ["write", "micropython-app", *map(str, words)]
        assert CliRunner().invoke(artifact, words).exit_code == 0
        for board in written:
            code, output = check(path, "--board", board)
            assert code == (board != kind), output
            assert board == kind or why[board] in output


@pytest.mark.parametrize("words", [["--app-only"], ["--board", "RPI_PICO_W"]])
@pytest.mark.parametrize("form", ["--source", "--mpy"])
def test_an_application_that_is_a_package(tmp_path, words, form):
    (tmp_path / "src" / "app").mkdir(parents=True)
    (tmp_path / "src" / "app" / "__init__.py").write_bytes(APP)
    path = tmp_path / "v2.mender"
    write = ["write", "micropython-app", "-n", "v2", "-t", "esp32", form, *words]
    write += ["--app", str(tmp_path / "src"), "-o", str(path)]
    assert CliRunner().invoke(artifact, write).exit_code == 0
    code, output = check(path, *(words if words[0] == "--board" else []))
    assert code == 0, output


def test_a_board_without_firmware_slots_takes_no_image(write):
    path = write(of_type("rootfs-image", {"fw": b"\xe9" + bytes(22) + b"\1" + bytes(2000)}))
    assert reason(path) is None
    assert "this board has no firmware slots" in reason(path, board="RPI_PICO_W")


def test_what_a_rejected_one_left_open_does_not_disturb_the_next(write):
    slot = tar(("app.py", APP), ("big", bytes(9000)))
    good = of_type("micropython-app", {"update.tar": slot})
    bad = of_type("micropython-app", {"update.tar": slot}, data=[("update.tar", slot[:8000])])
    paths = [write(build, str(i)) for i, build in enumerate([bad, good] * 4)]
    found = check_files(paths, Conditions(device_type="esp32"))
    assert [one["accepted"] for one in found] == [False, True] * 4
    assert "expected SHA-256" in found[0]["reason"]


def test_single_file_and_its_roots(write):
    path = write(single_file("/data/x"))
    assert reason(path) is None
    assert "expected a folder in file_roots, ['/www']" in reason(path, file_roots=["/www"])
    assert "expected a folder in file_roots" in reason(write(single_file("/"), "root"))
    assert "dest_dir: expected" in reason(write(single_file("/a"), "slot"), file_roots=["/"])


def test_a_directory_and_its_nested_tar(write):
    assert reason(write(directory(("a/b.txt", b"x")))) is None
    assert "without '..'" in reason(write(directory(("../b.txt", b"x"))))
    assert "a relative path" in reason(write(directory(("/b.txt", b"x"))))
    assert "'link'" in reason(write(directory(member("link", b"", b"2"))))


def test_no_payload_reaches_the_host(write, tmp_path):
    folder = str(tmp_path / "host")
    path = write(single_file(folder))
    assert reason(path, file_roots=["/"]) is None
    assert not Path(folder).exists()


def test_an_image_and_what_is_none(write):
    image = b"\xe9" + bytes(22) + b"\1" + bytes(2000)
    assert reason(write(of_type("rootfs-image", {"fw": image}, suffix=".gz"))) is None
    assert "starts with 0x7f, expected 0xe9" in reason(
        write(of_type("rootfs-image", {"fw": b"\x7fELF" + image}))
    )
    assert "no SHA-256 appended" in reason(
        write(of_type("rootfs-image", {"fw": b"\xe9" + bytes(23)}))
    )
    assert "3 bytes are no ESP32 image" in reason(
        write(of_type("rootfs-image", {"fw": b"\xe9ab"}))
    )
    assert "a second file" in reason(write(of_type("rootfs-image", {"a": image, "b": image})))
    assert "holds no file" in reason(write(of_type("rootfs-image", {})))


# Memory


@pytest.mark.parametrize("heap", [1 << 10, 64 << 10])
def test_a_heap_too_small_is_a_rejection(write, heap):
    path = write(made(suffix=".gz"))
    found = check_files([path, path], Conditions(device_type="esp32", heap=heap))
    assert len(found) == 2
    assert all("memory" in one["reason"].lower() for one in found)


def test_a_large_payload_takes_no_more_than_a_small_one(write):
    path = write(of_type("thing", {"big.bin": bytes(4 << 20)}, suffix=".gz"))
    assert reason(path, payload_types=["thing"]) is None
