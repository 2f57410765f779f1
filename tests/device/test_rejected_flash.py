# A firmware image writes to the slot that does not run and, when it is installed, to otadata; when
# it is rejected, to that slot at most. The reader and the firmware installer on a simulated ESP32,
# whose whole flash file, beside these two, is compared.
# SPDX-License-Identifier: MIT
import asyncio

import esp_chip
from artifact_build import (
    artifact,
    chunks,
    digest,
    encoded,
    gzip,
    header_tar,
    manifest_of,
    members_of,
    tar,
)
from esp_chip import SLOT, Chip, entry, image

from instar.artifact.reader import Reader
from instar.errors import InstarError, Rejected
from instar.installers.firmware import Firmware

OTADATA = esp_chip.ROWS[0][2]
OTHER = esp_chip.ROWS[2][2]  # where the slot lies that does not run
V1 = image(b"v1" * 3000)
OLD = image(b"old" * 5000)  # what the other slot holds before
V2 = image(bytes((at * at >> 3) & 0xFF for at in range(20000)))
FILES = (("v2.bin", V2),)
INFO = {
    "payloads": [{"type": "rootfs-image"}],
    "artifact_provides": {"artifact_name": "v2"},
    "artifact_depends": {"device_type": ["esp32"]},
}
TYPE_INFO = {"type": "rootfs-image"}
HEADER = {"info": INFO, "type_info": TYPE_INFO}
PROVIDES = {"device_type": "esp32", "artifact_name": "v1"}


class Board:
    def reset(self):
        raise AssertionError("a rejected update must not reset the board")

    def feed(self):
        pass


def update(data, size=700, verify=None):
    """What an agent does with an Artifact, up to install()."""
    installer = Firmware(Board())

    def take(header):
        header.check(PROVIDES)
        installer.begin(header)

    reader = Reader(take, installer.download, verify=verify)
    try:
        for view in chunks(data, size):
            reader.feed(view)
        reader.finish()
    finally:
        reader.close()
    asyncio.run(installer.install())


class Flash:
    """A chip with v1 running and proven and an old image in the other slot."""

    def __init__(self):
        self.chip = Chip(V1, OLD, (entry(3, 2), entry(2, 2)))
        assert self.chip.boot() == "ota_0"
        self.before = self.chip.read(0, esp_chip.SIZE)

    def others(self, content=None):
        """What lies outside otadata and ota_1, in that content or on the flash now."""
        content = content or self.chip.read(0, esp_chip.SIZE)
        return (
            content[:OTADATA],
            content[OTADATA + 2 * 4096 : OTHER],
            content[OTHER + SLOT :],
        )

    def refuses(self, data, expected, kind=Rejected, **options):
        """Whether the other slot was written to, when `data` was refused as expected."""
        try:
            update(data, **options)
        except kind as error:
            assert expected in str(error), (expected, str(error))
        else:
            raise AssertionError(f"accepted, expected: {expected}")
        after = self.chip.read(0, esp_chip.SIZE)
        assert after[:OTHER] == self.before[:OTHER], expected
        assert after[OTHER + SLOT :] == self.before[OTHER + SLOT :], expected
        self._back(expected)
        self.chip.done()
        return after != self.before

    def _back(self, expected):
        # What failed is rolled back and cleaned up; that touches no byte either.
        after = self.chip.read(0, esp_chip.SIZE)
        installer = Firmware(Board())
        asyncio.run(installer.rollback())
        asyncio.run(installer.failure())
        asyncio.run(installer.cleanup())
        assert self.chip.read(0, esp_chip.SIZE) == after, expected
        assert self.chip.boot() == "ota_0", expected


def refuses(data, expected, **options):
    return Flash().refuses(data, expected, **options)


def flipped(data, at):
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def test_a_good_one_is_installed():
    # The same way, so that what the other tests refuse is refused for its fault alone.
    for packed in (False, True):
        flash = Flash()
        update(artifact(files=FILES, packed=packed, **HEADER))
        assert flash.others() == flash.others(flash.before)
        assert flash.chip.boot() == "ota_1"
        assert flash.chip.slot(1)[: len(V2)] == V2
        asyncio.run(Firmware(Board()).commit())
        assert flash.others() == flash.others(flash.before)
        flash.chip.done()


def test_refused_in_the_header_not_a_bit_changes():
    other = dict(INFO, artifact_depends={"device_type": ["esp8266"]})
    depends = dict(INFO, artifact_depends={"device_type": ["esp32"], "artifact_name": ["v0"]})
    rows = (
        (artifact(files=FILES, info=other, type_info=TYPE_INFO), "for device types"),
        (artifact(files=FILES, info=depends, type_info=TYPE_INFO), "depends on artifact_name"),
        (artifact(files=FILES, info=b"{", type_info=TYPE_INFO), "expected a key"),
        (artifact(files=FILES, scripts=("ArtifactInstall_Enter_00",), **HEADER), "no state scr"),
        (artifact(files=FILES, header=b"x" * 600), "a ustar header"),
        (b"x" * 9000, "a ustar header"),
        (b"", "more data"),
    )
    for data, expected in rows:
        assert not refuses(data, expected), expected


def test_refused_by_its_signature_not_a_bit_changes():
    def verify(manifest, signature):
        raise Rejected("manifest.sig: expected a signature, got none")
        yield

    for packed in (False, True):
        data = artifact(files=FILES, packed=packed, **HEADER)
        assert not refuses(data, "manifest.sig: expected", verify=verify)


def test_refused_before_its_first_sector_not_a_bit_changes():
    other_chip = image(b"x" * 9000, chip=5)
    rows = (
        ((("v2.bin", other_chip),), "chip id 5"),
        ((("v2.bin", bytes(9000)),), "no ESP32 image"),
        ((("v2.bin", b""),), "0 bytes are no ESP32 image"),
        ((("v2.bin", V2 + bytes(SLOT)),), "do not fit slot ota_1"),
    )
    for files, expected in rows:
        for packed in (False, True):
            data = artifact(files=files, packed=packed, **HEADER)
            assert not refuses(data, expected), expected


def test_refused_in_the_middle_only_the_other_slot_changes():
    *parts, (name, data) = members_of(files=FILES, **HEADER)
    *packed_parts, (packed_name, packed) = members_of(files=FILES, packed=True, **HEADER)
    second = tar(*FILES, ("more.bin", b"x" * 100))
    half = gzip(data, 5000)
    rows = (
        (tar(*parts, (name, data))[:-9000], "mid-archive"),
        (tar(*parts, (name, data[:9000])), "mid-archive"),
        (tar(*parts, (name, second)), "a file of the manifest"),
        (tar(*packed_parts, (packed_name, packed[:9000])), "mid-stream"),
        (tar(*packed_parts, (packed_name, half[:15021] + b"\xff" * 4000)), "damaged"),
    )
    for data, expected in rows:
        assert refuses(data, expected), expected


def test_two_files_that_the_manifest_lists_are_one_too_many():
    files = FILES + (("more.bin", b"x" * 100),)
    assert refuses(artifact(files=files, **HEADER), "a second file, more.bin")


def test_refused_at_the_last_byte_only_the_other_slot_changes():
    *parts, (name, data) = members_of(files=FILES, **HEADER)
    last = 512 + len(V2) - 1
    packed = members_of(files=FILES, packed=True, **HEADER)
    *packed_parts, (packed_name, gz) = packed
    rows = (
        # the image's last byte, the archive's last, the CRC's last, the outer archive's last
        (tar(*parts, (name, flipped(data, last))), "expected SHA-256"),
        (tar(*parts, (name, flipped(data, len(data) - 1))), "two zero blocks"),
        (tar(*packed_parts, (packed_name, flipped(gz, len(gz) - 5))), "damaged"),
        (tar(*packed)[:-1], "mid-archive"),
        (flipped(tar(*packed), len(tar(*packed)) - 1), "two zero blocks"),
        (tar(*packed) + b"x", "nothing but zeros"),
    )
    for data, expected in rows:
        for size in (0, 1, 700):
            assert refuses(data, expected, size=size), expected


def test_a_payload_whose_sum_is_right_but_that_no_boot_loader_takes():
    # The last check of all: the image's own digest. The slot is written, and not booted.
    bad = flipped(V2, len(V2) - 1)
    data = artifact(files=(("v2.bin", bad),), **HEADER)
    assert refuses(data, "boot loader refuses", kind=InstarError)


def test_a_manifest_with_another_sum_is_found_when_the_image_is_there():
    header = header_tar(info=encoded(INFO), type_info=encoded(TYPE_INFO))
    manifest = manifest_of((("v2.bin", OLD),), "header.tar", header)
    assert refuses(artifact(files=FILES, manifest=manifest, **HEADER), digest(OLD))
