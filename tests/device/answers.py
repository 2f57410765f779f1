# Answers of the Bootstrap service, and a board with a factory's file, for tests of configurations.
import hashlib
import json
import os

from instar.settings import Settings
from instar.store import Store

FACTORY = {
    "bootstrap_url": "https://boot.example:9013",
    "external_id": "09:06:00:aa",
    "external_key": "factory-external-key",
    "mender_url": "https://factory.example",
    "device_type": "lamp",
}
FOLDER = "tests/vectors/magistrala-certs/"


def pem(name):
    with open(FOLDER + name) as file:
        return file.read()


class Answer:
    """As servers/magistrala/bootstrap.py makes it: any of its attributes may be given."""

    def __init__(self, content=None, digest=None, **given):
        self.client_id = self.secret = self.ca_cert = self.client_cert = self.client_key = ""
        self.channels = []
        self.content = content
        for name, value in given.items():
            setattr(self, name, value)
        if digest is None:
            told = repr((content, sorted(given.items())))
            digest = hashlib.sha256(told.encode()).digest().hex()
        self.digest = digest


def new_folder():
    return "/tmp/instar-configuration-" + os.urandom(6).hex()


class Board:
    """A store and a factory's file in a new folder (which is not removed), or in `root`."""

    def __init__(self, root=None, **factory):
        self.root = root or new_folder()
        os.mkdir(self.root)
        self.path = self.root + "/instar.json"
        self.provision(**factory)

    def provision(self, **factory):
        values = dict(FACTORY)
        values.update(factory)
        with open(self.path, "w") as file:
            json.dump(values, file)

    @property
    def store(self):
        return Store(self.root + "/state")

    def start(self):
        """The settings as at the next start."""
        return Settings.load(self.path, self.store)

    def records(self):
        return {name: self.store.get(name) for name in self.store.names()}
