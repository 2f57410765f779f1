# A board that asks a scripted Bootstrap service, for the tests of instar.servers.magistrala.
import json

from scripted import Server

from instar.servers.magistrala.bootstrap import bootstrap

VECTORS = "tests/vectors/magistrala/"
ID = "02:00:00:aa:bb:01"
KEY = "6a1b4c6e-9f1e-4d0c-9c1d-5f2e8a7b3c4d"
CRYPTO_KEY = "12345678910111213141516171819202"  # the services' default
IV = bytes(range(16))
MINIMAL = '{"client_id":"id1","client_secret":"s1","channels":null}'


class Settings:
    mender_url = murano_url = magistrala_url = ""
    bootstrap_profile = "clients"
    bootstrap_plain_http = True
    external_key = KEY
    crypto_key = ""
    http_timeout = 5
    max_connections = 1

    def __init__(self, url="http://127.0.0.1:1", **values):
        self.bootstrap_url = url
        for name, value in values.items():
            setattr(self, name, value)

    def ca_certificates(self):
        return []

    def client_certificate(self):
        return None, None


def fixed_iv(count):
    assert count == len(IV)
    return IV


async def ask(*answers, path="", external_id=ID, **values):
    """(Answer or the exception, requests) of one bootstrap() that meets these answers in order,
    each on a connection of its own. No key that the board has is in an error's text."""
    async with Server(*[[answer] for answer in answers]) as server:
        settings = Settings(server.url + path, **values)
        try:
            result = await bootstrap(settings, external_id, random=fixed_iv)
        except Exception as error:
            result = error
            for secret in (settings.external_key, settings.crypto_key):
                assert len(secret) < 8 or secret not in str(error), str(error)
    return result, server.requests


async def refused(kind, words, *answers, **values):
    """bootstrap() raises exactly this kind of error, with these words; returns its text."""
    result, _ = await ask(*answers, **values)
    assert type(result) is kind, repr(result)
    assert words in str(result), str(result)
    return str(result)


def lines(request):
    """A request's lines, sorted: the order of headers is no matter."""
    return sorted(request.split(b"\r\n"))


def vectors(name):
    with open(VECTORS + name) as file:
        return [json.loads(line) for line in file if line.strip()]
