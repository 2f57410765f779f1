# The journal's two records over the lives of a board: whose they are, and which of them counts.
import os

from instar.errors import Broken
from instar.journal import Journal
from instar.store import Store


class Clock:
    def rfc3339(self):
        return "2026-11-21T00:00:00Z"


class Full(Store):
    """A store whose next rewrite fails."""

    def rewrite(self, name, data):
        raise OSError(28)


def store():
    return Store("/tmp/instar-journal-" + os.urandom(6).hex())


def start(kept):
    journal = Journal(kept, Clock())
    journal.restore()
    return journal


def carry_out(kept, deployment):
    journal = start(kept)
    journal.open(deployment)
    tries = journal.tries
    for state in ("download", "install", "cleanup", "report"):
        journal.enter(state)
    journal.verdict = "success"
    journal.save()
    journal.close()
    return tries


def test_a_deployment_that_ended_is_not_one_that_a_restart_ended():
    """Murano offers the same again where a board was flashed over a cable."""
    kept = store()
    assert [carry_out(kept, "d1") for _ in range(5)] == [0] * 5


def test_each_restart_in_a_download_counts_until_another_deployment_comes():
    kept = store()
    for tries in range(3):
        journal = start(kept)
        journal.open("d1")
        assert journal.tries == tries
        journal.enter("download")
    journal = start(kept)
    journal.open("d2")
    assert journal.tries == 0


def test_a_download_of_the_journal_in_one_record_is_not_open():
    kept = store()
    kept.put_json("update", {"id": "d1", "state": "download", "tries": 1})
    journal = start(kept)
    assert journal.state is None and kept.get("update") is None
    journal.open("d1")
    assert journal.tries == 2


def test_an_update_of_the_journal_in_one_record_goes_on():
    kept = store()
    kept.put_json("update", {"id": "d1", "state": "reboot", "installed": "new", "saves": 3})
    journal = start(kept)
    assert (journal.id, journal.state, journal.installed) == ("d1", "reboot", "new")
    journal.enter("commit")
    assert start(kept).state == "commit"


def test_what_an_earlier_life_of_the_same_deployment_left_is_not_the_later_word():
    kept = store()
    for _ in range(4):
        carry_out(kept, "d1")
    journal = start(kept)
    journal._store = Full(kept._root)
    journal.open("d1")
    try:
        journal.enter("download")
    except OSError:
        journal.verdict = "failure"
    journal.enter("report")  # all of it, for the first time
    assert (start(kept).verdict, start(kept).state) == ("failure", "report")


def test_a_step_that_is_none_is_said_once():
    for text in (b"[]", b"[1]", b"{}", b"7", b'["a", "b", "c"]'):
        kept = store()
        kept.put("step", text)
        kept.put_json("update", {"id": "d1", "state": "install"})
        try:
            state = start(kept).state
        except Broken as error:
            assert "the journal is damaged" in str(error)
            state = "install"
        assert state == "install", text
        assert start(kept).state == "install", text
