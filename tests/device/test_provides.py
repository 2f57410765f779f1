from instar.closing import matches, merged


def test_patterns():
    yes = (
        ("a", "a"),
        ("*", ""),
        ("*", "anything"),
        ("rootfs-image.*", "rootfs-image."),
        ("rootfs-image.*", "rootfs-image.version"),
        ("*.version", "rootfs-image.version"),
        ("a*b*c", "aXbYc"),
        ("a*b*c", "abbc"),
        ("**", "x"),
        ("a.c", "a.c"),
    )
    no = (
        ("a", "ab"),
        ("a", "ba"),
        ("rootfs-image.*", "rootfs_image.version"),
        ("a*a", "a"),
        ("a*b*c", "ac"),
        ("a*b*c", "aXcYb"),
        ("a.c", "abc"),
        ("[ab]", "a"),
        ("", "a"),
    )
    for pattern, text in yes:
        assert matches(pattern, text), (pattern, text)
    for pattern, text in no:
        assert not matches(pattern, text), (pattern, text)


class Header:
    def __init__(self, provides, clears):
        self.provides = provides
        self.clears_provides = clears


def test_cleared_then_laid_over():
    stored = {"artifact_name": "v1", "rootfs-image.checksum": "aa", "app.version": "7"}
    header = Header({"artifact_name": "v2", "rootfs-image.version": "v2"}, ["rootfs-image.*"])
    assert merged(stored, header) == {
        "artifact_name": "v2",
        "rootfs-image.version": "v2",
        "app.version": "7",
    }
    assert stored["rootfs-image.checksum"] == "aa"


def test_no_list_clears_nothing_and_the_device_type_is_not_software():
    stored = {"artifact_name": "v1", "x": "1", "device_type": "esp32"}
    assert merged(stored, Header({"artifact_name": "v2"}, None)) == {
        "artifact_name": "v2",
        "x": "1",
    }
