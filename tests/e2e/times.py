"""Times as the API has them: UTC microseconds as integers, never floats."""

import re
from datetime import datetime, timezone

_UTC = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def parse_utc(text):
    """RFC 3339 in UTC with six decimals and Z, and nothing else."""
    match = _UTC.fullmatch(text)
    assert match, f"{text!r} is not an RFC 3339 time in UTC with six decimals"
    whole = datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc) - _EPOCH
    return (whole.days * 86400 + whole.seconds) * 1_000_000 + int(match[2])


def format_utc(us):
    seconds, fraction = divmod(us, 1_000_000)
    whole = datetime.fromtimestamp(seconds, timezone.utc)
    return whole.strftime("%Y-%m-%dT%H:%M:%S") + f".{fraction:06}Z"
