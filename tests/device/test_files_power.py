# single-file and directory while the power fails: before, during and after every operation of the
# flash. Whenever the board starts again, its application finds the old content or the new one,
# whole; when the update has come to its end, the right one, and no stage.
import hashlib
import os

from file_payloads import FILE, FOLDER, again, deliver, directory, run, single, tree_tar
from littlefs import AFTER, HOWS, TORN, Disk, Ended, files

from instar.installers.files import Directory, SingleFile
from instar.installers.staged import settle

OTHERS = {"/data": None, "/data/d": b"before www", "/data/x": b"after www", "/data/z": b"last"}
OLD_FILE = {FILE: b"old" * 700}
NEW_FILE = {FILE: b"new" * 1100}
OLD_FOLDER = {FOLDER: None, FOLDER + "/a": b"old a", FOLDER + "/sub": None, FOLDER + "/sub/b": b""}
NEW_FOLDER = {FOLDER: None, FOLDER + "/a": b"new a" * 300, FOLDER + "/c": None}
TAR = tree_tar({"a": b"new a" * 300, "c": None})
BACK = ("rollback", "failure", "cleanup")
ON = ("commit", "cleanup")
DURING = (TORN, AFTER)


class Case:
    """One update: how it is made, and what its target holds before and after."""

    def __init__(self, kind, payload, target, old, new):
        self.kind = kind
        self.payload = payload
        self.target = target
        self.old = old
        self.new = new

    def start(self):
        """A start of the board, with what its application sees at once."""
        names = os.listdir("/data")  # the boot guard's files could be among them
        assert "d" in names and "x" in names and "z" in names, names
        installer = again(self.kind, self.installed)
        assert files(self.target) in (self.old, self.new)
        return installer

    def doing(self, *states):
        return lambda: run(self.start(), *states)

    def flash(self, disk, *states, image=None):
        """The flash with the payload downloaded, and these states behind it."""
        disk.on(image)
        installer = deliver(self.kind, self.payload)
        self.installed = installer.installed()
        run(installer, *states)
        return disk.image()


def file_over_file():
    return Case(SingleFile, single(NEW_FILE[FILE]), FILE, OLD_FILE, NEW_FILE)


def file_over_nothing():
    return Case(SingleFile, single(NEW_FILE[FILE]), FILE, {}, NEW_FILE)


def folder_over_folder():
    return Case(Directory, directory(TAR), FOLDER, OLD_FOLDER, NEW_FOLDER)


def folder_over_nothing():
    return Case(Directory, directory(TAR), FOLDER, {}, NEW_FOLDER)


def disk_of(case):
    rows = dict(OTHERS)
    rows.update(case.old)
    return Disk(rows, sectors=32)


def each_cut(disk, image, action, hows=HOWS):
    """Do `action` with every cut there is; comes back with the power on again after each."""
    disk.on(image)
    action()
    count = disk.ops
    assert count
    seen = set()
    for number in range(1, count + 1):
        for how in hows:
            disk.on(image, (number, how))
            try:
                action()
            except Ended:
                pass
            else:
                raise AssertionError(f"no cut at {number}")
            disk.on()
            state = hashlib.sha256(disk.image()).digest()
            if state not in seen:
                seen.add(state)
                yield number, how


def finish(case, disk, states, expected):
    """The board goes on to the end of the update; a second time it has nothing to do."""
    wanted = dict(OTHERS)
    wanted.update(expected)
    run(case.start(), *states)
    assert files() == wanted, sorted(files())
    disk.on()
    run(case.start(), *states)
    assert disk.ops == 0


INSTALLED = ("install",)
# The states behind, those that are cut, and what the start after that does; is it new then?
SWEEPS = (
    ((), INSTALLED, BACK, False),
    (INSTALLED, BACK, BACK, False),
    ((), BACK, BACK, False),
    (INSTALLED, ON, ON, True),
    (("install", "rollback"), ("cleanup",), ("cleanup",), False),
    (("install", "commit"), ("cleanup",), ("cleanup",), True),
)


def sweep_all(case):
    with disk_of(case) as disk:
        start = disk.image()
        for behind, states, then, new in SWEEPS:
            image = case.flash(disk, *behind, image=start)
            for _ in each_cut(disk, image, case.doing(*states)):
                finish(case, disk, then, case.new if new else case.old)


def sweep_twice(case):
    """Cut install(), then cut the way back as well."""
    with disk_of(case) as disk:
        image = case.flash(disk)
        install = case.doing("install")
        seen = {}
        for cut in each_cut(disk, image, install):
            seen[str(sorted(files()))] = cut  # one cut for each set of names on the flash
        for cut in seen.values():
            disk.on(image, cut)
            try:
                install()
            except Ended:
                disk.on()
            for _ in each_cut(disk, disk.image(), case.doing(*BACK)):
                finish(case, disk, BACK, case.old)


def sweep_cleanup_then_back(case):
    """If even the journal is wrong about a cleanup that began: nothing is put back by half."""
    with disk_of(case) as disk:
        image = case.flash(disk, "install", "commit")
        for _ in each_cut(disk, image, case.doing("cleanup")):
            run(case.start(), *BACK)
            assert files(case.target) in (case.old, case.new)


def sweep_download(case):
    """A download leaves everything as it was; the next one begins afresh."""
    with disk_of(case) as disk:
        image = disk.image()
        for _ in each_cut(disk, image, lambda: deliver(case.kind, case.payload), DURING):
            assert files(case.target) == case.old
            installer = deliver(case.kind, case.payload)
            case.installed = installer.installed()
            run(installer, "install", *ON)
            finish(case, disk, ON, case.new)


def test_a_file_over_a_file():
    sweep_all(file_over_file())


def test_a_file_over_nothing():
    sweep_all(file_over_nothing())


def test_a_folder_over_a_folder():
    sweep_all(folder_over_folder())


def test_a_folder_over_nothing():
    sweep_all(folder_over_nothing())


def test_a_second_cut_on_the_way_back_to_a_file():
    sweep_twice(file_over_file())


def test_a_second_cut_on_the_way_back_to_a_folder():
    sweep_twice(folder_over_folder())


def test_a_rollback_after_a_cleanup_was_cut():
    sweep_cleanup_then_back(folder_over_folder())


def test_a_cut_download_of_a_file():
    sweep_download(file_over_file())


def test_a_cut_download_of_a_folder():
    sweep_download(folder_over_folder())


def test_a_move_that_was_cut_hides_no_neighbour_any_more():
    rows = {"/s/" + name: name.encode() for name in "abc"}
    with Disk(rows) as disk:
        os.mkdir("/t")
        disk.on(disk.image(), (1, "after"))
        try:
            os.rename("/s/a", "/t/a")
        except Ended:
            disk.on()
        assert os.listdir("/s") == ["c"]  # what settle() is for: b is lost, it seems
        settle("/s")
        assert sorted(os.listdir("/s")) == ["b", "c"] and os.listdir("/t") == ["a"]
        count = disk.ops
        settle("/s")
        settle("/missing")
        assert disk.ops == count
