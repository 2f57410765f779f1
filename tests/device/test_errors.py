from instar import errors


def test_the_tree_separates_retry_refuse_and_roll_back():
    assert issubclass(errors.Unauthorised, errors.Transient)
    assert issubclass(errors.Untrusted, errors.Transient)
    assert issubclass(errors.Aborted, errors.Rejected)
    for kind in (errors.Transient, errors.Rejected, errors.Broken):
        assert issubclass(kind, errors.InstarError)
    assert not issubclass(errors.Rejected, errors.Transient)


def test_transient_carries_what_the_server_asked_to_wait():
    assert errors.Transient("busy", retry_after=30).retry_after == 30
    assert errors.Unauthorised("401").retry_after is None
