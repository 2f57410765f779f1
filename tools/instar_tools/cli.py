"""The ``instar`` command: a group whose subcommands are imported only when they are used."""

from __future__ import annotations

import importlib

import click

from . import __version__

# name: (module, attribute, one line for the overview)
COMMANDS = {
    "artifact": ("artifact_cmd", "artifact", "Write, read and check Mender Artifacts."),
    "key": ("key_cmd", "key", "Make a key pair (P-256 or RSA) as PEM."),
    "image": ("image_cmd", "image", "Build a firmware image for a simulated board."),
    "flash": ("flash_cmd", "flash", "Write MicroPython onto a board, with two slots."),
    "deploy": ("deploy_cmd", "deploy", "Copy instar and an application onto a board."),
    "provision": ("provision_cmd", "provision", "Write the factory settings of a board."),
    "doctor": ("doctor_cmd", "doctor", "Look for what keeps a board from working."),
    "monitor": ("monitor_cmd", "monitor", "Show a board's events live."),
    "bootstrap": ("bootstrap_cmd", "bootstrap", "Show what a board would take at its bootstrap."),
    "murano": ("murano_cmd", "murano", "Speak with a Murano product as a device of it."),
    "package": ("package_cmd", "package", "Build what mip installs, bytecode, a ROMFS."),
    "size": ("size_cmd", "size", "Bytes per module and set, against the budget."),
    "sim": ("sim_cmd", "sim", "Create and run simulated boards."),
    "serve": ("serve_cmd", "serve", "Run the development server."),
    "device": ("manage_cmd", "device", "List, accept and reject devices on a server."),
    "deployment": ("manage_cmd", "deployment", "Create, watch and abort deployments."),
    "product": ("product_cmd", "product", "Make and watch Murano products on a server."),
    "release": ("manage_cmd", "release", "Upload and list Artifacts on a server."),
}


class Lazy(click.Group):
    """Lists every command without importing what it needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        return getattr(importlib.import_module(f"instar_tools.{module}"), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="instar")
def main() -> None:
    """Over-the-air updates for MicroPython boards: the tools on the host."""
