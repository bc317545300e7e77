"""Protea's ops on a GPU against PyTorch, eager and compiled, in one run.

bench.py PROGRAM [FILTER]: PROGRAM is protea-native-test of a CUDA build. Each case is timed by
Protea, by PyTorch, and by Protea again; the better of the two counts. Prints JSON lines, and a table
on stderr.
"""
import json
import statistics
import subprocess
import sys

import torch
import torch.nn.functional as F

torch.manual_seed(0)
P, VIEWS, TEACHER_VIEWS, T_STUDENT, T_TEACHER = 256, 10, 2, 0.1, 0.04
WARM_UP, RUNS = 3, 20


def unit(rows, dtype):
    return F.normalize(torch.randn(rows, P, device="cuda"), dim=-1).to(dtype)


def cross_entropy(shape, dtype):
    """One log-softmax and one einsum over all pairs: the fastest plain formulation measured."""
    images, k = shape["images"], shape["prototypes"]
    z, w = unit(VIEWS * images, dtype).requires_grad_(), unit(k, dtype).requires_grad_()
    zt, wt = unit(TEACHER_VIEWS * images, dtype), unit(k, dtype)
    bias = torch.rand(k, device="cuda")
    keep = 1 - torch.eye(VIEWS, TEACHER_VIEWS, device="cuda")

    def loss(z, w):
        log_p = F.log_softmax((z @ w.t()).float().view(VIEWS, -1, k) / T_STUDENT, dim=-1)
        q = F.softmax((zt @ wt.t()).float().view(TEACHER_VIEWS, -1, k) / T_TEACHER + bias, dim=-1)
        return -(torch.einsum("vbk,ubk->vu", log_p, q) * keep).sum() / (images * keep.sum())

    return differentiated(loss, z, w)


def koleo(shape, dtype):
    w = torch.randn(shape["prototypes"], P, device="cuda", requires_grad=True)

    def loss(w):
        x = F.normalize(w, dim=-1)
        with torch.no_grad():
            other = torch.cat([nearest(x.to(dtype), low) for low in range(0, len(x), 4096)])
        return -torch.log((x - x[other]).norm(dim=-1) + 1e-8).mean()

    return differentiated(loss, w)


def nearest(x, low):
    similarity = x[low : low + 4096] @ x.t()
    i = torch.arange(len(similarity), device="cuda")
    similarity[i, i + low] = -2
    return similarity.argmax(1)


def differentiated(loss, *inputs):
    """{variant: a call that does it once}"""

    def once(function):
        def call():
            for x in inputs:
                x.grad = None
            function(*inputs).backward()

        return call

    return {"eager": once(loss), "compile": once(torch.compile(loss))}


def adamw(shape, dtype):
    n = shape["width"]
    rows = [1, n, 3 * n, 4 * n, 4 * n] * 12
    student = [torch.randn(r, n, device="cuda").mul_(0.1).requires_grad_() for r in rows]
    teacher = [torch.randn(r, n, device="cuda") for r in rows]
    for p in student:
        p.grad = torch.randn_like(p)
    optimiser = torch.optim.AdamW(student, lr=1e-4, weight_decay=0.05, fused=True)

    def call():
        torch.nn.utils.clip_grad_norm_(student, 3.0, foreach=True)
        optimiser.step()
        torch._foreach_lerp_(teacher, [p.detach() for p in student], 0.004)

    return {"fused": call}


def timed(call):
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    for i in range(WARM_UP + RUNS):
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        if i >= WARM_UP:
            times.append(begin.elapsed_time(end))
    return statistics.median(times), torch.cuda.max_memory_allocated() - before


PEERS = {"prototype_cross_entropy": cross_entropy, "koleo": koleo, "adamw": adamw}


def protea(program, filter):
    lines = subprocess.run([program, "bench", filter], check=True, text=True, stdout=subprocess.PIPE)
    return [json.loads(line) for line in lines.stdout.splitlines() if line.startswith("{")]


def peers(case):
    for dtype in (torch.float32, torch.bfloat16):
        if case["op"] == "adamw" and dtype != torch.float32:
            continue
        for variant, call in PEERS[case["op"]](case["shape"], dtype).items():
            name = f"torch {variant} {str(dtype).split('.')[1]}"
            try:
                yield name, *timed(call)
            except torch.OutOfMemoryError:
                yield name, None, None
            torch.cuda.empty_cache()


def compare(program, op, size):
    first = protea(program, f"{op} {size}")
    others = list(peers(first[0]))
    for ours, again in zip(first, protea(program, f"{op} {size}")):
        ms = min(ours["ms_median"], again["ms_median"])
        print(json.dumps({**ours, "impl": "protea", "ms_median": ms}), flush=True)
        for name, theirs, used in others:
            ratio = theirs and theirs / ms
            line = {"op": op, "shape": ours["shape"], "impl": name, "ms_median": theirs, "bytes": used}
            print(json.dumps({**line, "against": ours["precision"], "ratio": ratio}), flush=True)
            shown = f"{theirs:.3f} ms, {ratio:.2f} times as long" if theirs else "out of memory"
            print(f"{op} {size} protea {ours['precision']} {ms:.3f} ms; {name} {shown}", file=sys.stderr)


def main():
    program, filter = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}", file=sys.stderr)
    sizes = {"prototype_cross_entropy": ["65536"], "koleo": ["65536", "262144"], "adamw": ["384"]}
    for op, of_op in sizes.items():
        for size in of_op:
            if f"{op} {size}".startswith(filter):
                compare(program, op, size)


main()
