# Puts a board's agent together: its settings, its board module, its payload types.
#
#   agent = make_agent(Board, on_event=print)
#
# Needed once at the start: the firmware unloads this module again.
# SPDX-License-Identifier: MIT

from .agent import Agent
from .installers import INSTALLERS
from .settings import Settings
from .store import Store


def make_agent(board_class, on_event):
    """board_class: Board of the module `board` (docs/porting.md). Raises Rejected for settings
    that are wrong."""
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
