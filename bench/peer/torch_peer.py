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

T_STUDENT, T_TEACHER = 0.1, 0.04


def unit(*shape):
    return F.normalize(torch.randn(*shape), dim=-1)


def dino_loss(student, teacher, center, views, teacher_views):
    """One log-softmax, one einsum over all pairs: the fastest plain formulation measured."""
    k = student.shape[-1]
    log_p = F.log_softmax(student.view(views, -1, k) / T_STUDENT, dim=-1)
    q = F.softmax((teacher.view(teacher_views, -1, k) - center) / T_TEACHER, dim=-1)
    keep = 1 - torch.eye(views, teacher_views)
    return -(torch.einsum("vbk,ubk->vu", log_p, q) * keep).sum() / (log_p.shape[1] * keep.sum())


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


class Block(torch.nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        nn = torch.nn
        self.heads, self.norm1, self.norm2 = heads, nn.LayerNorm(dim, 1e-6), nn.LayerNorm(dim, 1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            y = (q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5).softmax(-1) @ v
        x = x + self.proj(y.transpose(1, 2).reshape(b, n, c))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Network(torch.nn.Module):
    """A ViT with CLS and a DINO head; the positional table is resampled for small crops."""

    def __init__(self, s):
        super().__init__()
        nn, dim = torch.nn, s["dim"]
        self.grid = s["globalSize"] // s["patch"]
        self.embed = nn.Conv2d(3, dim, s["patch"], s["patch"])
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.randn(1, 1 + self.grid**2, dim) * 0.02)
        self.blocks = nn.ModuleList(Block(dim, s["heads"]) for _ in range(s["depth"]))
        self.norm = nn.LayerNorm(dim, 1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(dim, s["hidden"]), nn.GELU(), nn.Linear(s["hidden"], s["hidden"]), nn.GELU(),
            nn.Linear(s["hidden"], s["bottleneck"]),
        )
        self.prototypes = nn.Parameter(torch.randn(s["prototypes"], s["bottleneck"]))

    def table(self, side):
        if side == self.grid:
            return self.position
        grid = self.position[:, 1:].reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
        return torch.cat([self.position[:, :1], grid.flatten(2).transpose(1, 2)], 1)

    def features(self, image):
        x = self.embed(image)
        side = x.shape[-1]
        x = torch.cat([self.cls.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1)
        x = x + self.table(side)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]

    def forward(self, groups):
        z = F.normalize(self.mlp(torch.cat([self.features(g) for g in groups])), dim=-1)
        return z @ F.normalize(self.prototypes, dim=-1).t()


def step(s):
    student, teacher = Network(s), Network(s)
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    decay = [p for p in student.parameters() if p.ndim > 1]
    plain = [p for p in student.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.04}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=5e-4, foreach=True)
    large = torch.randn(2 * s["images"], 3, s["globalSize"], s["globalSize"])
    small = torch.randn(s["locals"] * s["images"], 3, s["localSize"], s["localSize"])
    center = torch.zeros(s["prototypes"])

    def call():
        optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            target = teacher([large])
        loss = dino_loss(student([large, small]), target, center, 2 + s["locals"], 2)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 3.0)
        optimiser.step()
        with torch.no_grad():
            ours, theirs = list(student.parameters()), list(teacher.parameters())
            torch._foreach_mul_(theirs, 0.996)
            torch._foreach_add_(theirs, ours, alpha=0.004)

    return call


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
