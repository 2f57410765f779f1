# What a power cut during a download leaves, and the start that deletes it.
import sys

from littlefs import Disk, files, write

from instar.installers import leftovers

OTHERS = {
    "/a": None,
    "/a/app.py": b"a",
    "/b": None,
    "/b/app.py": b"b",
    "/.instar": None,
    "/.instar/slots": b"1",
    "/data": None,
    "/data/a.part": b"the application's",
}
LEFT = {
    "/a.part/x/app.py": b"1" * 5000,
    "/a.part/old": b"",
    "/b.part/app.py": b"2",
    "/.instar-files/new/x": b"3",
    "/.instar-files.gone/old": b"4",
}


def test_what_a_cut_download_left_goes():
    with Disk(OTHERS) as disk:
        for path, data in LEFT.items():
            write(path, data)
        fed = []
        leftovers.sweep(lambda: fed.append(1))
        assert files() == OTHERS and len(fed) >= len(LEFT)
        ops = disk.ops
        leftovers.sweep()
        assert disk.ops == ops


def test_where_nothing_was_left_nothing_is_imported():
    with Disk(OTHERS) as disk:
        ops = disk.ops
        leftovers.sweep()
        assert disk.ops == ops and "instar.installers.tree" not in sys.modules


def test_a_stage_with_the_only_copy_of_a_file_stays():
    with Disk(OTHERS):
        stage = {"/.instar-files": None, "/.instar-files/old": b"the only copy"}
        write("/.instar-files/old", b"the only copy")
        write("/b.part", None)
        leftovers.sweep()
        assert files() == dict(OTHERS, **stage)
