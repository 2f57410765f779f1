"""The whole job on one machine: `make demo` runs this.

A development server and two simulated ESP32, flashed with release-1.

The first knows nothing but a URL and two keys. It fetches its configuration from the Bootstrap
service, encrypted, over plain HTTP; from then on it speaks TLS to the servers named there. It asks
to be accepted, reports its inventory, publishes its measurements, takes release-2 into its other
slot, reboots into it, proves itself and commits. release-3 crashes at its start: the boot loader
goes back, and the board reports the failure with its log.

The second is a device of a Murano product. It activates itself and keeps its token, records its
measurements, does what an operator writes to a resource, and installs release-4, which is offered
through another one.

The last tables hold what board and server say against each other. Exits 0 only if they agree, the
running slots' bytes hash to the payloads' checksums, and the server received exactly what is
expected.
"""

from __future__ import annotations

import shutil
import sys
import time

import first_board
import second_board
from desk import WORK, console, say, summary

from instar_tools.server.testing import DevServer


def main() -> int:
    began = time.monotonic()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    with DevServer(WORK / "server", bootstrap_key=first_board.CRYPTO_KEY) as server:
        say("server", f"{server.url}, artifacts at {server.storage_url}")
        first, rows = first_board.play(server)
        more = second_board.play(server)
    agreed = summary("Mender and Magistrala: what board and server say", rows)
    agreed = summary("Murano: what board and product say", more) and agreed
    console.print(first.memory())
    console.print(f"{'done' if agreed else 'NOT as expected'} in {time.monotonic() - began:.0f} s")
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
