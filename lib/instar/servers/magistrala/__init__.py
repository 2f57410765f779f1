# Magistrala (once Mainflux): what differs between its families of versions.
#
#   path, words, hexadecimal = profile(settings)    # by settings.bootstrap_profile
#   header = scheme(settings) + " " + secret        # "Client ...", or "Thing ..." before 0.16
#
# The versions: "clients" 0.16 and later (also the short answers of 0.30), "things" 0.14 and 0.15,
# "mainflux" 0.8 to 0.13. bootstrap.py fetches a configuration, messages.py publishes.
# SPDX-License-Identifier: MIT

from ...errors import Rejected

# name: (path, the words before the key in the order to try, whether crypto_key is hexadecimal).
# Mainflux up to 0.12 takes the key alone: the empty word.
_PROFILES = {
    "clients": ("/clients/bootstrap", ("Client",), False),
    "things": ("/things/bootstrap", ("Thing",), False),
    "mainflux": ("/things/bootstrap", ("Thing", ""), True),
}


class BadRequest(Rejected):
    """This request cannot succeed, however often it is sent: the board's settings are wrong."""


def profile(settings):
    """(path of the Bootstrap service, scheme words, whether crypto_key is hexadecimal)."""
    return _PROFILES[settings.bootstrap_profile]


def scheme(settings):
    """The word before a secret in an Authorization header; a space belongs between them."""
    return profile(settings)[1][0]
