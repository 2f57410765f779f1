# Paths and tars that a payload brings: what is taken lies below the root, and nothing else does.
import os

import artifact_build as build
from artifact_build import END, member, rejection

from instar.errors import Rejected
from instar.installers import tree


class Root:
    """A new folder of the host."""

    def __enter__(self):
        self.base = "/tmp/instar-tree-" + os.urandom(6).hex()
        os.mkdir(self.base)
        return self.base + "/root"

    def __exit__(self, *_):
        tree.remove(self.base)


def content(path):
    """{relative name: bytes, or None for a folder} of all that lies below."""
    found = {}

    def walk(at, prefix):
        for name in os.listdir(at):
            if os.stat(at + "/" + name)[0] & 0x4000:
                found[prefix + name] = None
                walk(at + "/" + name, prefix + name + "/")
            else:
                with open(at + "/" + name, "rb") as file:
                    found[prefix + name] = file.read()

    walk(path, "")
    return found


def unpack(root, data, size=0):
    sink = tree.Unpacker(root, "t.tar")
    try:
        for view in build.chunks(data, size):
            sink.write(view)
        sink.close()
    except:
        sink.abandon()
        raise


def folder(name):
    return member(name, kind="5")


PACKED = b"".join(
    (
        folder("./"),
        member("./a.txt", b"alpha"),
        folder("./sub/"),
        member("./sub/b", b"x" * 3000),
        folder("./sub/empty/"),
        member("deep/er/c", b""),
        END,
    )
)
TREE = {
    "a.txt": b"alpha",
    "sub": None,
    "sub/b": b"x" * 3000,
    "sub/empty": None,
    "deep": None,
    "deep/er": None,
    "deep/er/c": b"",
}


def test_a_tar_is_unpacked_whatever_the_chunks():
    for size in build.CHUNKINGS:
        with Root() as root:
            unpack(root, PACKED, size)
            assert content(root) == TREE, size


def test_an_empty_tar_is_an_empty_folder():
    with Root() as root:
        unpack(root, folder("./") + END)
        assert content(root) == {}


RULES = (
    # name, words of the message
    ("/etc/x", "t.tar: expected a relative path, got '/etc/x'"),
    ("..", "t.tar: expected a path without '..' in it, got '..'"),
    ("../x", "a path without '..'"),
    ("a/../../x", "a path without '..'"),
    ("./../x", "a path without '..'"),
    ("a/./x", "a path without '.'"),
    ("././x", "a path without '.'"),
    (".//x", "a path without empty parts"),
    ("a//x", "a path without empty parts"),
    ("a\\x", "a path without a backslash"),
    ("a\nx", "a path without control characters"),
    ("a\x7fx", "a path without control characters"),
    ("a\u0085x", "a path without control characters"),
    ("n" * 65, "at most 64 bytes between slashes"),
    ("\u00e4" * 33, "at most 64 bytes between slashes"),
    ("/".join(["d" * 43] * 3), "a path of at most 128 bytes"),
    ("1/2/3/4/5/6/7/8/9", "a path of at most 8 parts"),
)


def test_names_that_are_not_harmless():
    for name, words in RULES:
        message = rejection(tree.safe, name, "t.tar")
        assert message and words in message, (name, message)
        for kind in "05":
            with Root() as root:
                packed = member("first", b"1") + long_member(name, kind) + END
                message = rejection(unpack, root, packed)
                assert message and words in message, (name, kind, message)
                assert content(root) == {"first": b"1"}, name
                assert os.listdir(root + "/..") == ["root"], name


def long_member(name, kind):
    """A member whose name may have more than the header's 100 bytes."""
    raw = name.encode()
    if len(raw) <= 100:
        return member(name, kind=kind)
    return member("././@LongLink", raw + b"\0", "L") + member("n", kind=kind)


def test_names_at_the_limits():
    for name in ("n" * 64, "\u00e4" * 32, "1/2/3/4/5/6/7/8", "/".join(["d" * 63, "e" * 64])):
        assert tree.safe(name) == tree.safe("./" + name) == name
        with Root() as root:
            unpack(root, long_member("./" + name, "0") + END)
            assert content(root)[name] == b""


def test_a_name_with_a_nul():
    # ustar's ends there; a pax path may not have one.
    with Root() as root:
        record = b"15 path=ab\0cde\n"
        message = rejection(unpack, root, member("x", record, "x") + member("y") + END)
        assert "pax path" in message and content(root) == {}


def test_kinds_other_than_files_and_folders():
    for kind in "12346":
        with Root() as root:
            message = rejection(unpack, root, member("a", kind=kind) + END)
            words = f"t.tar: expected plain files and folders, got 'a', type '{kind}'"
            assert message == words and content(root) == {}, message


def test_each_name_once():
    twice = (
        member("a/x", b"1") + member("a/x", b"2"),
        member("x", b"1") + member("./x", b"2"),
    )
    for packed in twice:
        with Root() as root:
            assert "expected each name once" in rejection(unpack, root, packed + END)
            assert b"2" not in content(root).values()


def test_a_file_is_not_a_folder_too():
    both = (
        (member("a", b"1") + member("a/x", b"2"), "for a file or for a folder"),
        (member("a", b"1") + folder("a/"), "for a file or for a folder"),
        (folder("a/") + member("a", b"1"), "each name once"),
    )
    for packed, words in both:
        with Root() as root:
            message = rejection(unpack, root, packed + END)
            assert words in message, message
    with Root() as root:  # a file cannot have the name of the root itself
        assert "without empty parts" in rejection(unpack, root, member("./") + END)


def test_a_folder_may_be_named_again():
    with Root() as root:
        unpack(root, member("a/x", b"1") + folder("a/") + folder("./a") + END)
        assert content(root) == {"a": None, "a/x": b"1"}


def test_at_most_256_files_and_folders():
    rows = (
        [member(str(i)) for i in range(257)],
        [folder(str(i)) for i in range(257)],
        [member(f"{i}/x") for i in range(129)],
        [folder("again") for i in range(257)],
    )
    for members in rows:
        with Root() as root:
            unpack(root, b"".join(members[:-1]) + END)
        with Root() as root:
            message = rejection(unpack, root, b"".join(members) + END)
            assert message == "t.tar: expected at most 256 files and folders, got more"


def test_a_tar_that_ends_early():
    for at in range(0, len(PACKED) - 1024, 100):
        with Root() as root:
            assert "in mid-archive" in rejection(unpack, root, PACKED[:at]), at


def test_one_file():
    with Root() as root:
        sink = tree.open_file(root, "./app/main.py", 5)
        sink.write(memoryview(b"abc"))
        sink.write(memoryview(b"de"))
        sink.close()
        assert content(root) == {"app": None, "app/main.py": b"abcde"}
        assert "each name once" in rejection(tree.open_file, root, "app/main.py", 5)
        assert "without '..'" in rejection(tree.open_file, root, "../x", 5)


def test_one_file_of_another_size():
    with Root() as root:
        sink = tree.open_file(root, "a", 5, "files")
        sink.write(b"abcd")
        message = f"files: expected 1 more bytes of {root}/a, got 2"
        assert rejection(sink.write, b"ef") == message
        message = f"files: expected 1 more bytes of {root}/a, got its end"
        assert rejection(sink.close) == message


def test_flash_that_does_not_hold_it():
    from instar.errors import Broken

    with Root() as root:
        sink = tree.open_file(root, "a", 5)
        sink.write(b"abcde")
        sink._file.seek(2)
        sink._file.write(b"X")
        try:
            sink.close()
        except Broken as error:
            assert "does not hold" in str(error)
        else:
            raise AssertionError("expected Broken")


def put(root, rows):
    for name, data in rows.items():
        if data is None:
            tree.make_folders(root, name)
        else:
            sink = tree.open_file(root, name, len(data))
            sink.write(data)
            sink.close()


def test_a_digest_tells_every_tree_from_every_other():
    trees = (
        {},
        {"a": b""},
        {"a": None},
        {"b": b""},
        {"a": b"b"},
        {"ab": b""},
        {"a": b"", "b": b""},
        {"a/b": b""},
        {"a": None, "b": b""},
        {"a": None, "b": None},
        {"a/b": None},
        {"a/b": b"", "a/c": b""},
        {"a/b": b"", "c": b""},
        {"a": b"bc", "d": b""},
        {"a": b"b", "cd": b""},
    )
    seen = {}
    for rows in trees:
        with Root() as root:
            put(root, {".keep": b""})
            os.remove(root + "/.keep")
            put(root, rows)
            found = tree.digest(root)
            assert found not in seen, (rows, seen[found])
            seen[found] = rows
    with Root() as root:  # nor does the order in which it was made matter
        put(root, {"z/1": b"1", "a": b"2"})
        first = tree.digest(root)
        tree.remove(root)
        put(root, {"a": b"2", "z/1": b"1"})
        assert tree.digest(root) == first


def test_the_digest_of_a_file_is_that_of_its_content():
    with Root() as root:
        for data in (b"", b"hello\n", os.urandom(5000)):
            put(root, {"f": data})
            assert tree.digest(root + "/f") == build.digest(data)
            tree.remove(root)
        assert tree.digest(root) is None and not tree.exists(root)
        put(root, {"f": b""})
        assert tree.digest(root + "/f/x") is None and not tree.exists(root + "/f/x")
        assert tree.is_folder(root) and not tree.is_folder(root + "/f")


class Watchdog:
    def __init__(self):
        self.fed = 0

    def feed(self):
        self.fed += 1

    def since(self):
        fed, self.fed = self.fed, 0
        return fed


def test_long_work_feeds_the_watchdog():
    dog = Watchdog()
    with Root() as root:
        sink = tree.open_file(root, "big", 40960, "big", dog.feed)
        for _ in range(80):
            sink.write(bytes(512))
        assert 10 <= dog.since() <= 12
        sink.close()  # reads it back
        assert 10 <= dog.since() <= 12
        tree.digest(root + "/big", dog.feed)
        assert 10 <= dog.since() <= 12
        os.remove(root + "/big")
        sink = tree.Unpacker(root, "t.tar", dog.feed)
        names = [str(i) for i in range(20)]
        sink.write(b"".join([folder(name + "/") for name in names]))
        assert dog.since() == 20
        sink.write(b"".join([member(name + "/f", b"1") for name in names]))
        assert dog.since() >= 20
        tree.digest(root, dog.feed)
        assert dog.since() >= 20
        tree.remove(root, dog.feed)
        assert dog.since() >= 40


def test_remove():
    with Root() as root:
        put(root, {"a/b/c": b"1", "a/d": b"2", "e": None})
        tree.remove(root + "/a/d")
        assert content(root) == {"a": None, "a/b": None, "a/b/c": b"1", "e": None}
        tree.remove(root)
        tree.remove(root)
        assert not tree.exists(root)
