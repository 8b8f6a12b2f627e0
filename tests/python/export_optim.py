"""Writes what torch.optim and torch.amp.GradScaler compute, for the C++ tests to compare with.

    export_optim.py OUT.safetensors

RULE/start/NAME, RULE/grad/STEP/NAME, RULE/after/NAME for each update rule, float64;
clip/grad/NAME, clip/clipped/NAME, clip/norm; scaler/scale after each of a row of good and bad steps.
"""

import sys

import torch
from safetensors.torch import save_file

STEPS = 20
SHAPES = {"bias": (7,), "conv": (8, 3, 3, 3), "depthwise": (8, 1, 3, 3), "linear": (5, 11), "pointwise": (6, 8, 1, 1)}
RULES = {
    "adam": lambda p: torch.optim.Adam(p, lr=1e-2, weight_decay=1e-2),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=1e-1),
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, weight_decay=1e-2),
}


def main():
    torch.manual_seed(0)
    out = {}
    for rule, make in RULES.items():
        parameters = {n: torch.randn(s, dtype=torch.float64, requires_grad=True) for n, s in SHAPES.items()}
        out |= {f"{rule}/start/{n}": p.detach().clone() for n, p in parameters.items()}
        optimizer = make(parameters.values())
        for step in range(STEPS):
            for name, p in parameters.items():
                p.grad = torch.randn_like(p)
                out[f"{rule}/grad/{step}/{name}"] = p.grad.clone()
            optimizer.step()
        out |= {f"{rule}/after/{n}": p.detach().clone() for n, p in parameters.items()}

    gradients = {n: torch.randn(s, dtype=torch.float64) for n, s in SHAPES.items()}
    out |= {f"clip/grad/{n}": g.clone() for n, g in gradients.items()}
    holders = [torch.nn.Parameter(torch.zeros_like(g)) for g in gradients.values()]
    for holder, gradient in zip(holders, gradients.values()):
        holder.grad = gradient.clone()
    out["clip/norm"] = torch.nn.utils.clip_grad_norm_(holders, 1.5)
    out |= {f"clip/clipped/{n}": h.grad for n, h in zip(gradients, holders)}

    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", growth_interval=2000)
    bad = torch.tensor([0, 1, 0, 0, 1, 1] + [0] * 2001)
    scales, weights = [], []
    for is_bad in bad:
        optimizer.zero_grad()
        scaler.scale(weight.sum()).backward()
        if is_bad:
            weight.grad[1] = float("inf")
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
        weights.append(weight.detach()[0].item())
    out["scaler/bad"] = bad
    out["scaler/scale"] = torch.tensor(scales, dtype=torch.float64)
    out["scaler/weight"] = torch.tensor(weights, dtype=torch.float64)
    save_file(out, sys.argv[1])


if __name__ == "__main__":
    main()
