"""Power cuts at every flash operation of an update, and who checks what comes of them.

    PYTHONPATH=tests/system .venv/bin/python -m powercut --seconds 1100

scenarios.py says what is updated, world.py has the board and its server, trace.py records one run
and builds every state in which a power cut can leave the flash, thinning.py which of those are too
much alike, sweep.py starts the board from each of the rest, evidence.py says what it owes then,
oracle.py judges, failed.py keeps what was bad, mutants.py are bugs that this must find, table.py
shows it all.
"""
