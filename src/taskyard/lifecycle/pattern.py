"""Patterns that templates give for parameter values: RE2, which needs linear time whatever the pattern.

A template's author chooses the pattern and anybody chooses the value, and both meet while a request is
answered. Python's own engine can be made to think for hours by the two together.
"""

from functools import lru_cache
from typing import Protocol, cast

import re2

MAX_PATTERN_CHARS = 1000
"""Longest pattern; one that people can read has a tenth of it."""

MAX_PATTERN_STEPS = 2000
"""Largest compiled pattern, in instructions: at worst each of them looks at each character, which takes some
40 ms for the longest value. One Unicode class like `\\p{L}` has 1200."""

MAX_PATTERN_BYTES = 1 << 20
"""Memory that one compiled pattern may take, its cache of states included."""

KEPT_PATTERNS = 256
"""Compiled patterns that are kept: compiling takes longer than matching."""


class PatternInvalid(ValueError):
    """A pattern that cannot be used; the sentence says what is wrong with it."""


class _Compiled(Protocol):
    @property
    def programsize(self) -> int: ...
    def search(self, text: str) -> object | None: ...


def check_pattern(pattern: str) -> None:
    """Nothing for a pattern that can be used; raises PatternInvalid."""
    _compiled(pattern)


def found_in(pattern: str, text: str) -> bool:
    """Whether the pattern matches somewhere in the text; raises PatternInvalid."""
    return _compiled(pattern).search(text) is not None


@lru_cache(maxsize=KEPT_PATTERNS)
def _compiled(pattern: str) -> _Compiled:
    if len(pattern) > MAX_PATTERN_CHARS:
        raise PatternInvalid(f"it has more than {MAX_PATTERN_CHARS} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_PATTERN_BYTES
    try:
        compiled = cast("_Compiled", re2.compile(pattern, options=options))
    except re2.error as error:
        raise PatternInvalid(_explained(error)) from error
    except UnicodeEncodeError as error:
        raise PatternInvalid("it is not Unicode text") from error
    if compiled.programsize > MAX_PATTERN_STEPS:
        raise PatternInvalid("it is too large once its repetitions are written out")
    return compiled


def _explained(error: Exception) -> str:
    """What the engine found wrong, in its words."""
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
