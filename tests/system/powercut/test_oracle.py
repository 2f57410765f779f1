"""The oracle finds nothing where all is well, and each damage that is planted, as what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import oracle
from .case import Case, came_to_rest
from .chip import PENDING, RECORDS, SECTOR, VALID, Chip
from .mutants import MUTANTS
from .oracle import BRICK, LEFTOVER, LIE, UNSTABLE
from .scenarios import SCENARIOS
from .software import library


def fixture(name: str):
    @pytest.fixture(scope="module", name=name.partition("-")[0])
    def case(tmp_path_factory) -> Case:
        return came_to_rest(name, tmp_path_factory.mktemp(name))

    return case


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


def texts(case: Case, kind: str) -> str:
    return "\n".join(finding.text for finding in case.judged() if finding.kind == kind)


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
    told = firmware.deployment(statuses=["downloading", "failure"], log=["why"])
    assert texts(told, LIE) == "the server has failure, but the new one is there"


def test_a_failure_without_a_log_is_a_lie(firmware):
    told = firmware.statuses("downloading", "failure")
    assert "the log does not say ''" in texts(told, LIE)


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


def test_the_application_slots_are_judged_byte_for_byte(app):
    name = next(path for path in Chip(app.flash).files if path.startswith("/a/app"))
    assert f"{name} is not what it should be" in texts(app.files({name: b"x"}), BRICK)
    assert "/a/more.py is left over" in texts(app.files({"/a/more.py": b""}), LEFTOVER)
    trial = app.record("slots", {"active": "a", "left": 2, "watchdog": 0})
    assert "the boot guard's record is" in texts(trial, UNSTABLE)
    gone = app.files({RECORDS + "slots": None})
    assert "the server has success, but the old one is there" in texts(gone, LIE)


def test_a_file_is_the_old_one_or_the_new_one(single):
    ((path, new),) = single.scenario.after
    ((_, old),) = single.scenario.before
    mixed = single.files({path: new[:4096] + old[4096:]})
    assert "neither the old nor the new" in texts(mixed, BRICK)
    assert "success, but the old one is there" in texts(single.files({path: old}), LIE)
    assert "/data/x.part" in texts(single.files({"/data/x.part": b""}), LEFTOVER)


def test_a_token_that_is_not_stored_is_a_brick(murano):
    (name,) = (name for name in Chip(murano.flash).records() if name.startswith("murano-"))
    asked = murano.record(name, {"state": "asked"})
    assert texts(asked, BRICK) == "the board's credentials are [['state']]"
    (identity,) = murano.view["murano"]
    unheard = murano.believed(lambda view: view["murano"][identity]["history"]["otau_in"].clear())
    assert "the product was told []" in texts(unheard, LIE)


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
