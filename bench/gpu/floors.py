"""What no implementation can beat: the least operations and bytes of an op, at the rates that this card
reaches in large products and copies. Launches are not in it, nor exponentials."""
import torch

from clock import timed

P, ROWS_AN_IMAGE = 256, 12  # ten views of the student, two of the teacher


def rate(work, call):
    return work / (1e-3 * timed(call)[0])


def product_rate(n, dtype, device):
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return rate(2.0 * n**3, lambda: a @ b)


def measured_rates(device):
    """FLOP/s by precision, bytes/s of a copy."""
    n = 8192 if device == "cuda" else 256
    x = torch.randn(n, 4 * n, device=device)
    y = torch.empty_like(x)
    return {
        "f32": product_rate(n // 2, torch.float32, device),
        "bf16": product_rate(n, torch.bfloat16, device),
        "copy": rate(2.0 * x.numel() * x.element_size(), lambda: y.copy_(x)),
    }


def cross_entropy(s, size):
    """Flash attention over prototypes, computed again in the sweep for dW: eight products."""
    rows, k = ROWS_AN_IMAGE * s["images"], s["prototypes"]
    return 8.0 * rows * k * P, (4.0 * size + 4) * k * P + 8.0 * rows * P


def koleo(s, size):
    """Half of all similarities; the gradient is of the size of the prototypes."""
    k = s["prototypes"]
    return 1.0 * k * k * P, 3.0 * 4 * k * P


def adamw(s, size):
    """Five arrays read, four written."""
    n = s["width"]
    return 0.0, 9.0 * 4 * 12 * (12 * n + 1) * n


def sinkhorn(s, size):
    """The scores once: with room for them in the cache, iterations cost little beside them."""
    rows, k = s["rows"], s["prototypes"]
    return 2.0 * rows * k * P, 1.0 * size * (rows + k) * P + 4.0 * k


def augment(s, size):
    """What is written, and as many bytes again of pictures at least."""
    pixels = s["images"] * 3 * (2 * s["global"] ** 2 + 8 * s["local"] ** 2)
    return 0.0, 4.0 * pixels


def crop(s, pixels):
    """Products of one crop on its way through the blocks."""
    n, d = (pixels // s["patch"]) ** 2 + 1, s["dim"]
    return s["depth"] * (24.0 * n * d * d + 4.0 * n * n * d) + 6.0 * n * s["patch"] ** 2 * d


def step(s, size):
    """Forward, and twice as much backward for the student; AdamW's bytes are left out."""
    large, small = crop(s, s["globalSize"]), crop(s, s["localSize"])
    head = 2.0 * (s["dim"] * s["hidden"] + s["hidden"] ** 2 + s["hidden"] * s["bottleneck"])
    views = 2 + s["locals"]
    image = 2 * large * (3 + 1) + s["locals"] * small * 3 + head * (3 * views + 2)
    rows = s["images"] * (views + 2)
    return s["images"] * image + 8.0 * rows * s["prototypes"] * s["bottleneck"], 0.0


COSTS = {
    "prototype_cross_entropy": cross_entropy,
    "koleo": koleo,
    "adamw": adamw,
    "prototype_sinkhorn": sinkhorn,
    "augment": augment,
    "step": step,
}


def floor_ms(op, shape, precision, rates):
    flops, moved = COSTS[op](shape, 4 if precision == "f32" else 2)
    return 1e3 * max(flops / rates[precision], moved / rates["copy"])
