# The parts of an agent that only some boards have, and what a board does that lacks one.
#
#   join(agent)                  # what the settings ask for, and nothing else, is imported
#   make_publisher(agent)
#   go_without(agent)            # no server gives updates: what is to be done in a turn instead
# SPDX-License-Identifier: MIT

from .errors import Rejected


def join(agent):
    """Make the update server's module and the bootstrapper, where they are configured."""
    settings = agent.settings
    if settings.mender_url and not agent._server:
        from .servers.mender import Mender

        identity = settings.identity or agent.board.identity()
        agent._server = Mender(settings, identity, agent.client(), feed=agent.beat)
    if settings.bootstrap_url:
        from .bootstrap import Bootstrapper

        agent._bootstrapper = Bootstrapper(agent)
    if settings.magistrala_url and settings.store.names("out-"):  # of an earlier start
        make_publisher(agent)


def make_publisher(agent):
    """Import what publishing needs."""
    from .publisher import Publisher

    agent.publisher = Publisher(agent)


def go_without(agent):
    """A board that only publishes. A configuration on trial needs a proof: as nothing else asks a
    server, a message of the agent's own has to be taken. Raises Rejected where nothing is
    configured."""
    settings = agent.settings
    if not settings.magistrala_url:
        raise Rejected("settings: expected mender_url, magistrala_url or bootstrap_url")
    if settings.on_trial and not (agent.publisher and agent.publisher.waiting):
        agent.publish("configuration", settings.digest[:12])
