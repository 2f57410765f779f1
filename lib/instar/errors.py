# The exception tree: what to retry, what to refuse, what to roll back.
# SPDX-License-Identifier: MIT
#
#   InstarError
#    +-- Transient        may work later: retried with backoff and jitter
#    |    +-- Unauthorised   the server does not accept this board (yet)
#    |    +-- Untrusted      TLS: the peer could not prove who it is
#    |    +-- Expired        the URL of a download is no longer good: ask for another
#    +-- Rejected         stays wrong however often it is tried: reported, not retried
#    |    +-- Aborted        the server withdrew the deployment: stop, undo, say nothing more
#    +-- Broken           the board is not as it has to be: roll back
#
# The message says what was expected and what came. It never holds a token, a key or a password.


class InstarError(Exception):
    """Base of every error that instar raises on purpose."""


class Transient(InstarError):
    """Worth another try later.

    retry_after: seconds the server asked to wait, or None (then the caller's own backoff holds).
    """

    def __init__(self, message, retry_after=None):
        super().__init__(message)
        self.retry_after = retry_after


class Unauthorised(Transient):
    """401: not accepted, not yet accepted, or the token is no longer good."""


class Untrusted(Transient):
    """The TLS peer's certificate was refused: wrong CA, wrong host name, or outside its dates."""


class Expired(Transient):
    """A download's URL is no longer good. Its server gives another to who asks again."""


class Rejected(InstarError):
    """Refused for good: a bad Artifact, another device type, a request the server calls bad."""


class Aborted(Rejected):
    """409: the deployment was aborted on the server."""


class Broken(InstarError):
    """Something on the board failed or is damaged: a write, a slot, a record, the new software."""
