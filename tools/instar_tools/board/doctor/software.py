# `instar doctor` on the board: which instar would run, and whether another one lies about that
# could be taken instead.
#
#   look()
#
# Limits: looks where instar is ever put, not everywhere.
# SPDX-License-Identifier: MIT
import os
import sys


def look_there(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def look():
    found = {"path": sys.path, "version": None, "file": "", "board": None}
    found["copies"] = [
        place
        for place in ("", "/lib", "/a", "/b", "/guard", "/rom")
        if look_there(place + "/instar")
    ]
    found["programs"] = [name for name in ("/boot.py", "/main.py") if look_there(name)]
    try:
        import instar

        found["version"] = instar.__version__
        found["file"] = instar.__file__
        from board import Board

        found["board"] = Board.name
    except Exception as error:  # a slot with a file too few or damaged: that is what is looked for
        found["problem"] = repr(error)
    return found
