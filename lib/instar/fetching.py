# How a board gets a configuration, keeps it, and gives it up: what bootstrap.py decides on.
#
#   if not await fetch(host): ...        # the service refused for good
#   prove(host)                          # what is on trial works: kept
#   drop(host)                           # it does not: back to the one before
#
# host: as for bootstrap.py, which unloads this module, and all it imports, after use.
# SPDX-License-Identifier: MIT

import asyncio

from micropython import const

from . import memory
from .errors import Broken, Transient

_PATIENCE = const(4)  # times http_timeout, which is for a single silence


async def fetch(host):
    """Ask the service once. A new configuration is stored and resets the board.

    Returns whether it makes sense to ask again, ever. Raises what the service's module, the
    checks of the answer, or the flash raise.
    """
    host.emit("bootstrap", state="asked")
    memory.release(memory.FULL_WINDOW)  # nothing is inflated now, and the answer is large
    answer = await _ask(host)
    if not answer:
        host.emit("bootstrap", state="stopped")
        return False
    memory.forget("instar.servers.magistrala")
    from .configuration import take

    taken = take(host.settings, answer)
    host.emit("bootstrap", state="taken" if taken else "unchanged")
    if taken:
        _restart(host)
    return True


async def _ask(host):
    # The Answer; None if this request is refused for good.
    from .servers.magistrala.bootstrap import BadRequest, bootstrap

    identity = host.settings.identity or host.board.identity()
    external_id = host.settings.external_id or identity.get("mac", "")
    limit = _PATIENCE * host.settings.http_timeout
    try:
        answer = bootstrap(host.settings, external_id, feed=host.beat)
        return await asyncio.wait_for(answer, limit)
    except asyncio.TimeoutError:
        raise Transient(f"the service: expected a whole answer within {limit} s")
    except BadRequest as error:
        host.emit("error", message=f"bootstrap: {error}")
        return None


def prove(host):
    """The first success under a new configuration: it is kept. If the flash does not take that,
    the next success tries again."""
    from .configuration import prove

    settings = host.settings
    try:
        prove(settings.store)
    except (OSError, Broken) as error:
        return host.emit("error", message=f"configuration: {error}")
    settings.on_trial = False
    host.emit("configuration", state="proven", digest=settings.digest)


def drop(host):
    """Back to the configuration before, or to what the factory gave. Resets the board."""
    from .configuration import drop

    settings = host.settings
    try:
        drop(settings.store, f"nothing worked within {settings.configuration_timeout} s")
    except (OSError, Broken) as error:  # it, or the note why: the next start has its own limit
        host.emit("error", message=f"configuration: {error}")
    host.emit("configuration", state="dropped", digest=settings.digest)
    _restart(host)


def _restart(host):
    host.leaving()
    host.board.reset()
