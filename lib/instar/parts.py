# Puts a board's agent together, and knows the parts that only some boards have.
#
#   agent = make_agent(Board, on_event=print)
#   join(agent)                  # what the settings ask for, and nothing else, is imported
#   make_publisher(agent)
#   go_without(agent)            # no server gives updates: what is to be done in a turn instead
#
# In the heap only while it is used.
# SPDX-License-Identifier: MIT

import io
import sys

from . import __version__
from .errors import Rejected


def make_agent(board_class, on_event):
    """board_class: Board of the module `board` (docs/porting.md). Raises Rejected for settings
    that are wrong."""
    from .agent import Agent
    from .installers import INSTALLERS
    from .settings import Settings
    from .store import Store

    settings = Settings.load(board_class.settings_path, Store(board_class.state_dir))
    board = board_class(settings.wifi_ssid, settings.wifi_password)
    if settings.watchdog:
        board.watchdog(settings.watchdog * 1000)
    own, error = _own_payload_types()
    installers = dict(INSTALLERS)
    installers.update(own)
    agent = Agent(settings, board, installers=installers, on_event=on_event)
    if error:
        agent.crashed(error)
    return agent


def _own_payload_types():
    """(payload type -> installer, what went wrong or None): known before the agent takes up an
    update, so in a module of their own, which the application needs not have."""
    try:
        import payloads  # pyright: ignore[reportMissingImports]

        return dict(payloads.INSTALLERS), None
    except (Exception, SystemExit) as error:
        missing = isinstance(error, ImportError) and str(error) == "no module named 'payloads'"
        return {}, None if missing else error


def join(agent):
    """Make the servers' modules and the bootstrapper, as far as they are configured. Raises
    Rejected where this instar comes without one of them."""
    settings = agent.settings
    identity = settings.identity or agent.board.identity()
    if settings.murano_url:
        _join_murano(agent, settings.murano_identity or identity.get("mac", ""))
    if settings.update_server == "mender" and not agent._server:
        try:
            from .servers.mender import Mender
        except ImportError:
            raise _without("mender_url", "Mender")

        agent._server = Mender(settings, identity, agent.client(), feed=agent.beat)
    if settings.bootstrap_url:
        from .bootstrap import Bootstrapper

        agent._bootstrapper = Bootstrapper(agent)
    if settings.magistrala_url and settings.store.names("out-"):  # of an earlier start
        make_publisher(agent)


def _join_murano(agent, identity):
    settings = agent.settings
    try:
        from .joining import Joining
        from .servers.murano import Murano
    except ImportError:
        raise _without("murano_url", "Murano")

    agent.online = Joining(agent).online
    agent.murano = Murano(settings, identity, agent.client(), online=agent.online, feed=agent.feed)
    if settings.murano_time:
        agent.ask_time = agent.murano.timestamp
    if settings.update_server == "murano" and not agent._server:
        from .servers.murano.updates import RESOURCE, MuranoUpdates

        agent._server = MuranoUpdates(agent.murano, settings)
        agent.watch(RESOURCE, agent._offered)
    if settings.store.names("rec-"):  # of an earlier start
        make_recorder(agent)


def _without(asked, part):
    return Rejected(f"{asked}: expected instar with its {part} part, got one without")


def make_publisher(agent):
    """Import what publishing needs. Raises Rejected where this instar comes without."""
    try:
        from .publisher import Publisher
    except ImportError:
        raise _without("publish", "Magistrala")

    agent.publisher = Publisher(agent)


def make_recorder(agent):
    """Import what recording needs. Raises Rejected where Murano is not configured."""
    settings = agent.settings
    if settings.configured or not settings.bootstrap_url:  # else a product may come yet
        _need_murano(agent, "record")
    try:
        from .recorder import Recorder
    except ImportError:
        raise _without("record", "Murano")

    agent.recorder = Recorder(agent)


def make_watcher(agent):
    """Import what watching needs. Raises Rejected where Murano is not configured."""
    _need_murano(agent, "watch")
    from .watcher import Watcher

    agent._watcher = Watcher(agent)


def _need_murano(agent, what):
    if not agent.murano:
        raise Rejected(f"{what}: expected a setting murano_url, got none")


def go_without(agent):
    """A board that only publishes. A configuration on trial needs a proof: as nothing else asks a
    server, a message of the agent's own has to be taken. Raises Rejected where nothing is
    configured."""
    settings = agent.settings
    if not settings.magistrala_url:
        names = "mender_url, murano_url, magistrala_url or bootstrap_url"
        raise Rejected(f"settings: expected {names}")
    if settings.on_trial and not (agent.publisher and agent.publisher.waiting):
        agent.publish("configuration", settings.digest[:12])


def rebootstrap(agent):
    """See Agent.rebootstrap()."""
    if not agent._bootstrapper:
        raise Rejected("rebootstrap: expected a setting bootstrap_url, got none")
    agent._bootstrapper.ask()
    agent.poll_now()


def crashed(agent, error):
    """See Agent.crashed()."""
    text = io.StringIO()
    sys.print_exception(error, text)  # pyright: ignore[reportArgumentType]
    trace = text.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    agent._updater.crashed(f"application: {trace}")
    if agent._updater.unproven:
        agent.leaving()
        agent.board.reset()


async def report_inventory(agent):
    """Tell the server what this board is, and what the application adds."""
    settings = agent.settings
    attributes = {
        "instar_version": __version__,
        "configuration": settings.digest[:12] or None,
        "configuration_problem": settings.problem,
    }
    for more in (agent.board.inventory(), agent.inventory, agent._updater.provides()):
        attributes.update(more)
    try:
        await agent._server.report_inventory(attributes)
        agent.emit("inventory")
    except Rejected as error:
        # A value that no server takes must not keep a mended application away.
        agent.emit("error", message=str(error))
