"""Milliseconds and bytes of a call, by events in the stream on a GPU."""
import contextlib
import math
import signal
import statistics
import time

import torch

WARM_UP = 300  # ms of work before the first run that counts: clocks rise, caches and compilers settle
FEWEST, MOST, LONG_ENOUGH = 5, 20, 1500  # timed runs, and ms of them
SHORT, TOGETHER = 5, 10  # a run is of several calls until it takes so many ms, so many at most


def once(call, together=1):
    """Milliseconds a call, of several in a row."""
    if not torch.cuda.is_available():
        begin = time.perf_counter()
        for _ in range(together):
            call()
        return 1e3 * (time.perf_counter() - begin) / together
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(together):
        call()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / together


def peak_since(before=None):
    """Without an argument the bytes in use now; with it the most that came on top since."""
    if not torch.cuda.is_available():
        return None if before is None else 0
    if before is not None:
        return torch.cuda.max_memory_allocated() - before
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def warm(call):
    """Milliseconds of a warm call. The first two, which may compile, count for nothing."""
    for _ in range(2):
        once(call)
    spent = last = once(call)
    while spent < WARM_UP:
        last = once(call)
        spent += last
    return last


def timed(call, together=None):
    """(median ms of a call, bytes on top of the inputs)"""
    short = warm(call)
    together = together or min(TOGETHER, max(1, math.ceil(SHORT / max(short, 1e-3))))
    before, times = peak_since(), []
    while len(times) < FEWEST or (len(times) < MOST and sum(times) * together < LONG_ENOUGH):
        times.append(once(call, together))
    return statistics.median(times), peak_since(before or 0)


@contextlib.contextmanager
def limited(seconds):
    """TimeoutError in the block when the seconds are over, which also ends a compiler written in
    Python; not a kernel that hangs."""

    def over(*_):
        raise TimeoutError(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
