"""Protea's ops on a GPU against PyTorch, eager and compiled, in one run.

bench.py PROGRAM [FILTER] [--trial]: PROGRAM is protea-native-test of a CUDA build. Each case is timed
by Protea, by PyTorch, and by Protea again; the better of the two counts. Prints JSON lines as it goes;
the first one has the card's rates. --trial takes tiny shapes, to try the program without a GPU.
"""
import json
import os
import pathlib
import subprocess
import sys

import torch

import clock
import floors
from peers import PEERS, device

# In order of importance: a time limit may cut off the end.
CASES = [
    "prototype_cross_entropy 65536",
    "koleo 65536",
    "adamw 384",
    "prototype_sinkhorn 65536",
    "step 224",
    "augment 224",
    "koleo 262144",
]
TRIAL = [
    "prototype_cross_entropy 256",
    "koleo 256",
    "adamw 16",
    "prototype_sinkhorn 256",
    "step 16",
    "augment 16",
]
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
OUT_OF_MEMORY = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)


def say(**line):
    print(json.dumps(line), flush=True)


# AdamW has nothing to round; a step in f32 is not what anyone would train with.
PRECISIONS = {"adamw": ["f32"], "step": ["bf16"]}


def command(program, case):
    """Ops are timed by the native program, the whole step by Node, which must be named."""
    if not case.startswith("step"):
        return [program, "bench", case], None
    script = pathlib.Path(__file__).with_name("step.mjs")
    libraries = {"LD_LIBRARY_PATH": os.environ.get("PROTEA_LIBRARIES", "")}
    return [os.environ["PROTEA_NODE"], str(script), case.split()[1]], {**os.environ, **libraries}


def protea(program, case):
    words, environment = command(program, case)
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, env=environment)
    lines = done.stdout.splitlines()
    if done.returncode:
        raise RuntimeError(" / ".join(lines[-3:]))
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return {line["precision"]: line for line in found}


def peer(case, precision):
    """(variant, ms, bytes, what went wrong) of each variant."""
    make = PEERS.get(case["op"])
    for variant, call in make(case["shape"], DTYPES[precision]).items() if make else ():
        try:
            yield variant, *clock.timed(call), None
        except OUT_OF_MEMORY:
            yield variant, None, None, "out of memory"
        except Exception as error:  # one variant that fails must not take the others with it
            yield variant, None, None, f"{type(error).__name__}: {str(error)[:200]}"
        if device == "cuda":
            torch.cuda.empty_cache()


def compare(program, op, size, rates):
    """Protea as soon as it is timed, so that a time limit leaves something; then again."""
    first = protea(program, f"{op} {size}")
    shape = next(iter(first.values()))["shape"]
    for precision, line in first.items():
        floor = floors.floor_ms(op, shape, precision, rates)
        say(**{**line, "impl": "protea", "size": size, "floor_ms": floor})
    for precision in PRECISIONS.get(op, DTYPES):  # KoLeo may look for neighbours in bf16
        for variant, ms, used, error in peer({"op": op, "shape": shape}, precision):
            name = f"torch-{variant}"
            line = {"op": op, "shape": shape, "size": size, "impl": name, "precision": precision}
            say(**line, ms_median=ms, bytes=used, error=error)
    for line in protea(program, f"{op} {size}").values():
        say(**line, impl="protea", size=size)


def main():
    arguments = [a for a in sys.argv[1:] if a != "--trial"]
    program, filter = arguments[0], arguments[1].lower() if len(arguments) > 1 else ""
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("highest")
    rates = floors.measured_rates(device)
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    say(torch=torch.__version__, device=name, rates=rates)
    for case in TRIAL if "--trial" in sys.argv else CASES:
        if case.startswith(filter):
            try:
                compare(program, *case.split(), rates)
            except RuntimeError as error:
                op, size = case.split()
                say(op=op, size=size, impl="protea", precision="f32", error=str(error))


main()
