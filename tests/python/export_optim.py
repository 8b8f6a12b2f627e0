"""Writes what torch.optim, timm.optim, their schedulers and torch.amp.GradScaler compute, for the
C++ tests to compare with.

    export_optim.py OUT.safetensors

RULE/start/NAME, RULE/grad/STEP/NAME, RULE/after/NAME for each update rule, float64 (muon_bf16:
float32); schedule/NAME: the learning rate of each step; plateau/NAME/values and plateau/NAME/rates;
clip/grad/NAME, clip/clipped/NAME, clip/norm; scaler/scale after each of a row of good and bad steps.
"""

import functools
import sys

import timm.optim.muon
import timm.scheduler
import torch
from safetensors.torch import save_file
from torch.optim import lr_scheduler

STEPS = 20
SHAPES = {"bias": (7,), "conv": (8, 3, 3, 3), "depthwise": (8, 1, 3, 3), "linear": (5, 11), "pointwise": (6, 8, 1, 1)}
MATRICES = {"tall": (40, 12), "wide": (12, 40)}
FILTERS = ("conv", "pointwise")


class Both:
    """Two optimizers, each of its own parameters."""

    def __init__(self, *optimizers):
        self.optimizers = optimizers

    def step(self):
        for optimizer in self.optimizers:
            optimizer.step()


def muon(p, scale, **rest):
    """timm's Muon for the filters, AdamW for the rest."""
    others = [v for n, v in p.items() if n not in FILTERS]
    return Both(
        timm.optim.muon.Muon(
            [p[n] for n in FILTERS], lr=1e-2, momentum=0.95, nesterov=True, ns_coefficients="original",
            adjust_lr_fn=scale, weight_decay=1e-1,
        ),
        torch.optim.AdamW(others, weight_decay=1e-1, **rest),
    )


def divided(p):
    """AdamW whose one-dimensional parameters have no weight decay, conv a tenth of the rate."""
    groups = [
        {"params": [p["bias"]], "weight_decay": 0.0},
        {"params": [p["conv"]], "lr": 1e-3, "weight_decay": 0.3},
        {"params": [p["depthwise"], p["linear"], p["pointwise"]]},
    ]
    return torch.optim.AdamW(groups, lr=1e-2, weight_decay=1e-1)


RULES = {
    "adam": lambda p: torch.optim.Adam(p.values(), lr=1e-2, weight_decay=1e-2),
    "adamw": lambda p: torch.optim.AdamW(p.values(), lr=1e-2, weight_decay=1e-1),
    "sgd": lambda p: torch.optim.SGD(p.values(), lr=1e-2, momentum=0.9, weight_decay=1e-2),
    "nesterov": lambda p: torch.optim.SGD(p.values(), lr=1e-2, momentum=0.9, weight_decay=1e-2, nesterov=True),
    "rmsprop": lambda p: timm.optim.RMSpropTF(p.values(), lr=1e-2, alpha=0.9, momentum=0.9, eps=1e-3, weight_decay=1e-2),
    "rmsprop_plain": lambda p: timm.optim.RMSpropTF(p.values(), lr=1e-2, alpha=0.8, momentum=0.0, weight_decay=1e-2),
    "lion": lambda p: timm.optim.Lion(p.values(), lr=1e-2, betas=(0.9, 0.99), weight_decay=1e-1),
    "muon": lambda p: muon(p, "match_rms_adamw", lr=1e-2),
    "muon_original": lambda p: muon(p, "original", lr=3e-3),
    "divided": divided,
}


def export_rule(out, rule, make, shapes, dtype):
    parameters = {n: torch.randn(s, dtype=dtype, requires_grad=True) for n, s in shapes.items()}
    out |= {f"{rule}/start/{n}": p.detach().clone() for n, p in parameters.items()}
    optimizer = make(parameters)
    for step in range(STEPS):
        for name, p in parameters.items():
            p.grad = torch.randn_like(p)
            out[f"{rule}/grad/{step}/{name}"] = p.grad.clone()
        optimizer.step()
    out |= {f"{rule}/after/{n}": p.detach().clone() for n, p in parameters.items()}


def rates(make, steps=STEPS):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    scheduler = make(optimizer)
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if isinstance(scheduler, timm.scheduler.scheduler.Scheduler):
            scheduler.step_update(step + 1)
        else:
            scheduler.step()
    return torch.tensor(found, dtype=torch.float64)


SCHEDULES = {
    "one_cycle_cos": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=STEPS),
    "one_cycle_linear": lambda o: lr_scheduler.OneCycleLR(
        o, 0.1, total_steps=STEPS, pct_start=0.45, div_factor=10, final_div_factor=100, anneal_strategy="linear"
    ),
    "one_cycle_falls": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=STEPS, pct_start=0.0),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.01),
    "linear": lambda o: lr_scheduler.LinearLR(o, 1.0, 0.1, total_iters=STEPS),
    "polynomial": lambda o: lr_scheduler.PolynomialLR(o, STEPS, power=2.0),
    "polynomial_min": lambda o: timm.scheduler.PolyLRScheduler(o, STEPS, power=0.9, lr_min=0.01, t_in_epochs=False),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.94),
}


def export_plateau(out, name, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    sign = -1.0 if options["mode"] == "max" else 1.0
    falling = torch.tensor([2.0, 1.5, 1.5, 1.49, 1.495, 1.6, 1.4, float("nan"), 1.41, 1.4, 1.4, 1.4, 1.4, 1.39, 1.39, 1.39, 1.39, 1.39, 1.39, 1.39])
    values = (falling if sign > 0 else 2.5 - falling).double()
    found = []
    for value in values:
        scheduler.step(value.item())
        found.append(optimizer.param_groups[0]["lr"])
    out[f"plateau/{name}/values"] = values
    out[f"plateau/{name}/rates"] = torch.tensor(found, dtype=torch.float64)


def main():
    torch.manual_seed(0)
    out = {}
    # The iterations in float64: rounding to bfloat16 would hide everything else.
    rounding = timm.optim.muon.zeropower_via_newtonschulz
    timm.optim.muon.zeropower_via_newtonschulz = functools.partial(rounding, dtype=torch.float64)
    for rule, make in RULES.items():
        export_rule(out, rule, make, SHAPES, torch.float64)
    export_rule(
        out, "muon_bf16", lambda p: torch.optim.Muon(p.values(), lr=1e-2, weight_decay=1e-1), MATRICES, torch.float32
    )
    out |= {f"schedule/{name}": rates(make) for name, make in SCHEDULES.items()}
    export_plateau(out, "loss", mode="min", factor=0.5, patience=1)
    export_plateau(out, "accuracy", mode="max", factor=0.1, patience=2, threshold=0.02, min_lr=0.003)

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
    save_file({n: t.contiguous() for n, t in out.items()}, sys.argv[1])


if __name__ == "__main__":
    main()
