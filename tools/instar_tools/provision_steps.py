"""What comes after provisioning: how a server is told of the board, in words and commands."""
# SPDX-License-Identifier: MIT

from __future__ import annotations

import json
import shlex

import click

from .factory import EXTERNAL_KEY


def next_steps(settings: dict, identity: str) -> None:
    """Print them. identity: who the board will say it is."""
    if "bootstrap_url" in settings:
        _register(settings, identity)
    if settings.get("mender_url"):
        click.echo(
            f"Next: start the board; accept it at {settings['mender_url']}, where it asks as"
            f" {identity} (with the public key, if you have it, it can be accepted beforehand)."
        )
    if settings.get("murano_url"):
        click.echo(
            f"Next: {settings['murano_url']} has to know a device {identity}, or to take unknown"
            " ones; then start the board."
        )


def _register(settings: dict, identity: str) -> None:
    profile, url = settings["bootstrap_profile"], settings["bootstrap_url"].rstrip("/")
    word = "clients" if profile == "clients" else "things"
    domain = "" if profile == "mainflux" else "/<domain_id>"
    click.echo(f"Next: register this board at the service. With its key in {EXTERNAL_KEY}:\n")
    click.echo(
        f"jq -n {shlex.quote(_registration(settings, identity))} |"
        " curl -sSi -X POST -H 'Authorization: Bearer <user_token>'"
        " -H 'Content-Type: application/json'"
        f" -d @- {shlex.quote(f'{url}{domain}/{word}/configs')}"
    )
    if profile == "things":
        click.echo("\n(Magistrala v0.14 has no /<domain_id> in its paths.)")


def _registration(settings: dict, identity: str) -> str:
    """What the service is to have of this board, as jq makes it of the environment."""
    # There the key is in no command line, and may have any character.
    fields = f"external_id: {json.dumps(identity)}, external_key: env.{EXTERNAL_KEY}"
    fields += ', channels: ["<channel_id>"]'
    if not any(settings.get(f"{name}_url") for name in ("mender", "magistrala", "murano")):
        # Without any a board does not take the configuration.
        fields += ', content: ({instar: {mender_url: "<mender_url>"}} | tojson)'
    return f"{{{fields}}}"
