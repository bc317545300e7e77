"""The same work in PyTorch, for `protea bench --peer torch`.

Reads JSON lines: {"case": name, "shape": {...}} prepares, {"run": true} times one call, {"memory":
true} measures by how much one call raises the peak. Answers each with one JSON line.
"""
import gc
import json
import os
import sys
import time

import torch
import torch.nn.functional as F

from network import dino_loss, training_step


def unit(*shape):
    return F.normalize(torch.randn(*shape), dim=-1)


def prototype_cross_entropy(s):
    zs = unit(s["views"] * s["images"], s["dim"]).requires_grad_()
    ws = unit(s["prototypes"], s["dim"]).requires_grad_()
    zt, wt = unit(2 * s["images"], s["dim"]), unit(s["prototypes"], s["dim"])
    center = torch.zeros(s["prototypes"])

    def call():
        zs.grad = ws.grad = None
        dino_loss(zs @ ws.t(), zt @ wt.t(), center, s["views"], 2).backward()

    return call


def koleo(s):
    v = torch.randn(s["prototypes"], s["dim"], requires_grad=True)

    def nearest(x, rows=1024):
        found = []
        for low in range(0, len(x), rows):
            similarity = x[low : low + rows] @ x.t()
            i = torch.arange(len(similarity))
            similarity[i, i + low] = -2
            found.append(similarity.argmax(1))
        return torch.cat(found)

    def call():
        v.grad = None
        x = F.normalize(v, dim=-1)
        with torch.no_grad():
            other = nearest(x)
        (-torch.log((x - x[other]).norm(dim=-1) + 1e-8).mean()).backward()

    return call


def linear(s):
    x = torch.randn(s["rows"], s["in"], requires_grad=True)
    w = torch.randn(s["out"], s["in"], requires_grad=True)
    b = torch.zeros(s["out"], requires_grad=True)
    up = torch.randn(s["rows"], s["out"])

    def call():
        x.grad = w.grad = b.grad = None
        F.linear(x, w, b).backward(up)

    return call


def attention(s):
    qkv = torch.randn(s["images"], s["tokens"], 3 * s["dim"], requires_grad=True)
    up = torch.randn(s["images"], s["tokens"], s["dim"])
    d = s["dim"] // s["heads"]

    def call():
        qkv.grad = None
        q, k, v = qkv.view(*qkv.shape[:2], 3, s["heads"], d).permute(2, 0, 3, 1, 4)
        p = (q @ k.transpose(-2, -1) * d**-0.5).softmax(-1)
        (p @ v).transpose(1, 2).reshape(up.shape).backward(up)

    return call


def step(s):
    return training_step(s)


CASES = {f.__name__: f for f in (prototype_cross_entropy, koleo, linear, attention, step)}


def status(field):
    with open("/proc/self/status") as lines:
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def timed(call):
    begin = time.perf_counter()
    call()
    return {"ms": 1e3 * (time.perf_counter() - begin)}


def growth(call):
    """How far the peak of the process rises above what it holds before the call."""
    gc.collect()
    try:
        with open("/proc/self/clear_refs", "w") as reset:
            reset.write("5")
    except OSError:
        return {"bytes": 0}
    before = status("VmRSS")
    call()
    return {"bytes": max(0, status("VmHWM") - before)}


def main():
    # Some builds start with one thread.
    torch.set_num_threads(int(os.environ.get("PROTEA_THREADS", os.cpu_count())))
    call = None
    for line in sys.stdin:
        request = json.loads(line)
        if "case" in request:
            torch.manual_seed(0)
            call = CASES[request["case"]](request["shape"])
            answer = {"ready": True, "torch": torch.__version__, "threads": torch.get_num_threads()}
        else:
            answer = growth(call) if request.get("memory") else timed(call)
        print(json.dumps(answer), flush=True)


main()
