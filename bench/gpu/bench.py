"""Protea's ops on a GPU against PyTorch, eager and compiled, in one run.

bench.py PROGRAM [FILTER] [--trial]: PROGRAM is protea-native-test of a CUDA build. Each case is timed
by Protea, by PyTorch, and by Protea again; the better of the two counts. Prints JSON lines as it goes;
the first one has the card's rates. --trial takes tiny shapes, to try the program without a GPU.
"""
import json
import subprocess
import sys

import torch

import clock
import floors
from peers import PEERS, device

# In order of importance: a time limit may cut off the end.
CASES = ["prototype_cross_entropy 65536", "koleo 65536", "adamw 384", "koleo 262144"]
TRIAL = ["prototype_cross_entropy 256", "koleo 256", "adamw 16"]
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
OUT_OF_MEMORY = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)


def say(**line):
    print(json.dumps(line), flush=True)


def protea(program, case):
    done = subprocess.run([program, "bench", case], text=True, stdout=subprocess.PIPE)
    lines = done.stdout.splitlines()
    if done.returncode:
        raise RuntimeError(" / ".join(lines[-3:]))
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return {line["precision"]: line for line in found}


def peer(case, precision):
    """(variant, ms, bytes, what went wrong) of each variant."""
    for variant, call in PEERS[case["op"]](case["shape"], DTYPES[precision]).items():
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
    # AdamW has nothing to round; KoLeo may look for neighbours in bf16.
    for precision in DTYPES if op != "adamw" else ["f32"]:
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
