#!/usr/bin/env python3
"""Measures one model in PyTorch as `xception bench` measures ours.

    bench.py --model xception --mode train --batch-size 16 --image-size 71 --precision bf16 [--compile [MODE]]

The steps are those of train_cifar10.py, on random images that lie on the device. Warm-up first
(with --compile that is when it compiles), then windows of steps. Prints one JSON object: images a
second of each window, their median and range, milliseconds a step, peak memory.

Needs torch, torchvision, timm, numpy.
"""
import argparse
import json
import pathlib
import statistics
import time

import waiting_policy  # before torch loads OpenMP  # noqa: F401
import torch

from train_cifar10 import Training

IMAGES = 2048


class Clock:
    """Seconds of work, the device's included."""

    def __init__(self, device):
        self.device = device

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, work, steps):
        self.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            work()
        self.synchronize()
        return time.perf_counter() - start


def peak_memory(device, before):
    """Bytes: on a GPU what tensors held, else what became resident; None where that can't be had."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) - before
    return status_bytes("VmHWM") - before


def used_memory(device):
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else status_bytes("VmRSS")


def status_bytes(key):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return 0


def measure(args, device):
    clock = Clock(device)
    before = used_memory(device)
    images = torch.randint(0, 256, (max(IMAGES, args.batch_size), 3, 32, 32), dtype=torch.uint8, device=device)
    labels = torch.randint(0, 10, (len(images),), device=device)
    order = torch.randperm(len(images), device=device)
    training = Training(args.model, args.image_size, args.precision, args.memory_format, device, compiled=args.compile)
    inference = args.mode == "inference"
    training.model.train(not inference)
    if inference:
        torch.backends.cudnn.allow_tf32 = False  # as evaluation does: float32 means float32
    place = 0

    def step():
        nonlocal place
        if place + args.batch_size > len(images):
            place = 0
        index = order[place : place + args.batch_size]
        place += args.batch_size
        if inference:
            training.evaluate(images[index], labels[index], autocast=True)
        else:
            training.train(images[index], labels[index])

    with torch.inference_mode(inference):
        warmup = clock.seconds(step, max(2, args.warmup_steps - 1))
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds = clock.seconds(step, 1)
        memory = peak_memory(device, before)
        more = int(0.05 / max(1e-6, seconds))
        if more > 0:
            seconds = clock.seconds(step, more) / more
        steps = args.steps or max(1, -int(-args.window_seconds // max(1e-6, seconds)))
        rates, milliseconds = [], []
        for _ in range(args.windows):
            if device.type == "cuda":
                step()
            took = clock.seconds(step, steps)
            rates.append(steps * args.batch_size / took)
            milliseconds.append(1000 * took / steps)
    return {
        "status": "done",
        "warmup_seconds": warmup,
        "window_steps": steps,
        "windows_images_per_second": rates,
        "images_per_second": {"median": statistics.median(rates), "min": min(rates), "max": max(rates)},
        "step_ms": statistics.median(milliseconds),
        "peak_memory_bytes": memory,
    }


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["xception", "inception_v3"], default="xception")
    parser.add_argument("--mode", choices=["train", "inference"], default="train")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=299)
    parser.add_argument("--precision", choices=["fp32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--memory-format", choices=["channels_last", "contiguous"], default="channels_last")
    parser.add_argument("--compile", nargs="?", const="default", metavar="MODE",
                        help="torch.compile, with a mode such as max-autotune or a backend such as aot_eager")
    parser.add_argument("--windows", type=int, default=5)
    parser.add_argument("--window-seconds", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=0, help="in a window, in place of --window-seconds")
    parser.add_argument("--warmup-steps", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=pathlib.Path, help="write the object there, too")
    return parser.parse_args()


def main():
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    device = torch.device(args.device)
    if device.type == "cuda":
        device = torch.device("cuda", device.index or 0)
        torch.cuda.set_device(device)
    result = {"model": args.model, "mode": args.mode, "precision": args.precision, "image_size": args.image_size,
              "batch_size": args.batch_size, "memory_format": args.memory_format, "compile": args.compile,
              "torch": torch.__version__,
              "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
              "threads": torch.get_num_threads()}
    try:
        result.update(measure(args, device))
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not isinstance(error, torch.OutOfMemoryError) and "not enough memory" not in str(error):
            raise
        result["status"] = "out of memory"
    text = json.dumps(result)
    if args.json:
        args.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
