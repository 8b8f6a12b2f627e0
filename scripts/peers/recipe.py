#!/usr/bin/env python3
"""The peer of a recipe: the same network, batches, optimizer, schedule and average in PyTorch eager.

    xception config --recipe NAME > recipe.json
    scripts/peers/recipe.py --config recipe.json --data data

Reads a resolved config of CIFAR-10 recipes on CPUs: models xception (tests/python/reference_xception.py,
compared with timm's) and resnet9, transforms pad_and_crop and horizontal_flip, images that grow, optimizers adamw, sgd and muon,
schedules one_cycle and cosine, label smoothing, average ema. It draws other random numbers, so the
figures are those of another seed. Prints a line an epoch: seconds of training so far, validation
accuracy. `--seconds N` stops after so many. Needs the test environment that scripts/test.sh makes.
"""
import argparse
import copy
import json
import math
import pathlib
import sys
import time

import waiting_policy  # before torch loads OpenMP  # noqa: F401
import torch
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as T

from train_cifar10 import augment, read_batches

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/python"))
from reference_resnet9 import ReferenceResNet9  # noqa: E402
from reference_xception import ReferenceXception  # noqa: E402


class FilterMuon(torch.optim.Muon):
    """torch.optim.Muon takes matrices only: filters are seen as (out, in * height * width)."""

    def __init__(self, filters, **options):
        self.filters = filters
        self.matrices = [torch.nn.Parameter(f.detach().flatten(1)) for f in filters]  # the same memory
        super().__init__(self.matrices, **options)

    def step(self):
        for matrix, parameter in zip(self.matrices, self.filters):
            matrix.grad = parameter.grad.reshape(matrix.shape)
        super().step()


def optimizers(model, config):
    """[(optimizer, factor of the learning rate)]"""
    o = config["optimizer"]
    decay = [p for p in model.parameters() if p.dim() > 1 or o["decay_norm_and_bias"]]
    others = [p for p in model.parameters() if p.dim() <= 1 and not o["decay_norm_and_bias"]]
    groups = [{"params": decay, "weight_decay": o["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    groups = [g for g in groups if g["params"]]
    betas = (o["beta1"], o["beta2"])
    if o["name"] == "sgd":
        return [(torch.optim.SGD(groups, o["lr"], momentum=o["momentum"], nesterov=o["nesterov"], fused=True), 1.0)]
    if o["name"] == "adamw":
        return [(torch.optim.AdamW(groups, o["lr"], betas, o["eps"], fused=True), 1.0)]
    if o["name"] != "muon":
        raise SystemExit(f"recipe.py: no optimizer {o['name']}")
    excluded = [pattern.strip("*").strip(".") for pattern in o["muon_exclude"]]
    filters = [p for name, p in model.named_parameters()
               if p.dim() > 1 and not (p.dim() > 2 and p.shape[1] == 1) and name.split(".")[0] not in excluded]
    ids = {id(p) for p in filters}
    for group in groups:
        group["params"] = [p for p in group["params"] if id(p) not in ids]
    muon = FilterMuon(filters, lr=o["lr"], momentum=o["muon_momentum"], weight_decay=o["weight_decay"],
                      ns_steps=o["muon_steps"], adjust_lr_fn="match_rms_adamw")
    adamw_lr = o["adamw_lr"] or o["lr"]
    return [(muon, 1.0), (torch.optim.AdamW(groups, adamw_lr, betas, o["eps"], fused=True), adamw_lr / o["lr"])]


def rates(config, steps):
    s, lr = config["schedule"], config["optimizer"]["lr"]
    if s["name"] == "one_cycle":
        optimizer = torch.optim.SGD([torch.zeros(1)], lr)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, lr, total_steps=steps, pct_start=s["pct_start"], anneal_strategy=s["anneal"],
            div_factor=s["div_factor"], final_div_factor=s["final_div_factor"], cycle_momentum=False)
        found = []
        for _ in range(steps):
            found.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        return found
    if s["name"] == "cosine":
        warm = round(s["warmup_epochs"] * steps / config["train"]["epochs"])
        return [lr * (i + 1) / warm if i < warm else
                s["min_lr"] + (lr - s["min_lr"]) * 0.5 * (1 + math.cos(math.pi * (i - warm) / (steps - warm)))
                for i in range(steps)]
    raise SystemExit(f"recipe.py: no schedule {s['name']}")


def flipped(images, flips):
    """Each image mirrored or not."""
    return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(3), images) if flips else images


def build(config):
    if config["name"] == "resnet9":
        return ReferenceResNet9(width=config["width"])
    if config["name"] != "xception":
        raise SystemExit(f"recipe.py: no model {config['name']}")
    return ReferenceXception(width=config["width"], middle_blocks=config["middle_blocks"], stem=config["stem"])


def image_size(data, epoch):
    """Side of training images in an epoch counted from 0, as data.progressive_size has it grow."""
    least, start, end = data["progressive_size"], data["progressive_start"], data["progressive_end"]
    if least == 0 or epoch >= end:
        return data["image_size"]
    share = max(0, epoch - start) / (end - start)
    return min(max(8 * math.floor((least + share * (data["image_size"] - least)) / 8 + 0.5), least), data["image_size"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=pathlib.Path, required=True, help="as `xception config` prints it")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with cifar-10-batches-bin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=math.inf, help="of training, then stop")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    config = json.loads(args.config.read_text())
    train = config["train"]

    folder = args.data / "cifar-10-batches-bin"
    images, labels = read_batches(folder, sorted(p.name for p in folder.glob("data_batch_*.bin")))
    order = torch.randperm(len(images))
    validation, training = order[:5000], order[5000:]
    training = training[: config["data"]["train_limit"] or None]

    model = build(config["model"]).to(memory_format=torch.channels_last)
    padding = sum(t.get("padding", 4) for t in config["augment"]["train"] if t["name"] == "pad_and_crop")
    flips = any(t["name"] == "horizontal_flip" for t in config["augment"]["train"])
    mean, std = (torch.tensor(config["augment"][k]).view(1, 3, 1, 1) for k in ("mean", "std"))

    def prepare(batch):
        return batch.float().div(255).sub(mean).div(std).contiguous(memory_format=torch.channels_last)

    parts = optimizers(model, config)
    steps = math.ceil(len(training) / train["batch_size"])
    lrs = rates(config, steps * train["epochs"])
    average = copy.deepcopy(model).eval() if config["average"]["name"] == "ema" else model
    seconds, step = 0.0, 0
    for epoch in range(train["epochs"]):
        model.train()
        size = image_size(config["data"], epoch)
        start = time.perf_counter()
        shuffled = training[torch.randperm(len(training))]
        for first in range(0, len(shuffled), train["batch_size"]):
            index = shuffled[first : first + train["batch_size"]]
            batch = augment(images[index], padding) if padding else flipped(images[index], flips)
            if size != batch.shape[-1]:
                batch = T.resize(batch, [size, size], antialias=True)
            batch = prepare(batch)
            for optimizer, _ in parts:
                optimizer.zero_grad(set_to_none=True)
            model.zero_grad(set_to_none=True)
            F.cross_entropy(model(batch), labels[index], label_smoothing=train["label_smoothing"]).backward()
            for optimizer, factor in parts:
                for group in optimizer.param_groups:
                    group["lr"] = lrs[step] * factor
                optimizer.step()
            if average is not model:
                decay = config["average"]["decay"]
                if config["average"]["decay_warmup"]:
                    decay = min(decay, (1 + step) / (10 + step))
                with torch.no_grad():
                    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
                    torch._foreach_lerp_([b for b in average.buffers() if b.is_floating_point()],
                                         [b for b in model.buffers() if b.is_floating_point()], 1 - decay)
            step += 1
            if seconds + time.perf_counter() - start > args.seconds:
                break
        seconds += time.perf_counter() - start
        model.eval()
        with torch.inference_mode():
            correct = sum((average(prepare(images[i])).argmax(1) == labels[i]).sum().item()
                          for i in validation.split(250))
        print(json.dumps({"epoch": epoch + 1, "step": step, "seconds": round(seconds, 1),
                          "images_per_second": round(step * train["batch_size"] / seconds, 1),
                          "val_acc": correct / len(validation)}), flush=True)
        if seconds >= args.seconds:
            break


if __name__ == "__main__":
    main()
