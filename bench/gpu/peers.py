"""The timed ops as one would write them in PyTorch: {variant: a call that does it once}."""
import pathlib
import sys

import torch
import torch.nn.functional as F

sys.path.append(str(pathlib.Path(__file__).parent.parent / "peer"))
from network import training_step  # noqa: E402

P, VIEWS, TEACHER_VIEWS, T_STUDENT, T_TEACHER = 256, 10, 2, 0.1, 0.04
BLOCK = 4096  # rows of similarities at a time

device = "cuda" if torch.cuda.is_available() else "cpu"


def unit(rows, dtype):
    return F.normalize(torch.randn(rows, P, device=device), dim=-1).to(dtype)


def compiled(function):
    """None in a PyTorch without a compiler."""
    return torch.compile(function) if hasattr(torch, "compile") else None


def differentiated(variants, *inputs):
    def once(function):
        def call():
            for x in inputs:
                x.grad = None
            function(*inputs).backward()

        return call

    return {name: once(loss) for name, loss in variants.items() if loss}


def cross_entropy(shape, dtype):
    """One log-softmax and one einsum over all pairs: the fastest plain formulation measured."""
    images, k = shape["images"], shape["prototypes"]
    z, w = unit(VIEWS * images, dtype).requires_grad_(), unit(k, dtype).requires_grad_()
    zt, wt = unit(TEACHER_VIEWS * images, dtype), unit(k, dtype)
    bias = torch.rand(k, device=device)
    keep = 1 - torch.eye(VIEWS, TEACHER_VIEWS, device=device)

    def loss(z, w):
        log_p = F.log_softmax((z @ w.t()).float().view(VIEWS, -1, k) / T_STUDENT, dim=-1)
        q = F.softmax((zt @ wt.t()).float().view(TEACHER_VIEWS, -1, k) / T_TEACHER + bias, dim=-1)
        return -(torch.einsum("vbk,ubk->vu", log_p, q) * keep).sum() / (images * keep.sum())

    return differentiated({"eager": loss, "compile": compiled(loss)}, z, w)


def nearest(rows, x, itself):
    return (rows @ x.t()).scatter(1, itself, -2).argmax(1)


def distances(w, other):
    x = F.normalize(w, dim=-1)
    return -torch.log((x - x[other]).norm(dim=-1) + 1e-8).mean()


def koleo(shape, dtype):
    """Neighbours a block of rows at a time: all similarities would not fit. The parts are compiled
    one by one, since a loop over blocks compiles for minutes and gains nothing."""
    w = torch.randn(shape["prototypes"], P, device=device, requires_grad=True)
    itself = torch.arange(len(w), device=device)[:, None]

    def loss_by(nearest, distances):
        def loss(w):
            with torch.no_grad():
                x = F.normalize(w, dim=-1).to(dtype)
                blocks = zip(x.split(BLOCK), itself.split(BLOCK))
                other = torch.cat([nearest(rows, x, i) for rows, i in blocks])
            return distances(w, other)

        return loss

    parts = compiled(nearest), compiled(distances)
    variants = {"eager": loss_by(nearest, distances), "compile": all(parts) and loss_by(*parts)}
    return differentiated(variants, w)


def adamw(shape, dtype):
    """Clip, step and teacher. Eager takes PyTorch's fused kernel, which its compiler does not."""
    n = shape["width"]
    rows = [1, n, 3 * n, 4 * n, 4 * n] * 12
    student = [torch.randn(r, n, device=device).mul_(0.1).requires_grad_() for r in rows]
    teacher = [torch.randn(r, n, device=device) for r in rows]
    for p in student:
        p.grad = torch.randn_like(p)

    def step_with(**options):
        optimiser = torch.optim.AdamW(student, lr=1e-4, weight_decay=0.05, **options)

        @torch.no_grad()
        def step():
            torch.nn.utils.clip_grad_norm_(student, 3.0)
            optimiser.step()
            torch._foreach_mul_(teacher, 0.996)
            torch._foreach_add_(teacher, student, alpha=0.004)

        return step

    on_gpu = device == "cuda"
    variants = {
        "eager": step_with(**({"fused": True} if on_gpu else {"foreach": True})),
        "compile": compiled(step_with(foreach=True, capturable=on_gpu)),
    }
    return {name: call for name, call in variants.items() if call}


def sinkhorn(shape, dtype):
    """Three iterations over the scores of a batch, as SwAV's and DINOv2's code: rows, columns, rows."""
    z, w = unit(shape["rows"], dtype), unit(shape["prototypes"], dtype)

    @torch.no_grad()
    def assign():
        q = torch.exp((z @ w.t()).float() / 0.05).t()
        q /= q.sum()
        for _ in range(3):
            q /= q.sum(1, keepdim=True) * len(q)
            q /= q.sum(0, keepdim=True) * q.shape[1]
        return q * q.shape[1]

    variants = {"eager": assign, "compile": compiled(assign)}
    return {name: call for name, call in variants.items() if call}


def step(shape, dtype):
    """The whole step of DINO; compiled are the networks, as one would."""
    yield "eager", training_step(shape, device, dtype)
    if hasattr(torch, "compile"):
        yield "compile", training_step(shape, device, dtype, torch.compile)


PEERS = {
    "prototype_cross_entropy": cross_entropy,
    "koleo": koleo,
    "adamw": adamw,
    "prototype_sinkhorn": sinkhorn,
    "step": lambda shape, dtype: dict(step(shape, dtype)),
}
