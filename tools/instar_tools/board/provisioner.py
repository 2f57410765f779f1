# What `instar provision --port` runs on a board, in its raw REPL, beside board/hands.py; of that,
# provision.py uses what looks for files on a desk.
# SPDX-License-Identifier: MIT
import binascii
import os
import re

_STATE = "/.instar"
_CONFIGURATION = "config"  # so begin the names of its records


def exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def configuration():
    """The paths of what bootstrap brought: it would lie over the settings."""
    names = os.listdir(_STATE) if exists(_STATE) else []
    return [_STATE + "/" + name for name in names if name.startswith(_CONFIGURATION)]


def left_over(made, stay):
    """The paths of an earlier provisioning's files that this one does not write."""
    found = ["/" + name for name in os.listdir("/") if re.match(made, name)]
    return [path for path in found if path not in stay]


def put_in_place(paths, new):
    """Give the files their names, one step after the other; each ends in `new` so far."""
    for path in paths:
        os.rename(path + new, path)


def remove(paths):
    for path in paths:
        os.remove(path)


def state_folder():
    if not exists(_STATE):
        os.mkdir(_STATE)


def mac():
    """As the board's own module gives it, which may not be there yet."""
    import network
    from hands import feed

    station = network.WLAN(network.STA_IF)
    station.active(True)  # a Pico W's is zeros until then
    feed()
    return binascii.hexlify(station.config("mac"), ":").decode()


def make_key():
    """A new identity key in the store; returns its public half as PEM. Some seconds."""
    from instar.crypto import keys
    from instar.store import Store

    key = _drive(keys.generate(os.urandom))
    store = Store(_STATE)
    store.put("identity-key", key.to_der())
    if store.get("identity-key") != key.to_der():
        raise OSError("the flash does not hold the key that was written to it")
    return _drive(key.public_pem())


def public_half():
    """Of the identity key in the store, as PEM. Some seconds."""
    from instar.crypto import keys
    from instar.store import Store

    return _drive(keys.load(Store(_STATE).get("identity-key")).public_pem())


def _drive(steps):
    from hands import feed

    while True:
        feed()
        try:
            next(steps)
        except StopIteration as done:
            return done.value
