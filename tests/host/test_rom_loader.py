"""The simulated ESP32's serial loader, command by command: frames, registers, flash, errors."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import hashlib
import struct
import zlib
from functools import reduce
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instar_tools.simulated import rom_loader, slip
from instar_tools.simulated.board_kinds import ESP32_GENERIC, RPI_PICO_W
from instar_tools.simulated.flash_builder import write_blank
from instar_tools.simulated.loader_chip import FlashChip, Registers, crc8
from instar_tools.simulated.rom_loader import RomLoader

MIB = 1 << 20
SYNC_DATA = b"\x07\x07\x12\x20" + 32 * b"\x55"
INVALID, FAILED, CHECKSUM, WRITE = 0x05, 0x06, 0x07, 0x08
READ, READ_LENGTH, DEFLATE, ADLER, DEFLATE_PARAMETER = 0x09, 0x0A, 0x0B, 0x0C, 0x0D


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def request(op: int, body: bytes = b"", check: int = 0) -> bytes:
    return slip.encode(struct.pack("<BBHI", 0, op, len(body), check) + body)


def block(data: bytes, sequence: int) -> tuple[bytes, int]:
    """(body, checksum) of a _DATA command."""
    return words(len(data), sequence, 0, 0) + data, reduce(xor, data, 0xEF)


class Host:
    """The other end of the line. error: what the latest command ended with."""

    def __init__(self, path, size=4 * MIB):
        write_blank(path, size=size, seed=7)
        self.path = path
        self.loader = RomLoader(path, ESP32_GENERIC)
        self.error = 0

    def frames(self, data: bytes) -> list[bytes]:
        return slip.Decoder().feed(self.loader.receive(data))

    def ask(self, op: int, body: bytes = b"", check: int = 0, size: int = 0):
        """(value, `size` bytes of data) of the only answer."""
        (frame,) = self.frames(request(op, body, check))
        direction, echoed, length, value = struct.unpack_from("<BBHI", frame)
        data, status = frame[8:-4], frame[-4:]
        assert (direction, echoed, length) == (1, op, len(frame) - 8)
        assert status[2:] == b"\0\0" and status[0] == bool(status[1])
        self.error = status[1]
        assert len(data) == (0 if self.error else size)
        return value, data

    def attach(self, size: int = 4 * MIB) -> Host:
        self.ask(rom_loader.SPI_ATTACH, words(0, 0))
        self.ask(rom_loader.SPI_SET_PARAMS, words(0, size, 65536, 4096, 256, 0xFFFF))
        assert not self.error
        return self

    def begin(self, size, blocks, block_size, address, op=rom_loader.FLASH_BEGIN) -> Host:
        self.ask(op, words(size, blocks, block_size, address))
        return self

    def send(self, data, sequence, op=rom_loader.FLASH_DATA) -> int:
        self.ask(op, *block(data, sequence))
        return self.error

    def read(self, address: int, length: int) -> bytes:
        return self.ask(rom_loader.READ_FLASH, words(address, length), size=64)[1][:length]

    def md5(self, address: int, length: int) -> str:
        return self.ask(rom_loader.FLASH_MD5, words(address, length, 0, 0), size=32)[1].decode()

    def register(self, address: int) -> int:
        return self.ask(rom_loader.READ_REG, words(address))[0]

    def stored(self, address: int, length: int) -> bytes:
        return self.path.read_bytes()[address : address + length]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "board.flash")


# The line.


@given(st.lists(st.binary(min_size=1)), st.data())
def test_frames_survive_the_line_cut_anywhere(frames, data):
    line = b"".join(map(slip.encode, frames))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(line)))))
    decoder = slip.Decoder()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(line)], strict=True):
        found += decoder.feed(line[start:end])
    assert found == frames


@given(st.binary())
def test_a_frame_after_garbage_is_found(garbage):
    assert slip.Decoder().feed(garbage + slip.encode(b"\xdb frame \xc0"))[-1] == b"\xdb frame \xc0"


def test_a_frame_with_an_unknown_escape_is_left_out():
    assert slip.Decoder().feed(b"\xc0a\xdbb\xc0\xc0c\xdb\xc0\xc0good\xc0") == [b"good"]


def test_noise_without_an_end_is_not_kept():
    decoder = slip.Decoder()
    for _ in range(300):
        assert decoder.feed(b"x" * 1000) == []
    assert decoder.feed(slip.encode(b"frame"))[-1] == b"frame"
    assert len(decoder._rest) == 0


def test_what_is_no_request_gets_no_answer(host):
    for noise in (b"\xc0\xc0", b"\xc0\0\x08\xc0", slip.encode(b"\1\x0a\4\0" + bytes(8))):
        assert host.loader.receive(noise) == b""
    cut_short = request(rom_loader.FLASH_DATA, block(bytes(100), 0)[0])[:-50]
    assert host.loader.receive(cut_short) == b""
    # The next host's first frame ends it.
    assert len(host.frames(request(rom_loader.SYNC_COMMAND, SYNC_DATA))) == 8


def test_sync_is_answered_eight_times_by_no_stub(host):
    sync = request(rom_loader.SYNC_COMMAND, SYNC_DATA)
    assert sync.startswith(rom_loader.SYNC)
    # As in the example of Espressif's documentation.
    assert host.frames(sync) == 8 * [bytes.fromhex("010804000712205500000000")]
    host.ask(rom_loader.SYNC_COMMAND, SYNC_DATA[:-1])
    assert host.error == INVALID


def test_an_unknown_command_is_answered_as_esptool_knows_it(host):
    for op in (0x14, 0xD0, 0xD3):
        answers = host.frames(request(op))
        assert len(answers) == 8 and set(map(len, answers)) == {12}
        assert answers[0][1] != op and answers[0][8:] == bytes((1, INVALID, 0, 0))


def test_there_is_no_ram_to_load_into(host):
    for op in (rom_loader.MEM_BEGIN, rom_loader.MEM_DATA, rom_loader.MEM_END):
        host.ask(op, words(0, 0x40080000))
        assert host.error == FAILED


def test_a_command_of_the_wrong_length_is_invalid(host):
    host.attach()
    for op in set(rom_loader._COMMANDS) - {5, 6, 7, rom_loader.FLASH_DATA, rom_loader.DEFL_DATA}:
        host.ask(op, bytes(7))
        assert host.error == INVALID
    assert not host.loader.finished
    host.ask(rom_loader.CHANGE_BAUDRATE, words(460800, 0))
    assert not host.error


def test_a_pico_has_no_such_loader(tmp_path):
    with pytest.raises(ValueError, match="ESP32 expected, got RPI_PICO_W"):
        RomLoader(tmp_path / "board.flash", RPI_PICO_W)


# The registers.


def test_the_mac_address_has_the_crc_of_a_real_chip():
    assert crc8(bytes.fromhex("246f287ad884")) == 0x3E  # as an ESP32 of that address was read


def test_the_efuses_hold_the_mac_of_the_flash_file(host):
    mac = host.stored(0, 6)
    low, high = host.register(0x3FF5A004), host.register(0x3FF5A008)
    assert struct.pack(">II", high, low)[1:] == bytes([crc8(mac)]) + mac


def test_an_answer_has_the_value_of_the_latest_register(host):
    assert host.register(0x40001000) == 0x00F01D83
    assert host.ask(rom_loader.SPI_ATTACH, words(0, 0))[0] == 0x00F01D83


def test_registers_keep_what_the_mask_lets_through(host):
    at = 0x3FF48074
    host.ask(rom_loader.WRITE_REG, words(at, 0xFFFFFFFF, 0xFF, 0, at, 0, 0x0F, 100))
    assert host.register(at) == 0xF0
    host.ask(rom_loader.READ_REG, words(at + 1))
    assert host.error == INVALID


@pytest.mark.parametrize("mib, capacity", [(4, 0x16), (8, 0x17), (16, 0x18)])
def test_the_flash_tells_its_size(tmp_path, mib, capacity):
    path = tmp_path / "board.flash"
    write_blank(path, size=mib * MIB)
    chip = FlashChip(path, 32)
    registers = Registers(chip)

    def run(command, bits, address=0):
        for offset, value in ((0x20, 23 << 26), (0x04, address << 8), (0x24, 7 << 28 | command)):
            registers.write(0x3FF42000 + offset, value)
        registers.write(0x3FF4202C, bits - 1)
        registers.write(0x3FF42000, 1 << 18)
        assert registers.read(0x3FF42000) == 0
        return registers.read(0x3FF42080)

    assert run(0x9F, 24) == 0xFFFFFF
    chip.attached = True
    assert run(0x9F, 24) == 0x40EF | capacity << 16
    assert run(0x5A, 32) == int.from_bytes(b"SFDP", "little")
    assert run(0x5A, 8, address=0x10) == 0xFF
    assert run(0x05, 8) == 0


# The flash.


def test_a_download_erases_then_programs_in_order(host):
    host.attach().begin(2 * 4096, 8, 1024, 0x1000)
    data = [bytes([number]) * 1024 for number in range(8)]
    assert [host.send(part, number) for number, part in enumerate(data)] == 8 * [0]
    assert host.stored(0x1000, 8192) == b"".join(data)
    assert host.read(0x1000 + 1000, 50) == bytes(24) + b"\1" * 26
    assert host.md5(0x1000, 8192) == hashlib.md5(b"".join(data)).hexdigest()
    # An erase is of whole sectors, and of nothing else.
    host.begin(1, 1, 1024, 0x2000)
    assert host.stored(0x1000, 8192) == b"".join(data[:4]) + b"\xff" * 4096


def test_programming_only_clears_bits(host):
    host.attach().begin(4096, 4, 4, 0x1000)
    assert host.send(b"\xf0\xff\xff\xff", 0) == 0
    host.begin(0, 1, 4, 0x1000)
    assert host.send(b"\x0f\xff\xff\xff", 0) == WRITE
    assert host.stored(0x1000, 4) == b"\0\xff\xff\xff"


def test_the_efuses_are_none_of_the_flash(host):
    efuses = host.stored(0, 32)
    assert host.attach().read(0, 64) == b"\xff" * 64
    host.begin(4096, 1, 64, 0)
    assert host.send(b"\xff" * 32 + bytes(32), 0) == 0
    assert host.stored(0, 64) == efuses + bytes(32)
    assert host.read(16, 32) == b"\xff" * 16 + bytes(16)
    host.begin(4096, 2, 64, 0)
    assert host.send(b"\1" + bytes(63), 0) == WRITE
    assert host.stored(0, 32) == efuses


def test_a_compressed_download(host):
    data = bytes(range(256)) * 40
    packed = zlib.compress(data)
    parts = [packed[at : at + 64] for at in range(0, len(packed), 64)]
    host.attach().begin(len(data), len(parts), 64, 0x4000, rom_loader.DEFL_BEGIN)
    for number, part in enumerate(parts):
        assert host.send(part, number, rom_loader.DEFL_DATA) == 0
    assert host.stored(0x4000, len(data)) == data


@pytest.mark.parametrize(
    "packed, room, error",
    [
        (b"no zlib at all", 4096, DEFLATE),
        (zlib.compress(bytes(64))[:-1] + b"\xee", 4096, ADLER),
        (zlib.compress(bytes(4097)), 4096, DEFLATE_PARAMETER),
    ],
)
def test_a_broken_compressed_download(host, packed, room, error):
    host.attach().begin(room, 1, 1024, 0x4000, rom_loader.DEFL_BEGIN)
    assert host.send(packed, 0, rom_loader.DEFL_DATA) == error


def test_a_wrong_block_is_refused_and_may_come_again(host):
    host.attach().begin(4096, 2, 1024, 0x1000)
    body, check = block(bytes(100), 0)
    host.ask(rom_loader.FLASH_DATA, body, check ^ 1)
    assert host.error == CHECKSUM
    assert host.send(bytes(100), 1) == INVALID  # not the next
    assert host.send(bytes(1025), 0) == INVALID  # longer than was said
    host.ask(rom_loader.FLASH_DATA, words(99, 0, 0, 0) + bytes(100), check)
    assert host.error == INVALID
    host.ask(rom_loader.FLASH_DATA, bytes(15), 0)
    assert host.error == INVALID
    assert host.stored(0x1000, 100) == b"\xff" * 100
    assert [host.send(bytes(100), number) for number in range(3)] == [0, 0, INVALID]


def test_a_block_without_its_begin_is_refused(host):
    host.attach()
    assert host.send(bytes(4), 0) == FAILED
    host.begin(4096, 1, 1024, 0x1000)
    assert host.send(zlib.compress(b"x"), 0, rom_loader.DEFL_DATA) == FAILED
    host.begin(4096, 1, 1024, 4 * MIB)
    assert host.error == FAILED
    assert host.send(bytes(4), 0) == FAILED


def test_the_flash_is_out_of_reach_until_it_is_attached(host):
    host.begin(4096, 1, 1024, 0x1000)
    assert host.error == FAILED
    host.read(0x1000, 4)
    assert host.error == READ
    host.md5(0x1000, 4)
    assert host.error == READ
    host.begin(0, 0, 1024, 0)  # erases nothing: how a host leaves the loader
    assert not host.error


def test_beyond_the_end_of_the_flash(host):
    host.ask(rom_loader.SPI_ATTACH, words(0, 0))
    host.read(2 * MIB - 4, 4)
    assert not host.error
    host.read(2 * MIB - 3, 4)  # the ROM's own idea of a size
    assert host.error == READ
    host.attach(8 * MIB)  # nor does it grow by being told so
    host.md5(0, 4 * MIB)
    assert not host.error
    host.md5(4, 4 * MIB)
    assert host.error == READ
    host.begin(4096 + 1, 5, 1024, 4 * MIB - 4096)
    assert host.error == FAILED
    host.begin(4096, 8, 1024, 4 * MIB - 4096)
    assert [host.send(bytes(1024), number) for number in range(5)] == [0, 0, 0, 0, WRITE]
    host.ask(rom_loader.READ_FLASH, words(0, 65))
    assert host.error == READ_LENGTH


@pytest.mark.parametrize("op", [rom_loader.FLASH_END, rom_loader.DEFL_END])
@pytest.mark.parametrize("stay", [0, 1])
def test_an_end_leaves_the_loader(host, op, stay):
    end, after = request(op, words(stay)), request(rom_loader.READ_REG, words(0x40001000))
    assert len(host.frames(end + after)) == 1
    assert host.loader.finished and host.loader.receive(after) == b""
