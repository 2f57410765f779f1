# The installers of single-file and directory on a board's LittleFS: what lies there afterwards.
import os
from collections import namedtuple

import artifact_build as build
import file_payloads as payloads
from artifact_build import member, rejection
from file_payloads import (
    FILE,
    FOLDER,
    again,
    deliver,
    directory,
    run,
    settings,
    single,
    tree_tar,
)
from littlefs import Disk, files, write

from instar.boot import RESERVED
from instar.installers import files as module
from instar.installers import leftovers, places
from instar.installers.files import Directory, SingleFile

OTHERS = {"/data": None, "/data/other": b"stays", "/instar.json": b"{}", "/.instar": None}
OLD_FILE = {FILE: b"old" * 700}
NEW_FILE = {FILE: b"new" * 1100}
OLD_FOLDER = {FOLDER: None, FOLDER + "/a": b"old a", FOLDER + "/sub": None, FOLDER + "/sub/b": b""}
ROWS = {"a": b"new a", "c": b"x" * 3000, "empty": None, "deep": None, "deep/d": b"d"}
NEW_FOLDER = {FOLDER: None}
NEW_FOLDER.update({FOLDER + "/" + name: ROWS[name] for name in ROWS})
Case = namedtuple("Case", ("kind", "payload", "target", "old", "new"))
CASES = (
    Case(SingleFile, single(NEW_FILE[FILE]), FILE, OLD_FILE, NEW_FILE),
    Case(SingleFile, single(NEW_FILE[FILE]), FILE, {}, NEW_FILE),
    Case(SingleFile, single(b""), FILE, OLD_FILE, {FILE: b""}),
    Case(SingleFile, single(b"x"), FILE, {FILE: b""}, {FILE: b"x"}),
    Case(Directory, directory(tree_tar(ROWS)), FOLDER, OLD_FOLDER, NEW_FOLDER),
    Case(Directory, directory(tree_tar(ROWS)), FOLDER, {}, NEW_FOLDER),
    Case(Directory, directory(tree_tar({})), FOLDER, OLD_FOLDER, {FOLDER: None}),
    Case(Directory, directory(tree_tar(ROWS)), FOLDER, {FOLDER: None}, NEW_FOLDER),
)


def both(*rows):
    found = {}
    for row in rows:
        found.update(row)
    return found


def each_case():
    with Disk(OTHERS) as disk:
        empty = disk.image()
        for case in CASES:
            disk.on(empty)
            for path in sorted(case.old):
                write(path, case.old[path])
            yield case


def test_an_update_that_is_committed():
    for case in each_case():
        installer = deliver(case.kind, case.payload)
        assert files(case.target) == case.old  # not before install()
        installed = installer.installed()
        assert installed.startswith(case.target + ":")
        assert installer.running() != installed
        run(installer, "install")
        assert files(case.target) == case.new
        assert installer.running() == installed
        run(installer, "commit", "cleanup", "cleanup")
        assert files() == both(OTHERS, case.new), files()
        later = again(case.kind, installed)
        assert later.running() == later.installed() == installed


def test_an_update_that_is_rolled_back():
    for case in each_case():
        before = files()
        installer = deliver(case.kind, case.payload)
        run(installer, "install", "rollback")
        assert files(case.target) == case.old and installer.running() != installer.installed()
        run(installer, "rollback", "failure", "cleanup", "cleanup")
        assert files() == before


def test_an_update_that_is_rolled_back_after_a_start():
    for case in each_case():
        before = files()
        installer = deliver(case.kind, case.payload)
        run(installer, "install")
        later = again(case.kind, installer.installed())
        assert files(case.target) == case.new and later.running() == installer.installed()
        run(later, "rollback", "failure", "cleanup")
        assert files() == before


def test_a_rollback_where_nothing_was_installed():
    for case in each_case():
        before = files()
        installer = deliver(case.kind, case.payload)
        run(installer, "rollback")
        run(again(case.kind, installer.installed()), "rollback", "cleanup", "rollback")
        assert files() == before


def test_packed_and_in_any_chunks():
    for case in each_case():
        for step in (7, 512, 0, None):
            installer = deliver(case.kind, case.payload, packed=True, step=step)
            run(installer, "install")
            assert files(case.target) == case.new, step
            run(installer, "rollback", "cleanup")
            assert files(case.target) == case.old, step


def test_the_files_come_in_any_order():
    for case in each_case():
        installer = deliver(case.kind, case.payload[::-1])
        run(installer, "install", "commit", "cleanup")
        assert files(case.target) == case.new


def test_a_folder_that_gnu_tar_packed():
    with open("tests/vectors/directory/update.tar", "rb") as file:
        tar = file.read()
    with Disk(both(OTHERS, OLD_FOLDER)):
        installer = deliver(Directory, directory(tar), packed=True)
        run(installer, "install", "commit", "cleanup")
        long = FOLDER + "/" + "d" * 55
        numbers = "".join("%d\n" % i for i in range(1, 2001)).encode()
        assert files(FOLDER) == {
            FOLDER: None,
            FOLDER + "/index.html": b"hello\n",
            FOLDER + "/www": None,
            FOLDER + "/www/empty": None,
            FOLDER + "/www/nothing": b"",
            FOLDER + "/www/numbers.txt": numbers,
            long: None,
            long + "/" + "f" * 60: b"long\n",
        }


def test_folders_on_the_way_are_made():
    with Disk({"/data": None}):
        installer = deliver(SingleFile, single(dest_dir="/data/a/b/"))
        run(installer, "install", "commit", "cleanup")
        assert files("/data/a/b/conf.json") == {"/data/a/b/conf.json": b"new"}
        installer = deliver(Directory, directory(tree_tar({}), "/data/c/d"))
        run(installer, "install", "commit", "cleanup")
        assert files("/data/c") == {"/data/c": None, "/data/c/d": None}


def test_a_root_may_be_replaced_itself():
    with Disk({"/www/x": b"1"}):
        installer = deliver(
            Directory, directory(tree_tar({"y": b"2"}), "/www"), settings(file_roots=["/www"])
        )
        run(installer, "install", "commit", "cleanup")
        assert files("/www") == {"/www": None, "/www/y": b"2"}


def test_what_an_earlier_download_left_goes():
    left = {"/.instar-files": None, "/.instar-files/new": b"half", "/.instar-files/old": b"xxx"}
    left["/.instar-files.gone"] = None
    left["/.instar-files.gone/new"] = b"3"
    with Disk(both(OTHERS, OLD_FILE, left)):
        installer = deliver(SingleFile, single(b"new"))
        assert files("/.instar-files") == {
            "/.instar-files": None,
            "/.instar-files/new": b"new",
        }
        run(installer, "install", "rollback", "cleanup")
        assert files() == both(OTHERS, OLD_FILE)


def test_what_an_update_left_beside_a_folder_goes():
    old, away = FOLDER + ".instar-old", FOLDER + ".instar-new"
    left = {old: None, old + "/x": b"1", away: None, away + "/y": b"2"}
    with Disk(both(OTHERS, left)) as disk:
        image = disk.image()
        for path in sorted(OLD_FOLDER):
            write(path, OLD_FOLDER[path])
        run(deliver(Directory, directory(tree_tar({}))), "install", "rollback", "cleanup")
        assert files() == both(OTHERS, OLD_FOLDER)
        disk.on(image)  # cut between two renames, and nobody knew any more
        run(deliver(Directory, directory(tree_tar({}))), "rollback", "cleanup")
        assert files() == both(OTHERS, {FOLDER: None, FOLDER + "/x": b"1"})


class Worn:
    """The module os, whose rename() fails so many times."""

    def __init__(self, times):
        self.times = times

    def __getattr__(self, name):
        return getattr(os, name)

    def rename(self, old, new):
        self.times -= 1
        if self.times >= 0:
            raise OSError(5)
        os.rename(old, new)


def fails(installer, state):
    try:
        run(installer, state)
    except OSError:
        return True
    return False


def test_a_rollback_that_failed_is_tried_again_in_the_cleanup():
    for case in each_case():
        before = files()
        if case.old:
            installer = deliver(case.kind, case.payload)
            run(installer, "install")
            module.os = Worn(1)
            assert fails(installer, "rollback")
            run(installer, "failure", "cleanup", "cleanup")
            assert files() == before


def test_a_rollback_that_fails_for_good_leaves_the_old_content():
    for case in each_case():
        if case.old:
            installer = deliver(case.kind, case.payload)
            run(installer, "install")
            module.os = Worn(100)
            assert fails(installer, "rollback") and fails(installer, "cleanup")
            kept = leftovers.OLD if case.kind is SingleFile else FOLDER + ".instar-old"
            found = {case.target + path[len(kept) :]: data for path, data in files(kept).items()}
            assert found == case.old
            leftovers.sweep()
            assert len(files(kept)) == len(case.old)
            module.os = os
            run(installer, "cleanup")
            assert files() == both(OTHERS, case.old)


def fed_by(step, *args):
    payloads.Board.fed = 0
    found = step(*args)
    return payloads.Board.fed, found


def test_each_state_of_a_file_feeds_the_watchdog():
    with Disk(both(OTHERS, {FILE: b"old" * 14000})):
        fed, installer = fed_by(deliver, SingleFile, single(b"new" * 14000))
        assert fed >= 30, fed  # written, read back, its digest
        assert fed_by(installer.running)[0] >= 10
        assert fed_by(run, installer, "install")[0] >= 20  # a copy, read back
        assert fed_by(run, installer, "cleanup")[0] >= 2


def test_each_state_of_a_folder_feeds_the_watchdog():
    tar = tree_tar({str(i): b"x" * 8192 for i in range(5)})
    with Disk(both(OTHERS, {f"{FOLDER}/{i}": bytes(8192) for i in range(5)})):
        fed, installer = fed_by(deliver, Directory, directory(tar))
        assert fed >= 30, fed
        assert fed_by(installer.running)[0] >= 10
        run(installer, "install")
        assert fed_by(run, installer, "cleanup")[0] >= 6


def test_an_installer_without_an_update_touches_nothing():
    left = {"/.instar-files": None, "/.instar-files/new": None, "/.instar-files/old": None}
    with Disk(left):
        for kind in (SingleFile, Directory):
            installer = kind(payloads.Board(), None, settings())
            assert installer.running() is None and not installer.on_trial()
            assert installer.supports_rollback and not installer.needs_reboot
        assert files() == left


# What is refused: each leaves every file as it was.

SMALL = tree_tar({"a": b"1"})
REFUSED_FILES = (
    # payload, words of the message
    ([], "single-file: expected dest_dir, filename, perhaps permissions, and one file more"),
    (single()[:3], "and one file more, got the files ['dest_dir', 'filename', 'permissions']"),
    (single()[1:], "and one file more, got the files ['filename', 'permissions', 'conf.json']"),
    (single(filename=None), "got the files ['dest_dir', 'permissions', 'conf.json']"),
    (single() + [("extra", b"")], "one file more, got the files"),
    (single(filename="other"), "filename: expected 'conf.json', as in the payload, got 'other'"),
    (single(filename="../conf.json"), "filename: expected a plain name, got '../conf.json'"),
    (single(filename="."), "filename: expected a path without '.' in it, got '.'"),
    (single(filename=".."), "filename: expected a path without '..' in it"),
    (single(filename="a\\b"), "filename: expected a path without a backslash"),
    (single(filename=b"conf.json\n\n"), "filename: expected one line of printable UTF-8"),
    (single(filename=b"conf\0json\n"), "filename: expected one line of printable UTF-8"),
    (single(filename=b"\xff\xfe\n"), "filename: expected one line of printable UTF-8"),
    (single(filename=b"\n"), "filename: expected one line of printable UTF-8, got b''"),
    (single(filename=b""), "filename: expected one line of printable UTF-8, got b''"),
    (single(filename="n" * 257), "filename: expected a line of at most 256 bytes, got 258"),
    (single(dest_dir=b"\n"), "dest_dir: expected one line"),
    (single(dest_dir="/data/\r"), "dest_dir: expected one line"),
    (single(dest_dir="/" + "d" * 257), "dest_dir: expected a line of at most 256 bytes, got 259"),
    (single(permissions="rw-"), "permissions: expected 1 to 4 octal digits, got 'rw-'"),
    (single(permissions="648"), "permissions: expected 1 to 4 octal digits, got '648'"),
    (single(permissions="00644"), "permissions: expected 1 to 4 octal digits"),
    (single(filename=b"\n", data=b"x" * 9000), "filename: expected one line"),
)
REFUSED_FOLDERS = (
    (directory(SMALL)[:1], "directory: expected dest_dir and update.tar, got the files"),
    (directory(SMALL)[1:], "directory: expected dest_dir and update.tar, got the files"),
    (directory(SMALL) + [("extra", b"")], "expected dest_dir and update.tar, got the files"),
    ([("x.tar", SMALL), ("dest_dir", b"/data/www\n")], "and update.tar, got the files ['x.tar'"),
    (directory(SMALL, "/"), "dest_dir: expected a folder to replace, got /, which is everything"),
    (directory(SMALL, "//"), "dest_dir: expected an absolute path without empty parts"),
    (directory(SMALL[:-1024]), "update.tar: expected more data, got the end, in mid-archive"),
    (directory(SMALL[:700]), "update.tar: expected more data"),
    (directory(b"no tar" * 100), "update.tar: expected a ustar header"),
    (directory(b""), "update.tar: expected more data"),
    (directory(member("/etc/x") + SMALL), "update.tar: expected a relative path"),
    (directory(member("../x") + SMALL), "update.tar: expected a path without '..'"),
    (directory(member("x", kind="2") + SMALL), "expected plain files and folders"),
    (directory(member("b", b"x" * 5000) + member("b") + SMALL), "expected each name once"),
    (directory(SMALL, "/data/other"), "a folder to replace or nothing, got the file /data/other"),
)
# Whatever the type: dest_dir, settings, words of the message
ALL = {"file_roots": ["/"]}
REFUSED_PLACES = (
    ("data", {}, "dest_dir: expected an absolute path without empty parts, got 'data'"),
    ("", ALL, "dest_dir: expected one line"),
    ("/etc", {}, "dest_dir: expected a folder in file_roots, ['/data'], got '/etc'"),
    ("/database", {}, "expected a folder in file_roots"),
    ("/dat", {}, "expected a folder in file_roots"),
    ("/data", {"file_roots": []}, "expected a folder in file_roots, []"),
    ("/data/..", {}, "expected a path without '..'"),
    ("/data/../etc", {}, "expected a path without '..'"),
    ("/../data", {}, "expected a path without '..'"),
    ("/data/./www", {}, "expected a path without '.'"),
    ("/data//www", {}, "expected an absolute path without empty parts"),
    ("//data", {}, "expected an absolute path without empty parts"),
    ("/data/www//", {}, "expected an absolute path without empty parts"),
    ("/data\\www", {}, "expected a path without a backslash"),
    ("/.instar", ALL, "dest_dir: expected a place apart from /.instar, got"),
    ("/.instar/x", ALL, "a place apart from /.instar, got"),
    ("/.instar-files", ALL, "a place without '.instar-' in its name, got"),
    ("/.instar-files.gone", ALL, "a place without '.instar-' in its name, got"),
    ("/data/www.instar-old", {}, "a place without '.instar-' in its name, got"),
    ("/data/www.instar-new/x", {}, "a place without '.instar-' in its name, got"),
    ("/guard", ALL, "a place apart from /guard, got"),
    ("/guard/instar", ALL, "a place apart from /guard, got"),
    ("/a", ALL, "a place apart from /a, got"),
    ("/b/x", ALL, "a place apart from /b, got"),
    ("/a.part", ALL, "a place apart from /a.part, got"),
    ("/b.part", ALL, "a place apart from /b.part, got"),
    ("/instar", ALL, "a place apart from /instar, got"),
    ("/lib/instar", ALL, "a place apart from /lib/instar, got"),
    ("/a", {"file_roots": ["/a"]}, "a place apart from /a, got"),
)


def refused(disk, kind, payload, words, with_settings=None):
    """The payload is refused with those words; all files are what they were."""
    before = files()
    message = rejection(deliver, kind, payload, with_settings or settings())
    assert message and words in message, (words, message)
    assert files() == before, words


def test_payloads_of_the_wrong_form():
    with Disk(both(OTHERS, OLD_FILE, OLD_FOLDER)) as disk:
        for payload, words in REFUSED_FILES:
            refused(disk, SingleFile, payload, words)
        for payload, words in REFUSED_FOLDERS:
            refused(disk, Directory, payload, words)


def test_places_that_are_not_for_payloads():
    with Disk(both(OTHERS, OLD_FILE, OLD_FOLDER)) as disk:
        for dest_dir, values, words in REFUSED_PLACES:
            refused(disk, SingleFile, single(dest_dir=dest_dir), words, settings(**values))
            refused(disk, Directory, directory(SMALL, dest_dir), words, settings(**values))


def named(name, dest_dir="/"):
    """A single-file whose file has that name."""
    return single(dest_dir=dest_dir, filename=name)[:3] + [(name, b"x")]


def test_the_agents_own_files():
    everywhere = {
        "file_roots": ["/", "/data"],
        "ca": ["/data/ca/ca.der", "more/../ca2.der"],
        "client_cert": "/data/cert.der",
        "client_key": "//data/./key.der",
        "artifact_verify_keys": ["/data/sign.pem"],
    }
    files_of = (
        ("/boot.py", "/boot.py"),
        ("/main.py", "/main.py"),
        ("/instar.json", "/instar.json"),
        ("/a", "/a"),
        ("/lib", "/lib/instar"),
        ("/data/ca/ca.der", "/data/ca/ca.der"),
        ("/data/ca", "/data/ca/ca.der"),
        ("/ca2.der", "/ca2.der"),
        ("/data/cert.der", "/data/cert.der"),
        ("/data/key.der", "/data/key.der"),
        ("/data/sign.pem", "/data/sign.pem"),
    )
    with Disk(OTHERS) as disk:
        for path, part in files_of:
            folder, _, name = path.rpartition("/")
            words = f"dest_dir: expected a place apart from {part}, got '{path}'"
            refused(disk, SingleFile, named(name, folder or "/"), words, settings(**everywhere))
            refused(disk, Directory, directory(SMALL, path), words, settings(**everywhere))
        # A folder that holds any of them, too.
        words = "dest_dir: expected a place apart from /data/ca/ca.der, got '/data'"
        refused(disk, Directory, directory(SMALL, "/data"), words, settings(**everywhere))
        installer = deliver(SingleFile, named("free"), settings(**everywhere))
        run(installer, "install", "commit", "cleanup")
        assert files("/free") == {"/free": b"x"}


def test_names_that_the_board_would_import():
    names = RESERVED.split() + ["app", "payloads"]
    assert "json" in names and "instar" in names
    for roots in (["/"], ["/lib", "/"]):
        for folder in ("", "/lib"):
            for one in names:
                for name in (one + ".py", one + ".mpy", one, one + "/__init__.py"):
                    message = place(f"{folder}/{name}", roots)
                    imported = f"dest_dir: expected a place where nothing imports {one}"
                    apart = "dest_dir: expected a place apart from /"  # the agent's own
                    assert message.startswith((imported, apart)), (folder, name, message)
    for path in ("/json.txt", "/app.json", "/jsons.py", "/apps/json.py", "/lib/more/app.py"):
        assert place(path, ["/"]) is None, path
    assert place("/data/json.py", ["/data"]) is None
    with Disk({"/lib": None}) as disk:
        for roots, folder in (("/", "/"), ("/lib", "/lib")):
            words = "dest_dir: expected a place where nothing imports "
            values = settings(file_roots=[roots])
            refused(disk, SingleFile, named("json.py", folder), words + "json,", values)
            below = folder.rstrip("/") + "/payloads"
            refused(disk, SingleFile, named("__init__.py", below), words + "payloads", values)
            refused(disk, Directory, directory(SMALL, below), words + "payloads", values)


def place(target, roots):
    """Why that file may not be written, or None."""
    folder = target.rpartition("/")[0]
    return rejection(places.check, target, folder, settings(file_roots=roots), payloads.Board())


def test_the_boards_own_names_for_them():
    class Elsewhere(payloads.Board):
        settings_path = "/data/settings.json"
        state_dir = "/data/records"

    board, payloads.Board = payloads.Board, Elsewhere
    with Disk(OTHERS) as disk:
        words = "apart from /data/settings.json"
        refused(disk, SingleFile, named("settings.json", "/data"), words)
        refused(disk, Directory, directory(SMALL, "/data/records/x"), "apart from /data/records")
    payloads.Board = board


def test_a_file_does_not_replace_a_folder():
    with Disk({"/data": None, FILE: None, FILE + "/x": b"1"}) as disk:
        words = f"filename: expected a file to replace or nothing, got the folder {FILE}"
        refused(disk, SingleFile, single(), words)


def test_a_file_in_the_way_to_the_folder():
    with Disk(OTHERS):
        before = files()
        for kind, payload in (
            (SingleFile, single(dest_dir="/data/other/x")),
            (Directory, directory(SMALL, "/data/other/x")),
        ):
            installer = deliver(kind, payload)
            message = rejection(run, installer, "install")
            assert message == (
                "dest_dir: expected a name for a file or for a folder, got '/data/other' for both"
            )
            run(installer, "rollback", "cleanup")
            assert files() == before


def test_what_does_not_fit():
    with Disk(both(OTHERS, OLD_FILE), sectors=24) as disk:
        whole = "at most the file system's 98304 bytes, got 98305"
        refused(disk, SingleFile, single(b"x" * 98305), "conf.json: expected " + whole)
        full = "expected room for /.instar-files/new{}, got a full file system"
        refused(disk, SingleFile, single(b"x" * 80000), "conf.json: " + full.format(""))
        tar = tree_tar({"a": b"1" * 20000, "b": b"x" * 60000})
        refused(disk, Directory, directory(tar), "update.tar: " + full.format("/b"))
        # There is room for the new file, but not for a copy of the old one as well.
        write("/data/conf.json", b"y" * 30000)
        before = files()
        installer = deliver(SingleFile, single(b"x" * 20000))
        message = rejection(run, installer, "install")
        assert "backup: expected room for /.instar-files/old.part, got" in message, message
        run(installer, "rollback", "cleanup")
        assert files() == before


def test_much_fits_where_statvfs_says_that_nothing_is_free():
    folders = {f"/data/{i}": None for i in range(8)}
    with Disk(folders, sectors=40):
        assert os.statvfs("/")[4] * 4096 < 10000
        run(deliver(SingleFile, single(b"x" * 40000)), "install", "commit", "cleanup")
        assert files(FILE) == {FILE: b"x" * 40000}


def test_a_sum_that_is_wrong_leaves_no_file():
    with Disk(both(OTHERS, OLD_FILE)):
        before = files()
        good = build.artifact(files=single(b"new content"))
        bad = good.replace(b"new content", b"new c0ntent")
        installer = SingleFile(payloads.Board(), None, settings())
        reader = payloads.Reader(installer.begin, installer.download)
        message = rejection(reader.feed, memoryview(bad))
        assert "SHA-256" in message
        run(installer, "cleanup")
        assert files() == before
