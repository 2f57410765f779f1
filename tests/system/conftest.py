"""A development server and a simulated board for each test that asks for them."""

import pytest
from lab import Lab

from instar_tools.server.testing import DevServer


@pytest.fixture
def server(tmp_path):
    with DevServer(tmp_path / "server") as running:
        yield running


@pytest.fixture
def lab(tmp_path, server):
    return Lab(tmp_path, server)
