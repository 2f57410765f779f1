# What an Artifact says about itself, once it is verified.
# SPDX-License-Identifier: MIT

from ..errors import Rejected
from .refusal import brief


class Header:
    """A verified header.

    artifact_name, artifact_group (or None), device_types (list), payload_type (None: the Artifact
    changes provides only), provides {key: value}, depends {key: [value, ...]} with device_type in
    it, clears_provides ([glob, ...] or None), meta_data (dict), files [(name, sha256 hex)],
    manifest_sha256 (hex), signed (a signature came with it and, if the reader verifies, is good).
    """

    def __init__(self, payload_type, provides, depends, clears_provides, meta_data):
        self.payload_type = payload_type
        self.provides = provides
        self.artifact_name = provides["artifact_name"]
        self.artifact_group = provides.get("artifact_group")
        self.depends = depends
        self.device_types = depends["device_type"]
        self.clears_provides = clears_provides
        self.meta_data = meta_data
        self.files = []
        self.manifest_sha256 = ""
        self.signed = False

    def check(self, provides):
        """Raise Rejected unless `provides` {key: value} of this board meets every depends."""
        board = provides.get("device_type")
        if board not in self.device_types:
            types = brief(self.device_types)
            raise Rejected(f"Artifact is for device types {types}, this board is {board!r}")
        for key, wanted in sorted(self.depends.items()):
            has = provides.get(key)
            if has not in wanted:
                has = "nothing" if has is None else repr(has)
                wanted = brief(wanted)
                raise Rejected(f"Artifact depends on {key} {wanted}, this board provides {has}")
