"""Protea's ops on a GPU against PyTorch, eager and compiled, in one run.

bench.py PROGRAM [FILTER] [--trial] [--until SECONDS]: PROGRAM is protea-native-test of a CUDA build.
Each case is timed by Protea, by PyTorch, by Protea again and, while there is time, by PyTorch again; of
both the better time counts. Prints JSON lines as it goes; the first one has the card's rates. --trial
takes tiny shapes, to try the program without a GPU. --until: seconds since 1970 by which it is to end.
"""
import argparse
import gc
import json
import sys
import time

import torch

import clock
import floors
import protea
from peers import PEERS, device

# In order of importance: a time limit may cut off the end.
CASES = [
    "prototype_cross_entropy 65536",
    "step 224",
    "koleo 65536",
    "adamw 384",
    "prototype_sinkhorn 65536",
    "augment 224",
    "koleo 262144",
]
TRIAL = [
    "prototype_cross_entropy 256",
    "step 16",
    "koleo 256",
    "adamw 16",
    "prototype_sinkhorn 256",
    "augment 16",
]
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
# AdamW has nothing to round; a step in f32 is not what anyone would train with.
PRECISIONS = {"adamw": ["f32"], "step": ["bf16"]}
TOGETHER = {"step": 4}  # calls between two looks at the clock, as step.mjs has them
OUT_OF_MEMORY = getattr(torch, "OutOfMemoryError", None) or torch.cuda.OutOfMemoryError

# Seconds that must be left to compile what is not always compiled, and to time PyTorch again; and the
# most a variant may take, unless half of the time left is more.
TO_COMPILE, TO_REPEAT, LONGEST = 75, 20, 90
ALWAYS_COMPILED = ["prototype_cross_entropy", "step"]


def say(**line):
    print(json.dumps(line), flush=True)


def reason(error):
    if isinstance(error, OUT_OF_MEMORY):
        return "out of memory"
    return f"{type(error).__name__}: {str(error)[:200]}"


class Case:
    """An op of one size. Anything in it may fail without taking more with it than itself."""

    def __init__(self, name, program, rates, left, limit):
        self.name, self.program, self.rates = name, program, rates
        self.left, self.limit = left, limit  # seconds: of all, of a process of Protea
        self.op, self.size = name.split()
        self.shape, self.calls = None, {}

    def say(self, impl, **line):
        say(**{"op": self.op, "size": self.size, "shape": self.shape, "impl": impl, **line})

    def protea(self):
        try:
            found, error = protea.timed(self.program, self.name, min(self.limit, self.left()))
        except Exception as broken:
            found, error = {}, reason(broken)
        for precision, line in found.items():
            self.shape = line["shape"]
            floor = self.rates and floors.floor_ms(self.op, self.shape, precision, self.rates)
            self.say("protea", **line, floor_ms=floor)
        if error:
            self.say("protea", precision=PRECISIONS.get(self.op, ["f32"])[0], error=error)

    def prepare(self):
        """The calls of PyTorch by (precision, variant)."""
        for precision in PRECISIONS.get(self.op, DTYPES):  # KoLeo may look for neighbours in bf16
            try:
                made = PEERS[self.op](self.shape, DTYPES[precision])
                self.calls.update({(precision, variant): call for variant, call in made.items()})
            except Exception as error:
                self.say("torch-eager", precision=precision, error=reason(error))

    def too_late(self, variant):
        if variant == "compile" and self.op not in ALWAYS_COMPILED and self.left() < TO_COMPILE:
            return f"skipped: under {TO_COMPILE} s left"

    def peer(self, precision, variant):
        """Whether it was timed."""
        impl, skipped = f"torch-{variant}", self.too_late(variant)
        if skipped:
            self.say(impl, precision=precision, error=skipped)
            return False
        try:
            with clock.limited(max(LONGEST, min(self.left() / 2, 600))):
                ms, used = clock.timed(self.calls[precision, variant], TOGETHER.get(self.op))
            self.say(impl, precision=precision, ms_median=ms, bytes=used)
            return True
        except Exception as error:  # one variant that fails must not take the others with it
            self.say(impl, precision=precision, error=reason(error))
            return False
        finally:
            if device == "cuda":
                torch.cuda.empty_cache()

    def compare(self):
        """Protea as soon as it is timed, so that a time limit leaves something."""
        self.protea()
        if self.shape and self.op in PEERS:
            self.prepare()
        timed = [key for key in self.calls if self.peer(*key)]
        if self.shape:
            self.protea()
        for key in timed:
            if self.left() > TO_REPEAT:
                self.peer(*key)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("filter", nargs="?", default="", type=str.lower)
    parser.add_argument("--trial", action="store_true")
    parser.add_argument("--until", type=float, default=float("inf"))
    return parser.parse_args()


def measured_rates():
    """None where they cannot be measured: then there are no floors."""
    try:
        return floors.measured_rates(device)
    except Exception as error:
        print(f"no rates: {reason(error)}", file=sys.stderr)


def main():
    asked = arguments()
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest")
    rates = measured_rates()
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    say(torch=torch.__version__, device=name, rates=rates)

    def left():
        return asked.until - time.time()

    cases, limit = (TRIAL, 600) if asked.trial else (CASES, 60)
    for case in cases:
        if case.startswith(asked.filter):
            try:
                Case(case, asked.program, rates, left, limit).compare()
            except Exception as error:
                op, size = case.split()
                say(op=op, size=size, impl="protea", precision="f32", error=reason(error))
            gc.collect()  # what the case had on the card


main()
