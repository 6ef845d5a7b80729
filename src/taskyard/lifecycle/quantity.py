"""Sizes and durations as people write them in a template."""

import re

SIZE_EXAMPLE = '"4GiB" or "512MiB"'
DURATION_EXAMPLE = '"8h", "30m" or "1h30m"'

_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(B|KiB|MiB|GiB|TiB)")
_SIZE_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}

_DURATION = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9})s)?")
_DURATION_S = (86400, 3600, 60, 1)


def parse_size(text: str) -> int | None:
    """The bytes that a size like "1.5GiB" means, cut to whole ones; None for anything else and for 0.

    Units are powers of 1024 only: a size in GB would mean two things.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    return int(float(found[1]) * _SIZE_BYTES[found[2]]) or None


def parse_duration(text: str) -> int | None:
    """The seconds that a duration like "1h30m" means; None for anything else and for 0."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    parts = zip(found.groups(), _DURATION_S, strict=True)
    return sum(int(count) * unit_s for count, unit_s in parts if count is not None) or None
