"""The oracle finds nothing where all is well, and each damage that is planted, as what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import oracle
from .case import Case, fixture, texts
from .chip import PENDING, RECORDS, SECTOR, VALID, Chip
from .mutants import MUTANTS
from .oracle import BRICK, LEFTOVER, LIE, RESTARTS, UNSTABLE
from .scenarios import SCENARIOS
from .software import library

firmware = fixture("firmware-good")
app = fixture("app-good")
single = fixture("single-file")
murano = fixture("murano-token")


def test_where_all_is_well_nothing_is_found(firmware, app, single, murano):
    for case in (firmware, app, single, murano):
        assert case.judged() == [], case.scenario.name


def new_key(view):
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    view["devices"][0]["auth_sets"][0]["pubkey"] = pem.decode()


def another_set(view):
    auth_sets = view["devices"][0]["auth_sets"]
    auth_sets.append({**auth_sets[0], "status": "rejected"})


def another_device(view):
    view["devices"].append({**view["devices"][0], "id": "another"})


def inventory(name, value):
    def change(view):
        (attributes,) = view["inventory"].values()
        attributes[name] = value

    return change


def flipped(case: Case, at: int) -> Case:
    return case.flashed(at, bytes([case.flash[at] ^ 4]))


OTHER = {"artifact_name": "release-1", "rootfs-image.version": "release-1"}
# What was planted in a good firmware update -> the one finding: its kind, and words of it.
DAMAGE: dict[str, tuple[Callable[[Case], Case], str, str]] = {
    "a bit in the image that runs": (
        lambda case: flipped(case, case.at("ota_1") + 70_000),
        BRICK,
        "neither the old nor the new",
    ),
    "an entry on trial": (
        lambda case: case.entry(1, 2, PENDING),
        UNSTABLE,
        "entry 1 is in state 1",
    ),
    "another slot is selected": (
        lambda case: replace(case, ran=replace(case.ran, slot="ota_0")),
        UNSTABLE,
        "ota_0 runs, but otadata selects ota_1",
    ),
    "it never comes to rest": (
        lambda case: replace(case, ran=replace(case.ran, quiet=False, why="boots")),
        BRICK,
        "not at rest after 2 boots: boots",
    ),
    "no file system": (
        lambda case: case.flashed(Chip(case.flash).vfs()[0], b"\xff" * 2 * SECTOR),
        BRICK,
        "the file system cannot be read",
    ),
    "other settings": (
        lambda case: case.files({"/instar.json": b"{}"}),
        BRICK,
        "/instar.json is not what it should be",
    ),
    "an orphan": (lambda case: case.files({"/b.part": b"x"}), LEFTOVER, "/b.part"),
    "an empty folder": (
        lambda case: case.files({"/.instar-files/": None}),
        LEFTOVER,
        "/.instar-files",
    ),
    "half a record": (
        lambda case: case.files({RECORDS + "provides.new": b"iST1"}),
        LEFTOVER,
        "provides.new",
    ),
    "a truncated record": (
        lambda case: case.files({RECORDS + "provides": b"iST1\x10\0\0\0"}),
        BRICK,
        "record provides: 8 bytes",
    ),
    "an open journal": (
        lambda case: case.record("update", {"id": "x", "state": "commit"}),
        UNSTABLE,
        "open in commit",
    ),
    "a closed journal that is still there": (
        lambda case: case.record("update", {"id": None, "state": None}),
        UNSTABLE,
        "open in None",
    ),
    "a step that is none": (
        lambda case: case.record("step", [1, 2, "dance", None, 0, 0, 5, False, False]),
        BRICK,
        "the record of the steps holds [1, 2, 'dance'",
    ),
    "another partition table": (
        lambda case: case.flashed(0x8000 + 5 * 32, b"\0"),
        BRICK,
        "changed where nothing of an update is",
    ),
    "another boot loader": (lambda case: flipped(case, 0x1000), BRICK, "the flash was changed"),
    "equal sequence numbers": (
        lambda case: case.entry(0, 2, VALID),
        BRICK,
        "the sequence numbers in otadata are [2, 2]",
    ),
    "a sequence number that is soon used up": (
        lambda case: case.entry(1, 0xFFFFFFFC, VALID),
        BRICK,
        "otadata are [1, 4294967292]",
    ),
    "reports after an abort": (
        lambda case: case.deployment(refused=2),
        LIE,
        "2 reports came after the abort",
    ),
    "no provides": (
        lambda case: case.record("provides", b"{}"),
        LIE,
        "the board provides",
    ),
    "a second final status": (
        lambda case: case.statuses(
            "downloading", "installing", "rebooting", "installing", "success", "failure"
        ),
        LIE,
        "the deployment's statuses are",
    ),
    "a status after the end": (
        lambda case: case.statuses("downloading", "installing", "success", "installing"),
        LIE,
        "the deployment's statuses are",
    ),
    "an order that cannot be": (
        lambda case: case.statuses("installing", "downloading", "success"),
        LIE,
        "the deployment's statuses are",
    ),
    "another key": (lambda case: case.believed(new_key), LIE, "another key than the board"),
    "two keys": (lambda case: case.believed(another_set), LIE, "['accepted', 'rejected']"),
    "two devices": (lambda case: case.believed(another_device), LIE, "knows 2 devices"),
    "no key": (
        lambda case: case.files({RECORDS + "identity-key": None}),
        BRICK,
        "no identity key",
    ),
    "an old inventory": (
        lambda case: case.believed(inventory("artifact_name", "release-1")),
        LIE,
        "the inventory has artifact_name 'release-1', expected 'release-2'",
    ),
    "an old version in the inventory": (
        lambda case: case.believed(inventory("rootfs-image.version", None)),
        LIE,
        "the inventory has rootfs-image.version None",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damage_is_found_as_what_it_is(firmware, damage):
    plant, kind, words = DAMAGE[damage]
    findings = plant(firmware).judged()
    # Without the whole record nobody can say whose the provides are, either.
    if damage == "no provides":
        findings = findings[:1]
    assert [finding.kind for finding in findings] == [kind], findings
    assert words in findings[0].text


def test_success_with_the_old_image_is_a_lie(firmware):
    old = firmware.scenario.kept["old"].image
    chip = Chip(firmware.flash)
    back = firmware.flashed(chip.rows["otadata"][0] + SECTOR, b"\xff" * 32)
    assert chip.partition("ota_0").startswith(old)
    back = replace(back, ran=replace(back.ran, slot="ota_0"))
    found = texts(back, LIE)
    assert "the server has success, but the old one is there" in found
    assert "what runs provides {'artifact_name': 'release-1'}" in found


def test_failure_with_the_new_image_is_a_lie(firmware):
    told = firmware.deployment(statuses=["downloading", "failure"], log=[RESTARTS[0]])
    told = replace(told, ran=replace(told.ran, cuts=["op 1 before"]))
    assert texts(told, LIE) == "the server has failure, but the new one is there"


def test_a_failure_without_a_log_is_a_lie(firmware):
    told = firmware.statuses("downloading", "failure")
    assert "the log says none of []: []" in texts(told, LIE)


def test_no_final_status_is_a_lie(firmware):
    told = firmware.statuses("downloading", "installing")
    assert "the deployment has no final status" in texts(told, LIE)


def test_after_an_abort_nothing_follows_and_nothing_new_runs(firmware):
    told = firmware.deployment(statuses=["downloading"], aborted=True)
    assert texts(told, LIE) == "the server has aborted, but the new one is there"
    told = firmware.deployment(statuses=["downloading", "failure"], aborted=True, log=["why"])
    assert "the server has failure" in texts(told, LIE)


def test_without_a_cut_a_good_update_succeeds(firmware):
    old = Chip(firmware.flash).rows["otadata"][0] + SECTOR
    for cuts, found in (([], True), (["op 1 before"], False)):
        back = firmware.flashed(old, b"\xff" * 32).statuses("downloading", "failure")
        back = replace(back, ran=replace(back.ran, slot="ota_0", cuts=cuts))
        text = "the old one is there, though no power was cut"
        assert (text in texts(back, BRICK)) is found


def test_what_must_not_run_is_a_brick(firmware):
    strict = replace(firmware.scenario, ends=("old",))
    findings = replace(firmware, scenario=strict).judged()
    assert [finding.kind for finding in findings] == [BRICK]
    assert "what runs is new: expected ('old',)" in findings[0].text


@pytest.mark.parametrize(
    ("values", "good"),
    [
        ([0, 1, 2, 3], True),
        ([0, 1, 0, 1, 2, 3], True),
        ([0, 1, 2, 3, 2, 3], True),
        ([0, 1, 2], False),
        ([1, 2, 3], False),
        ([0, 2, 3, 1], False),
        ([0, 1, 3, 0, 1, 2, 3], False),
        ([], False),
    ],
)
def test_messages_come_at_least_once_and_in_order(values, good):
    assert (oracle.arrived(values, 4) == []) is good


def test_the_boot_loader_takes_the_valid_entry_with_the_highest_sequence(firmware):
    for first, second, slot in (
        ((1, VALID), (2, VALID), "ota_1"),
        ((3, VALID), (2, VALID), "ota_0"),
        ((1, VALID), (2, 4), "ota_0"),
        ((3, 3), (2, VALID), "ota_1"),
        ((1, 3), (2, 4), "ota_0"),
    ):
        assert Chip(firmware.entry(0, *first).entry(1, *second).flash).running() == slot
    torn = firmware.flashed(firmware.at("otadata") + SECTOR, b"\x02\0\0\x80")
    assert Chip(torn.flash).running() == "ota_0"


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_planted_bug_still_has_its_place(mutant):
    sources = library()
    changed = MUTANTS[mutant].mutation(sources)
    assert changed.keys() == sources.keys() and changed != sources
    for path, text in changed.items():
        compile(text, path, "exec")
    assert set(MUTANTS[mutant].scenarios) <= SCENARIOS.keys()
