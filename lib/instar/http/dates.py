# How long a server asks to wait: Retry-After in both of its forms (RFC 9110 §10.2.3).
# Rare: imported where an answer has that header, so that it is not in the heap before.
# SPDX-License-Identifier: MIT

import time

from micropython import const

_MAX_RETRY_AFTER = const(86400)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


def retry_after(headers):
    """Seconds that a Retry-After header asks to wait, 0 to a day; None if absent or unreadable.

    Both forms of RFC 9110 §10.2.3. A date counts from the answer's own Date, if it has one: the
    board's clock may be wrong. A date in the past is 0.
    """
    value = headers.get("retry-after", "")
    if value.isdigit():
        return min(int(value[:9]), _MAX_RETRY_AFTER)
    then = parse_date(value)
    if then is None:
        return None
    now = parse_date(headers.get("date", ""))
    now = _seconds(time.gmtime()[:6]) if now is None else now
    return max(0, min(then - now, _MAX_RETRY_AFTER))


def parse_date(text):
    """Seconds since 2000-01-01 of 'Sun, 06 Nov 1994 08:49:37 GMT' (RFC 9110 §5.6.7), or None.

    2000 because a board's small integers end at 2**30.
    """
    parts = text.replace(":", " ").split(" ")
    if len(parts) != 8 or parts[7] != "GMT" or len(parts[2]) != 3:
        return None
    month, rest = divmod(_MONTHS.find(parts[2]), 3)
    digits = parts[1:2] + parts[3:7]
    if rest or month < 0 or not all(p.isdigit() and len(p) in (2, 4) for p in digits):
        return None
    day, year, hour, minute, second = [int(p) for p in digits]
    if not (1 <= day <= 31 and year >= 1970 and hour < 24 and minute < 60 and second < 61):
        return None
    return _seconds((year, month + 1, day, hour, minute, second))


def _seconds(moment):
    year, month, day, hour, minute, second = moment
    if month < 3:  # the year begins in March: the leap day is its last
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day
    return (days - 730426) * 86400 + hour * 3600 + minute * 60 + second
