# Versions that have an order: 4, 1.12.0, v2.0.0-rc.1+build. The order is that of Semantic
# Versioning 2.0.0, section 11, for any number of numbers; what is missing counts as 0.
#
#   check_not_older("rootfs-image.version", "1.9.0", "1.10.0")
# SPDX-License-Identifier: MIT

from .errors import Rejected


def check_not_older(key, has, comes):
    """Raise Rejected unless version `comes` of the provides key `key` is at least `has`.

    An Artifact that does not say is refused: it may be any. What the board has, and cannot be
    compared (the name of what was flashed, or None), stands in nobody's way.
    """
    if comes is None:
        raise Rejected(f"no older software: expected {key} in the Artifact's provides, got none")
    order = rank(comes)
    if order is None:
        raise Rejected(
            f"no older software: expected a version like 1.12.0 as {key}, got {comes!r}"
        )
    # A rollback that failed added Mender's suffix: the version before it still counts.
    before = has and rank(has.replace("_INCONSISTENT", ""))
    if before and order < before:
        raise Rejected(f"no older software: expected {key} {has} or newer, got {comes}")


def rank(version):
    """What `version` is compared by; None if it has no order."""
    core, dash, before = version.partition("+")[0].partition("-")
    numbers = core[core.startswith("v") :].split(".")
    if not all(_number(part) for part in numbers) or (dash and not all(before.split("."))):
        return None
    numbers = [int(part) for part in numbers]
    while numbers and not numbers[-1]:
        numbers.pop()
    # A release is above its pre-releases; in these a number is below a word, fewer below more.
    return numbers, [_word(part) for part in before.split(".")] if dash else [(2,)]


def _word(part):
    return (0, int(part)) if _number(part) else (1, part)


def _number(part):
    return part.isdigit()
