# Reads the settings at the start: the factory's file, and what bootstrap brought over it.
#
#   settings = load(Settings, "/instar.json", store)
#
# settings.py unloads this module again.
# SPDX-License-Identifier: MIT

import json

from . import memory
from .errors import Rejected
from .settings import file_at


def load(settings_class, path, store):
    """The Settings of this start. Raises Rejected if the file is missing, too large, no JSON, or
    wrong in it."""
    settings = settings_class(read(path), store)
    if store and settings.bootstrap_url:
        _overlay(settings)
    settings.given = path  # the dict is not kept: it is read again if it is needed
    return settings


def read(path):
    """The factory's settings as a dict; errors: as load()."""
    try:
        values = json.loads(file_at(path))
    except ValueError:
        raise Rejected(f"settings: {path} is no JSON")
    if not isinstance(values, dict):
        raise Rejected(f"settings: {path} holds a {type(values).__name__}, expected an object")
    return values


def factory(settings):
    """What the factory gave, as a dict."""
    return read(settings.given) if isinstance(settings.given, str) else settings.given


def _overlay(settings):
    try:
        from .configuration import load
    except ImportError:  # a slot may be built without
        raise Rejected("bootstrap_url: expected instar with its Magistrala part, got one without")
    found, settings.on_trial, settings.problem = load(settings.store, settings.given)
    if found:
        settings.configured = True
        settings.digest = found.digest
        settings._kinds = found.kinds
        settings._values = found.values
    memory.forget("instar.configuration")
    memory.forget("instar.options")
