import os

from instar.errors import Broken
from instar.store import Store


def fresh(name):
    root = f"/tmp/instar-{name}-{os.urandom(6).hex()}"
    return Store(root), root


def remove(root):
    for name in os.listdir(root):
        os.remove(f"{root}/{name}")
    os.rmdir(root)


def raised(function, *args):
    try:
        function(*args)
    except Broken as error:
        return str(error)
    raise AssertionError("expected Broken")


def test_a_record_is_what_was_put():
    store, root = fresh("put")
    assert store.get("a") is None
    store.put("a", b"one")
    store.put("a", b"")
    store.put("b", bytes(range(256)) * 8)
    assert store.get("a") == b""
    assert Store(root).get("b") == bytes(range(256)) * 8
    assert sorted(os.listdir(root)) == ["a", "b"]
    remove(root)


def test_json_and_delete():
    store, root = fresh("json")
    store.put_json("j", {"x": [1, "two", None]})
    assert store.get_json("j") == {"x": [1, "two", None]}
    store.delete("j")
    store.delete("j")
    assert store.get_json("j") is None and os.listdir(root) == []
    remove(root)


def test_every_damaged_byte_is_noticed():
    store, root = fresh("crc")
    store.put("k", b"secret key bytes")
    with open(root + "/k", "rb") as file:
        raw = file.read(100)
    for at in range(len(raw)):
        with open(root + "/k", "wb") as file:
            file.write(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        assert "damaged" in raised(store.get, "k")
    for length in range(len(raw)):
        with open(root + "/k", "wb") as file:
            file.write(raw[:length])
        assert "damaged" in raised(store.get, "k")
    remove(root)


def test_a_half_written_record_goes_at_the_next_start():
    store, root = fresh("half")
    store.put("k", b"old")
    with open(root + "/k.new", "wb") as file:
        file.write(b"ha")
    assert Store(root).get("k") == b"old"
    assert os.listdir(root) == ["k"]
    remove(root)


def test_an_equal_record_is_not_written_again():
    store, root = fresh("equal")
    store.put("k", b"same")
    before = os.stat(root + "/k")[1]  # the inode: a rename would bring another
    store.put("k", b"same")
    assert os.stat(root + "/k")[1] == before
    store.put("k", b"diff")
    assert os.stat(root + "/k")[1] != before
    remove(root)


def test_a_record_that_is_too_large_leaves_the_old_one():
    store, root = fresh("large")
    store.put("k", b"old")
    assert "16384" in raised(store.put, "k", bytes(16385))
    assert store.get("k") == b"old"
    remove(root)


def test_names_and_a_new_name():
    store, root = fresh("names")
    for name in ("out-2", "out-1", "job"):
        store.put(name, name.encode())
    with open(root + "/out-3.new", "wb") as file:
        file.write(b"half")
    assert store.names("out-") == ["out-1", "out-2"]
    assert store.names() == ["job", "out-1", "out-2"]
    store.move("out-2", "out-1")
    assert store.names("out-") == ["out-1"] and store.get("out-1") == b"out-2"
    remove(root)
