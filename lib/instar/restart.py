# Where an update goes on after a start: by what the journal says, and by what runs.
# SPDX-License-Identifier: MIT

from .states import MAX_STARTS, RESTART, TABLE, TRIAL


def next_state(journal, has_rebooting, runs_new, fail):
    """The state to enter. has_rebooting() makes the installer -> whether it reboots; runs_new() ->
    whether what was installed is what runs; fail(message) sets the verdict and notes why."""
    try:
        reboots = has_rebooting()
    except Exception as error:  # this software knows less than the one that wrote the journal
        undone = journal.state in ("failure", "cleanup", "report")
        journal.inconsistent = journal.verdict == "success" or not undone
        fail(str(error) or repr(error))
        return "cleanup"
    state = RESTART.get(journal.state, journal.state)
    # What was installed in place is the application's once it is committed.
    asked = journal.verdict == "success" and (reboots or state == "commit")
    if asked and not runs_new():
        fail("the new software was committed, but the old software runs")
        return "failure" if reboots else "rollback"
    if state not in TABLE:
        fail(f"the journal holds a state that this software does not know: {state}")
        return "rollback"
    on_trial = journal.state in TRIAL
    if on_trial and journal.starts > MAX_STARTS:
        fail(f"{journal.starts} starts without a proof")
        return "rollback"
    if journal.verdict is None and not on_trial:
        fail(f"the board started again during {journal.state}")
    return state
