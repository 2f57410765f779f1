"""The development server behind ``instar serve``: for tests and the desk, not for production.

    app.py          puts the parts together: listening, TLS, the order of a request's way
    state.py        SQLite: devices, their keys, their inventory
    releases.py     SQLite: the uploaded Artifacts
    rollouts.py     SQLite: deployments, what each device reported
    authreq.py      Mender's auth requests: keys, signatures, the tokens given out
    mender.py       Mender's device API
    management.py   the management API that Mender has, and /api/dev/ that only this one has
    magistrala.py   Magistrala's Bootstrap service, the device's side; beside it its versions
                    (_families), the operator's side (_manage, _fields), the crypto key (_keys),
                    publishing over HTTP (_messages) and their SQLite (_state)
    murano.py       Murano's device API, one product; beside it what it is made of: who a device
                    is (_access), values, long polls and records (_data), files (_content), the
                    form encoding (_form), the product's settings and quirks (_product), all
                    products (_products), the operator's side (_manage, and _client for Python)
                    and their SQLite (_state, _resources, _files)
    storage.py      the Artifacts' own host: pre-signed URLs, Range
    answers.py      errors as Mender's services word them
    recorder.py     every request, for tests to assert on
    faults.py       misbehaviour on demand
    pki.py  sntp.py certificates; the time
    client.py       the management side, called from the command line and from tests
    testing.py      the whole server in a thread

A further protocol is one more module with a ``routes(server)`` and, for state of its own, one
more over `state.Database`.
"""
# SPDX-License-Identifier: MIT
