# What an answer of the Bootstrap service becomes: settings, certificates, and the rest.
#
#   values, application, ders = read(factory, answer)
#
# `content` with an object "instar" has the settings in that, and all else is the application's;
# without it, the content is settings and nothing else. Its settings come before the answer's own
# fields. "ca" and "artifact_verify_keys" (lists), "client_cert" and "client_key" are texts there,
# PEM or base64 of DER, where the factory's file has paths.
#
# Needed only while an answer is taken: configuration.py unloads this module again.
# SPDX-License-Identifier: MIT

from .errors import Rejected


def read(factory, answer):
    """(values, application, ders) of a whole answer, checked.

    factory: the factory's settings (dict). values, application: dicts; ders: a list of (kind,
    bytes), with "client" twice, certificate and key. Raises Rejected: expected and came.
    """
    given, application = _sorted_out(answer.content)
    ders = _ders(factory, answer, given)
    values = {}
    for name, value in (
        ("magistrala_id", answer.client_id),
        ("magistrala_secret", answer.secret),
        ("magistrala_channels", answer.channels),
    ):
        if value:
            values[name] = value
    values.update(given)
    _check(factory, values, answer.content)
    return values, application, ders


def _sorted_out(content):
    """(settings, the application's), new dicts both."""
    if content is None:
        return {}, {}
    if "instar" not in content:
        return dict(content), {}
    application = dict(content)
    given = application.pop("instar")
    if not isinstance(given, dict):
        came = type(given).__name__
        raise Rejected(f'configuration: "instar" in content: expected an object, got {came}')
    return dict(given), application


def _ders(factory, answer, given):
    """Takes the texts out of `given` and makes DER of them."""
    from . import certificates

    cas = _texts(given, "ca")
    if answer.ca_cert:
        cas.insert(0, ("ca_cert", answer.ca_cert))
    ders = [("ca", der) for der in certificates.authorities(cas)]
    cert, key = answer.client_cert, answer.client_key
    if "client_cert" in given or "client_key" in given:
        cert, key = given.pop("client_cert", ""), given.pop("client_key", "")
    if cert != "" or key != "":
        ders += [("client", der) for der in certificates.pair(cert, key)]
    keys = _texts(given, "artifact_verify_keys")
    if keys and factory.get("artifact_verify_keys"):
        raise Rejected("configuration: artifact_verify_keys are set at the factory: expected none")
    return ders + [("artifact_keys", der) for der in certificates.artifact_keys(keys)]


def _texts(given, name):
    """[(name and number, text)] of a list, which is taken out of `given`."""
    texts = given.pop(name, [])
    if not isinstance(texts, list):
        came = type(texts).__name__
        raise Rejected(f"configuration: {name}: expected a list of texts, got {came}")
    return [(f"{name} {number}", text) for number, text in enumerate(texts, 1)]


def _check(factory, values, content):
    from .options import overlaid

    try:
        merged = overlaid(factory, values)
        if not merged["update_server"] and not merged["magistrala_url"]:
            raise Rejected("configuration: expected the URL of a server, got none")
    except Rejected as error:
        if content and "instar" not in content:
            raise Rejected(f'{error} (content without "instar" is all settings)')
        raise
