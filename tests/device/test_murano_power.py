# The power fails before, during and after every operation of the flash while a board is
# provisioned or gets other credentials, and the server goes on. At the next start the board
# authenticates; or the token that the server gave out is lost, and the error says so, and what an
# operator has to do.
import asyncio
import os

from littlefs import Disk, Ended
from murano_board import Board, Service
from test_files_power import each_cut

from instar import memory
from instar.crypto.pem import from_pem
from instar.errors import Transient, Unauthorised
from instar.store import Store

URL = "https://murano.example"
OLD = "old-" * 10
LOST = (
    "identity 12345678 was activated on murano.example by this board, whose answer was lost"
    " (power or link): an operator has to reset the identity there, then this board activates"
    " itself"
)


class Powered:
    """A board on a LittleFS that may lose its power, and the server that does not."""

    def __init__(self, record=None, secret=None, **values):
        memory.forget = lambda package: None  # importing anew for each cut takes seconds
        self.disk = Disk(sectors=16)
        self.values = values
        self.secret = secret
        self.service = None
        Board(URL, record, store=Store("/store"))
        self.image = self.disk.image()

    def start(self):
        """Murano as after a start of the board."""
        self.service.lose = 0
        murano = Board(URL, store=Store("/store"), client=self.service, **self.values).murano
        murano.random = os.urandom  # another password each time
        return murano

    def cuts(self, step):
        """`step` at a new server, with every cut there is."""

        def action():
            self.service = Service(self.secret)
            # A file that is closed without power raises an OSError in place of Ended. A board that
            # really lost its power does not live to see it.
            try:
                run(step(self.start()))
            except OSError:
                if not self.disk._chip.off:
                    raise
            if self.disk._chip.off:
                raise Ended("no power")

        return each_cut(self.disk, self.image, action)


def run(coroutine):
    asyncio.new_event_loop()  # the one before ended in the middle
    return asyncio.run(coroutine)


def write(murano):
    return murano.write({"a": 1})


def works(board):
    run(write(board.start()))


def recovers(board):
    """Whether the next start writes by itself; else it says what to do, and that helps."""
    try:
        works(board)
    except Unauthorised as error:
        assert str(error) == LOST, str(error)
    else:
        works(board)
        return True
    # It stays so, however often the board starts, until the operator has done it.
    assert board.service.secret
    try:
        works(board)
        raise AssertionError("it works by itself?")
    except Unauthorised as error:
        assert str(error) == LOST
    board.service.reset()
    works(board)
    works(board)
    return False


def sweep(board, step):
    """How often it came back by itself, and how often it was the operator's."""
    seen = [0, 0]
    for _ in board.cuts(step):
        seen[not recovers(board)] += 1
    return seen


def test_the_first_activation():
    board = Powered()
    with board.disk:
        by_itself, by_operator = sweep(board, write)
        # Lost only between the answer and the end of its storing.
        assert by_itself > by_operator > 0, (by_itself, by_operator)


def test_the_first_activation_is_cut_twice():
    board = Powered()
    with board.disk:
        images = []
        for _ in board.cuts(write):
            images.append((board.disk.image(), board.service.secret))
        for board.image, board.secret in images:
            for _ in board.cuts(tolerant(write)):
                recovers(board)


def tolerant(step):
    # An operator is waited for, or nothing was left to be cut.
    async def act(murano):
        try:
            await step(murano)
        except Unauthorised:
            pass
        murano.settings.store.put("last", b"so that there is always an operation to cut")

    return act


def test_a_new_token_after_the_operators_reset():
    # The server knows no token, the board has its old one.
    board = Powered({"token": OLD})
    with board.disk:
        by_itself, by_operator = sweep(board, write)
        assert by_itself > by_operator > 0


def test_a_renewal_that_is_refused_never_loses_the_token():
    board = Powered({"token": OLD}, "another's")
    with board.disk:
        for _ in board.cuts(tolerant(write)):
            board.service.secret = OLD  # a glitch: it was good all the time
            works(board)


def test_reprovisioning_a_token():
    board = Powered({"token": OLD}, OLD)
    with board.disk:
        by_itself, by_operator = sweep(board, lambda murano: murano.reprovision())
        assert by_itself > by_operator > 0


def test_a_first_password_is_never_lost():
    board = Powered(murano_auth="password")
    with board.disk:
        assert sweep(board, write)[1] == 0


def test_another_password_is_never_lost():
    board = Powered({"password": OLD}, OLD, murano_auth="password")
    with board.disk:
        assert sweep(board, lambda murano: murano.reprovision())[1] == 0


async def two_passwords(murano):
    murano.client.lose = 1
    try:
        await murano.reprovision()
    except Transient:
        await murano.reprovision(password="another-one-of-these")


def test_another_password_whose_answer_is_lost_and_another():
    board = Powered({"password": OLD}, OLD, murano_auth="password")
    with board.disk:
        assert sweep(board, two_passwords)[1] == 0


class CertifiedBoard(Powered):
    """Its settings have the factory's certificate."""

    def start(self):
        factory = self.secret, b"its key"
        self.service.present(*factory)
        murano = Powered.start(self)
        murano.settings.client_certificate = lambda: factory
        return murano


def test_another_certificate_is_never_lost():
    pem, key = (read(name) for name in ("client.pem", "client-key.pem"))
    key = from_pem(key)[0][1]

    async def change(murano):
        await murano.reprovision(certificate=pem.decode(), key=key)

    async def lose_and_change(murano):
        murano.client.lose = 1
        try:
            await change(murano)
        except Transient:
            await change(murano)

    board = CertifiedBoard(secret=b"the old one", murano_auth="certificate")
    with board.disk:
        for act in (change, lose_and_change):
            assert sweep(board, act)[1] == 0


def read(name):
    with open("tests/vectors/magistrala-certs/" + name, "rb") as file:
        return file.read()
