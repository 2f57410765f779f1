from instar.errors import Rejected
from instar.versions import check_not_older, rank

# Each is older than the next (the example of Semantic Versioning, section 11, is among them).
ORDER = (
    "0.9",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.9",
    "v1.10",
    "2",
    "2.0.0.1",
    "10",
)


def test_versions_have_an_order():
    for i, older in enumerate(ORDER):
        for j, newer in enumerate(ORDER):
            assert (rank(older) < rank(newer)) == (i < j), (older, newer)


def test_what_is_the_same_version():
    for one, other in (("1", "1.0.0"), ("v2.1", "2.1"), ("1.0+build5", "1.0"), ("1-a", "1.0-a")):
        assert rank(one) == rank(other)


def test_what_has_no_order():
    for text in ("", "release-1", "v", "1..2", "1.x", "-1", "1.0-", "1.0-a..b", "\u0661", "1 2"):
        assert rank(text) is None, text


def refusal(*args):
    try:
        check_not_older("key", *args)
    except Rejected as error:
        return str(error)
    return None


def test_not_older():
    assert refusal("1.2", "1.2") is None
    assert refusal("1.2", "1.10") is None
    assert refusal(None, "1") is None
    assert refusal("release-1", "1") is None
    assert "expected key 1.2_INCONSISTENT or newer, got 1.1" in refusal("1.2_INCONSISTENT", "1.1")
    assert "expected key 1.2 or newer, got 1.1" in refusal("1.2", "1.1")
    assert "expected key in the Artifact's provides, got none" in refusal("1.2", None)
    assert "expected a version like 1.12.0 as key, got 'new'" in refusal("1.2", "new")
    assert "got 'new'" in refusal(None, "new")
