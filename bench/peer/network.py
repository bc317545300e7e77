"""A ViT with a DINO head and its training step in PyTorch, for the peers on the CPU and on a GPU."""
import torch
import torch.nn.functional as F

T_STUDENT, T_TEACHER = 0.1, 0.04


def dino_loss(student, teacher, center, views, teacher_views):
    """One log-softmax, one einsum over all pairs: the fastest plain formulation measured."""
    k = student.shape[-1]
    log_p = F.log_softmax(student.view(views, -1, k) / T_STUDENT, dim=-1)
    q = F.softmax((teacher.view(teacher_views, -1, k) - center) / T_TEACHER, dim=-1)
    keep = 1 - torch.eye(views, teacher_views, device=student.device)
    return -(torch.einsum("vbk,ubk->vu", log_p, q) * keep).sum() / (log_p.shape[1] * keep.sum())


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


def training_step(s, device="cpu", dtype=torch.float32, wrap=lambda network: network):
    """A call that does one step: teacher, student, loss, backward, clip, AdamW, EMA. Products are
    of `dtype` under autocast; `wrap` may compile the networks."""
    student, teacher = Network(s).to(device), Network(s).to(device)
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    decay = [p for p in student.parameters() if p.ndim > 1]
    plain = [p for p in student.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.04}, {"params": plain, "weight_decay": 0.0}]
    fastest = {"fused": True} if device == "cuda" else {"foreach": True}
    optimiser = torch.optim.AdamW(groups, lr=5e-4, **fastest)
    large = torch.randn(2 * s["images"], 3, s["globalSize"], s["globalSize"], device=device)
    small = torch.randn(s["locals"] * s["images"], 3, s["localSize"], s["localSize"], device=device)
    center = torch.zeros(s["prototypes"], device=device)
    of_student, of_teacher = wrap(student), wrap(teacher)

    def loss():
        with torch.autocast(device, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            with torch.no_grad():
                target = of_teacher([large]).float()
            return dino_loss(of_student([large, small]).float(), target, center, 2 + s["locals"], 2)

    def call():
        optimiser.zero_grad(set_to_none=True)
        loss().backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 3.0)
        optimiser.step()
        with torch.no_grad():
            ours, theirs = list(student.parameters()), list(teacher.parameters())
            torch._foreach_mul_(theirs, 0.996)
            torch._foreach_add_(theirs, ours, alpha=0.004)

    return call
