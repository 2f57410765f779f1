# How long the agent's host feeds the watchdog without a sign of progress. That it ends at all is
# in test_agent.py.
import asyncio

from instar.host import Host


class Board:
    def __init__(self):
        self.fed = 0

    def feed(self):
        self.fed += 1

    async def connect(self):
        pass

    def set_clock(self, seconds):
        pass


class Settings:
    ntp_host = murano_url = ""
    ntp_port = 123
    murano_time = False

    def __init__(self, http_timeout):
        self.http_timeout = http_timeout


def silent_for(seconds, http_timeout):
    """A host that made progress so long ago."""
    host = Host(Settings(http_timeout), Board(), None)
    host._beat -= seconds * 1000
    return host


def test_no_server_that_keeps_within_the_settings_is_taken_for_a_hang():
    # Connected (15 s) and shaken hands (30 s), then four answers, each just in time.
    for http_timeout in (1, 30, 120):
        host = silent_for(15 + 30 + 4 * http_timeout, http_timeout)
        host.feed()
        assert host.board.fed == 1
        host = silent_for(90 + 4 * http_timeout, http_timeout)
        host.feed()
        assert host.board.fed == 0


def test_who_has_joined_the_network_has_made_progress():
    host = silent_for(3600, 30)
    asyncio.run(host.online())
    host.feed()
    assert host.board.fed == 2
