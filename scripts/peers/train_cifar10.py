#!/usr/bin/env python3
"""The peer: the same recipe in PyTorch, as a careful practitioner would write it.

Trains timm's legacy_xception or torchvision's inception_v3 on CIFAR-10's binary files: images as
uint8 on the device; pad and crop, flip, resize, normalize on whole batches; fused Adam; autocast,
with a gradient scaler for fp16; cuDNN's benchmark; sums on the device, read once an epoch; validation
each epoch. Prints a line an epoch and, at the end, one JSON object with the curve and the images a
second.

Needs torch, torchvision, timm, numpy (the test environment that scripts/test.sh makes has them).
"""
import argparse
import contextlib
import json
import pathlib
import time

import waiting_policy  # before torch loads OpenMP  # noqa: F401
import numpy as np
import torch
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as T

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_batches(folder, names):
    records = np.concatenate([np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in names])
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(records[:, 0].astype(np.int64))


def build_model(name):
    if name == "xception":
        import timm

        return timm.create_model("legacy_xception", num_classes=10)
    from torchvision.models import inception_v3

    return inception_v3(num_classes=10, init_weights=True, aux_logits=True)


def network(name, model, size):
    """(logits, auxiliary logits or None) of a batch. Below 299 px Inception's auxiliary head can't run and is taken out."""
    if name == "xception":
        return lambda images: (model(images), None)
    if size < 299:
        model.AuxLogits = None
    return lambda images: model._forward(model._transform_input(images))


def augment(images, padding):
    """Pad and crop, flip: uint8 (N, 3, H, W) -> the same shape. Padding 0: neither."""
    if padding == 0:
        return images
    n, _, height, width = images.shape
    place = {"device": images.device}
    padded = F.pad(images, (padding,) * 4)
    top, left = torch.randint(0, 2 * padding + 1, (2, n), **place)
    rows = (top[:, None] + torch.arange(height, **place))[:, None, :, None]
    columns = left[:, None] + torch.arange(width, **place)
    columns = torch.where(torch.rand(n, 1, **place) < 0.5, columns.flip(1), columns)[:, None, None, :]
    channels = torch.arange(3, **place)[None, :, None, None]
    return padded[torch.arange(n, **place)[:, None, None, None], channels, rows, columns]


def prepare(images, size, memory_format):
    images = T.resize(images, [size, size], antialias=True)
    images = T.normalize(T.to_dtype(images, torch.float32, scale=True), MEAN, STD)
    return images.contiguous(memory_format=memory_format)


class Training:
    """A model with its optimizer, and what a training step and an evaluated batch do."""

    def __init__(self, name, size, precision, memory_format, device, lr=1e-3, padding=4, compiled=None):
        self.size, self.padding = size, padding
        self.memory_format = getattr(torch, "channels_last" if memory_format == "channels_last" else "contiguous_format")
        self.model = build_model(name).to(device, memory_format=self.memory_format)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=lr, fused=True)
        narrow = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        self.autocast = torch.autocast(device.type, narrow, enabled=narrow is not None)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self.network = network(name, self.model, size)
        if compiled:
            backend = compiled in torch._dynamo.list_backends(exclude_tags=())
            self.network = torch.compile(self.network, **({"backend": compiled} if backend else {"mode": compiled}))
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)  # loss, correct

    def train(self, images, labels):
        """A step on uint8 (N, 3, 32, 32)."""
        batch = prepare(augment(images, self.padding), self.size, self.memory_format)
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast:
            logits, aux = self.network(batch)
            loss = reported = F.cross_entropy(logits, labels)
            if aux is not None:
                loss = loss + 0.4 * F.cross_entropy(aux, labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        correct = (logits.detach().argmax(1) == labels).sum()
        self.sums += torch.stack([reported.detach().double() * len(labels), correct.double()])

    def evaluate(self, images, labels, autocast=False):
        """A batch in evaluation mode; the caller has set it and switched gradients off."""
        with self.autocast if autocast else contextlib.nullcontext():
            logits, _ = self.network(prepare(images, self.size, self.memory_format))
            self.sums[0] += F.cross_entropy(logits, labels, reduction="sum")
        self.sums[1] += (logits.argmax(1) == labels).sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with cifar-10-batches-bin")
    parser.add_argument("--model", choices=["xception", "inception_v3"], default="xception")
    parser.add_argument("--image-size", type=int, default=None, help="default: 71 and 75, the smallest")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--padding", type=int, default=4, help="0: no augmentation, as the notebook ran")
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="bf16")
    parser.add_argument("--memory-format", choices=["channels_last", "contiguous"], default="channels_last")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--train-limit", type=int, default=0)
    parser.add_argument("--validation-limit", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    size = args.image_size or {"xception": 71, "inception_v3": 75}[args.model]
    device = torch.device(args.device)

    folder = args.data / "cifar-10-batches-bin"
    images, labels = read_batches(folder, sorted(p.name for p in folder.glob("data_batch_*.bin")))
    images, labels = images.to(device), labels.to(device)
    order = torch.randperm(len(images), device=device)
    validation, train = order[:5000], order[5000:]
    train = train[: args.train_limit or None]
    validation = validation[: args.validation_limit or None]

    training = Training(args.model, size, args.precision, args.memory_format, device, args.lr, args.padding)
    sums = training.sums
    history, train_seconds, trained = [], 0.0, 0
    for epoch in range(args.epochs):
        training.model.train()
        sums.zero_()
        start = time.perf_counter()
        shuffled = train[torch.randperm(len(train), device=device)]
        for step, first in enumerate(range(0, len(shuffled), args.batch_size)):
            index = shuffled[first : first + args.batch_size]
            training.train(images[index], labels[index])
            if step % 50 == 49:
                seen = first + len(index)
                rate = seen / (time.perf_counter() - start)
                print(f"step {step + 1}: loss {sums[0].item() / seen:.4f}, {rate:.1f} images/s", flush=True)
        loss_sum, correct = sums.tolist()  # waits for the device
        seconds = time.perf_counter() - start
        train_seconds += seconds
        trained += len(shuffled)
        training.model.eval()
        sums.zero_()
        with torch.inference_mode():
            for first in range(0, len(validation), args.batch_size):
                index = validation[first : first + args.batch_size]
                training.evaluate(images[index], labels[index])
        validation_loss, validation_correct = sums.tolist()
        row = {
            "train_loss": loss_sum / len(shuffled),
            "train_acc": correct / len(shuffled),
            "val_loss": validation_loss / max(1, len(validation)),
            "val_acc": validation_correct / max(1, len(validation)),
            "time_per_epochs": seconds,
        }
        history.append(row)
        print(f"epoch {epoch + 1}: {row}", flush=True)
    print(json.dumps({"model": args.model, "image_size": size, "precision": args.precision,
                      "memory_format": args.memory_format, "torch": torch.__version__,
                      "images_per_second": trained / train_seconds, "history": history}))


if __name__ == "__main__":
    main()
