"""Milliseconds and bytes of a call, by events in the stream on a GPU."""
import statistics
import time

import torch

WARM_UP, FEWEST, MOST, LONG_ENOUGH = 3, 5, 20, 1500  # runs, and ms of timed runs


def once(call):
    if not torch.cuda.is_available():
        begin = time.perf_counter()
        call()
        return 1e3 * (time.perf_counter() - begin)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end)


def peak_since(before=None):
    """Without an argument the bytes in use now; with it the most that came on top since."""
    if not torch.cuda.is_available():
        return None if before is None else 0
    if before is not None:
        return torch.cuda.max_memory_allocated() - before
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def timed(call):
    """(median ms, bytes on top of the inputs)"""
    for _ in range(WARM_UP):
        once(call)
    before, times = peak_since(), []
    while len(times) < FEWEST or (len(times) < MOST and sum(times) < LONG_ENOUGH):
        times.append(once(call))
    return statistics.median(times), peak_since(before or 0)
