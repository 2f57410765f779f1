# Updates from Murano: the offer in the resource `config_otau`, how far it is in `otau_in`, and the
# inventory in `inventory`. The schema is that of ExoSense's OTA updates.
#
#   server = MuranoUpdates(murano, settings)               # used as servers.mender.Mender is
#   deployment = await server.next_deployment(provides)    # None: nothing to do
#   server.renewed()                                       # somebody wrote the offer again
#
# An offer is carried out once: the store keeps which one was dealt with, and how it ended. One
# that failed is taken up again when another text or another content is offered, or when renewed()
# says so. One that succeeded is forgotten as soon as its version was seen to run: if another one
# runs later (the board was flashed by hand), it is installed again. If its version was never seen
# to run, it is not: else it would be installed for ever. Murano is told what runs, never what
# should; an Artifact with another name than its offer's version is refused (intake.py).
# A deployment's id has all that a later start needs of it: `<16 hex digits of the offer><8 of its
# content>:<version>`.
# Limits: one offer at a time. What is written to an alias that the product does not define is
# lost without an error: then nobody sees how far an update is.
# SPDX-License-Identifier: MIT

import hashlib

from micropython import const

from ... import memory
from ...errors import Aborted, Broken, Rejected, Transient
from ...http.response import TooLarge

TOO_LONG = "(too long)"  # in place of an offer that no answer can hold
RESOURCE = "config_otau"
_STATUS = "otau_in"
_INVENTORY = "inventory"
_RECORD = "murano-offer"
_DONE = "+"
_FAILED = "-"
_DIGITS = const(16)
_MAX_MESSAGE = const(1024)  # bytes
_MESSAGES = {"rebooting": "the board restarts", "installing": "the new software runs"}


class Deployment:
    """What to install, from the content (id) of the product or from an https URL (uri).

    total: bytes, or None until a URL was opened. info: the content's, as it was when it was
    offered. image, sha256, named: see intake.py.
    """

    def __init__(self, version, content, uri, total, image, sha256):
        self.id = ""
        self.artifact_name = self.named = version
        self.content = content
        self.uri = uri
        self.total = total
        self.image = image
        self.sha256 = sha256
        self.info = None


class MuranoUpdates:
    """The update server of a board at Murano.

    murano: Murano; settings: Settings with its store. The methods raise what Murano's raise. Where
    an offer has a URL, no credential of Murano's goes there.
    """

    def __init__(self, murano, settings):
        self._murano = murano
        self._settings = settings
        self._stream = None
        self._known = False  # Murano has accepted this board's credentials in this start
        self._installed = None  # the version that Murano was told last
        self._downloading = False

    async def authorise(self, fresh=False):
        """Murano accepts this board: asked once in a start, and again if `fresh`."""
        if fresh or not self._known:
            self._known = False
            await self._offer()
            self._known = True

    async def report_inventory(self, attributes):
        """Write them as JSON (None is left out), and what is installed: once in a start, and when
        that is another."""
        known = {name: attributes[name] for name in attributes if attributes[name] is not None}
        values = [(_INVENTORY, known)]
        version = known.get("artifact_name")
        if version and version != self._installed:
            values.append((_STATUS, _status(version, "INSTALLED_VERSION")))
        await self._murano.write(values)
        self._installed = version

    async def next_deployment(self, provides):
        """The Deployment that is offered, or None: there is no offer, or it was dealt with, or it
        is what runs, or it cannot be carried out (Murano is told why, once)."""
        text = await self._offer()
        if not text:
            return self._forgive()  # whoever withdraws an offer may make it again
        key = digest(text)
        dealt = self._dealt()
        running = provides.get("artifact_name")
        if dealt.startswith(_DONE + key):
            if running == _version(dealt):
                self._settings.store.delete(_RECORD)
            return await self._tell_installed(running)
        try:
            deployment = await self._taken_up(text, key, running)
        finally:
            memory.forget("instar.servers.murano.offer")
        # What failed is asked for again only if its content is another one by now.
        if not deployment or dealt == _FAILED + deployment.id:
            memory.forget("instar.servers.murano.content")
            return None
        if deployment.artifact_name == running:
            return await self._tell_installed(running)
        await self._tell(deployment.id, "INIT")
        self._downloading = True
        return deployment

    async def _taken_up(self, text, key, running):
        from . import offer

        try:
            deployment = offer.read(text, self._settings.device_type)
            if deployment.artifact_name != running:
                await offer.look_up(deployment, self._murano, key)
            return deployment
        except Rejected as error:
            id, why = f"{key}:{offer.version(text)}", str(error)
        if self._dealt() == _FAILED + id:
            return None
        await self._tell(id, "TEST_ERROR", why)
        self._deal(_FAILED, id)

    def renewed(self):
        """The offer was written again, by somebody who wants it carried out: it is taken up though
        it failed. Not to be called for an offer that was only read again, as at a start."""
        self._installed = None
        self._forgive()

    def _forgive(self):
        if self._dealt().startswith(_FAILED):
            self._settings.store.delete(_RECORD)

    async def open(self, deployment, offset=0, end=None):
        """The bytes from `offset` on, with `end` only those before that, as an async iterable of
        views with .offset, .total and close(). Opening closes the one before. Rejected: the
        content is no longer what it was."""
        if self._stream:
            await self._stream.close()
            self._stream = None
        if deployment.uri:
            from ...http.download import open_range

            client = self._murano.client
            stream = await open_range(client, deployment.uri, offset, deployment.total, end)
            deployment.total = stream.total
        else:
            stream = await self._murano.download(
                deployment.content, offset, deployment.info, end and end - 1
            )
        self._stream = stream
        return stream

    async def renew(self, deployment, provides):
        """An offer's URL is what it is. Raises Aborted if the offer is gone or is another."""
        await self._step(deployment.id, "DOWNLOAD", None)

    async def report(self, id, status, substate=None):
        """Tell how far the deployment is. Raises Aborted if its offer is gone or is another."""
        if self._stream and status != "downloading":
            self._stream = None
            memory.forget("instar.servers.murano.content")  # the download is over
        if status == "success":
            self._deal(_DONE, id)
            await self._tell(id, "INSTALL_SUCCESS", substate)
            await self._tell_installed(_version(id))
        elif status == "failure":
            self._deal(_FAILED, id)
            await self._tell(id, self._error(), substate)
        elif status == "downloading":
            await self._step(id, "DOWNLOAD", substate)
        elif status == "installing" and self._downloading:
            self._downloading = False
            await self._tell(id, "DOWNLOAD_SUCCESS")
            await self._step(id, "INSTALL", substate)
        else:
            await self._step(id, "INSTALL_STEP", substate or _MESSAGES.get(status))

    async def send_log(self, id, entries):
        """Tell the text of the newest error of [(time, level, text), ...] with the status that
        the failure had."""
        for _, level, text in reversed(entries):
            if level == "error":
                return await self._tell(id, self._error(), text)

    def _error(self):
        return "DOWNLOAD_ERROR" if self._downloading else "INSTALL_ERROR"

    async def _offer(self, values=None):
        try:
            if values:
                found = await self._murano.read_write(values, RESOURCE)
            else:
                found = await self._murano.read(RESOURCE)
        except TooLarge:
            return TOO_LONG
        return found.get(RESOURCE)

    async def _tell(self, id, status, message=None):
        await self._murano.write({_STATUS: _status(_version(id), status, message)})

    async def _tell_installed(self, version):
        if self._installed != version:
            await self._murano.write({_STATUS: _status(version, "INSTALLED_VERSION")})
            self._installed = version

    async def _step(self, id, status, message):
        # One request for both: a step costs no more than on a server that answers 409.
        text = await self._offer({_STATUS: _status(_version(id), status, message)})
        if text and id.startswith(digest(text)):
            return
        why = "the offer was replaced" if text else "the offer was withdrawn"
        self._deal(_FAILED, id)
        try:
            await self._tell(id, "INSTALL_ABORTED", why)
        except (Transient, Rejected) as error:
            why += f"; Murano could not be told: {error}"
        raise Aborted(why)

    def _deal(self, verdict, id):
        # Before Murano is told: one that does not take the status gets no second update for it.
        self._settings.store.put(_RECORD, (verdict + id).encode())

    def _dealt(self):
        try:
            return (self._settings.store.get(_RECORD) or b"").decode()
        except Broken:
            return ""  # the offer is carried out once more at most: that writes the record again


def digest(text):
    """16 hex digits that tell this text from others."""
    return hashlib.sha256(text.encode()).digest().hex()[:_DIGITS]


def _version(id):
    return id.partition(":")[2]


def _status(version, status, message=None):
    # The end of what is too long: the last line of a trace says most. No character is cut.
    data = (message or "").encode()[-_MAX_MESSAGE:]
    start = 0
    while data[start : start + 1] and data[start] & 0xC0 == 0x80:
        start += 1
    return {"version": version, "status": status, "message": data[start:].decode()}
