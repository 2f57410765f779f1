"""What is shown of an application's values, and of settings: never what may be a secret."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import pytest

from instar_tools.masking import TELLING, outlined, said_to_be_set, without_secrets

SECRET_NAMES = (
    "psk",
    "WiFi-PSK",
    "passphrase",
    "password",
    "pass",
    "mqtt_pwd",
    "pin",
    "PIN2",
    "otp",
    "unlock_code",
    "client_secret",
    "token",
    "apiKey",
    "credentials",
    "auth",
    "Authorization",
    "bearer",
    "private",
    "certificate",
    "tls_cert",
    "seed",
)
PLAIN_NAMES = ("interval", "threshold", "enabled", "volume", "led")


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_name_that_sounds_secret_hides_what_is_in_it(name):
    assert outlined({name: 123456}) == {name: "number"}
    assert outlined({name: 0.5}) == {name: "number"}
    assert outlined({name: True}) == {name: "boolean"}
    assert outlined({name: "hunter2"}) == {name: "string, 7 characters"}
    assert outlined({"a": [{name: [1, 2, 3]}]}) == {"a": [{name: "list, 3 items"}]}
    assert outlined({name: {"hunter2": 1}}) == {name: "object, 1 names"}
    assert outlined({name: None}) == {name: None}


@pytest.mark.parametrize("word", TELLING)
def test_every_word_is_needed(word):
    only = [n for n in SECRET_NAMES if [w for w in TELLING if w in n.lower()] == [word]]
    assert only


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_of_other_names_all_but_texts_is_shown(name):
    for value in (30, 0.5, True, False, None, [1, None], {"a": {"b": 2}}, [], {}):
        assert outlined({name: value}) == {name: value}
    assert outlined({name: "mqtts://user:pw@host"}) == {name: "string, 20 characters"}
    assert outlined({name: ["hunter2"]}) == {name: ["string, 7 characters"]}


@pytest.mark.parametrize(
    "came, shown",
    [
        ("mqtts://user:pw@host", "mqtts://****@host"),
        ("see https://u:p@a/b", "see https://****@a/b"),
        ("HTTPS://u:p/w@d@[::1]:8443/a", "HTTPS://****@[::1]:8443/a"),
        ("mqtt://u:p w\n@host", "mqtt://****@host"),
        ("https://token@host", "https://****@host"),
        ("https://host/path", "https://host/path"),
        ("someone@example.org", "someone@example.org"),
    ],
)
def test_of_a_url_in_the_settings_who_asks_is_masked(came, shown):
    for wrap in (lambda text: text, lambda text: [text], lambda text: {"a": {"b": text}}):
        assert without_secrets({"ntp_host": wrap(came)}, ["x"]) == {"ntp_host": wrap(shown)}


def test_secret_settings_are_masked_by_their_names():
    values = {"tenant_token": "a-tenant-token", "watchdog": 30, "key": "here no secret"}
    shown = {"tenant_token": "a-te… (14 characters)", "watchdog": 30, "key": "here no secret"}
    assert without_secrets(values, ["tenant_token"]) == shown


def test_of_what_is_only_said_to_be_set_nothing_is_shown():
    values = {"wifi_password": "correct horse battery", "tenant_token": "", "watchdog": 30}
    shown = {"wifi_password": "set", "tenant_token": "", "watchdog": 30}
    assert without_secrets(values, ["wifi_password", "tenant_token"], said_to_be_set) == shown
    nested = {"wifi_password": [{"a": 12345}, None]}
    shown = {"wifi_password": [{"a": "set"}, None]}
    assert without_secrets(nested, ["wifi_password"], said_to_be_set) == shown
