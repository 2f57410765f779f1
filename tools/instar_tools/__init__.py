"""The host side of instar: the ``instar`` command."""

__version__ = "0.1.0"
