"""What bridges cost that have nothing to do."""

import time
from contextlib import ExitStack

from bench.bridged import PROGRAMS, bridge, bridges, cpu_s, loop, pss_mb
from bench.measure import Figure, amount

SETTLE_S = 1.5
"""Seconds after which nothing is left to do of what came before: the transcript is on stable storage."""

CORE = "% of a core"
FLOOR = "memory of a Python with an event loop"


def measure(sessions: int, idle_s: float) -> list[Figure]:
    """Memory first, while there is no other bridge that would share it."""
    found = []
    with ExitStack() as stack:
        nothing = stack.enter_context(loop())
        alone = {}
        for program, whose in PROGRAMS.items():
            made = stack.enter_context(bridge("acp", program))
            made.wait_stable()
            alone[whose] = made.process.pid
        floor = [pss_mb(nothing)]
        found.append(amount(FLOOR, "MB", floor))
        for whose, pid in alone.items():
            name = f"{whose}memory of a bridge, without its coding agent"
            found.append(amount(name, "MB", [pss_mb(pid)], (FLOOR, floor)))
        for program, whose in PROGRAMS.items():
            found += _sessions(program, whose, alone[whose], count=sessions, idle_s=idle_s)
    return found


def _sessions(program: str, whose: str, one: int, *, count: int, idle_s: float) -> list[Figure]:
    with bridges("terminal", count, program) as made:
        time.sleep(SETTLE_S)
        pids = [each.process.pid for each in made]
        began, one_before, all_before = time.perf_counter(), cpu_s(one), _all_cpu_s(pids)
        time.sleep(idle_s)
        percent = 100 / (time.perf_counter() - began)
        one_took, all_took = cpu_s(one) - one_before, _all_cpu_s(pids) - all_before
        return [
            amount(f"{whose}CPU of a bridge that has nothing to do", CORE, [percent * one_took]),
            amount(f"{whose}CPU of {count} terminal sessions together", CORE, [percent * all_took]),
            amount(f"{whose}memory of each of these", "MB", [pss_mb(pid) for pid in pids]),
        ]


def _all_cpu_s(pids: list[int]) -> float:
    return sum(cpu_s(pid) for pid in pids)
