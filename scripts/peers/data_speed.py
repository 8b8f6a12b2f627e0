#!/usr/bin/env python3
"""Images a second of reading and augmenting a folder of images: xception's loader beside
torchvision's ImageFolder + DataLoader, and libjpeg-turbo's bare decoding.

usage: data_speed.py XCEPTION [--sizes 224 299] [--images 2000] [--rounds 3] [--threads 2]

Writes JPEGs of 500 x 375 px (quality 90, 4:2:0) of smooth noise and grain, so that no data set is
needed. Each program reads them in turn, in every round; figures are the best of the rounds. Needs
torch, torchvision, Pillow and NumPy. The bare decoding is torchvision.io's (libjpeg-turbo), in as
many processes.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets, io
from torchvision.transforms import v2


def write_images(folder, count):
    """Photograph-like: a few scales of smooth noise, then a little grain."""
    random = np.random.default_rng(1)
    for i in range(count):
        image = np.zeros((375, 500, 3), np.float32)
        for cells, strength in ((4, 60), (16, 40), (64, 25), (200, 12)):
            small = random.normal(0, strength, (cells, cells, 3)).astype(np.float32)
            planes = [Image.fromarray(small[..., c]).resize((500, 375), Image.BICUBIC) for c in range(3)]
            image += np.stack([np.asarray(plane) for plane in planes], -1)
        image += random.normal(0, 3, image.shape)
        to = folder / f"train/class{i % 10}"
        to.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(image + 128, 0, 255).astype(np.uint8)).save(to / f"{i}.jpg", quality=90, subsampling="4:2:0")


def decoded(file):
    return io.decode_jpeg(io.read_file(file), mode=io.ImageReadMode.RGB)


class Bare(Dataset):
    """Decoding to RGB by torchvision.io, which is libjpeg-turbo, and nothing else."""

    def __init__(self, folder):
        self.files = sorted(map(str, folder.glob("train/*/*.jpg")))

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        decoded(self.files[i])
        return 0


def transforms(size, first=(), as_tensor=()):
    return v2.Compose([*first, v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip(), *as_tensor,
                       v2.ToDtype(torch.float32, scale=True),
                       v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])


def python_speed(dataset, workers, batch=64):
    loader = DataLoader(dataset, batch, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=True)
    for _ in loader:  # the workers start
        break
    start, images = time.perf_counter(), 0
    for _ in loader:
        images += batch
    return images / (time.perf_counter() - start)


def our_speed(xception, folder, size, threads):
    out = folder / "bench.json"
    command = [xception, "bench", "--mode", "data", "--data", folder, "--image-size", str(size), "--batch-size", "64",
               "--json", out, "--overwrite", "--windows", "3", "data.cache_mb=0", "data.validation_size=0",
               f"parallel.threads={threads}", f"data.workers={threads}"]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stderr)
    return json.loads(out.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("xception")
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 299])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_images(folder, arguments.images)
        best = {}
        for _ in range(arguments.rounds):
            def keep(what, speed):
                best[what] = max(best.get(what, 0), speed)
                print(f"{what}: {speed:.0f}", flush=True)
            keep("bare decoding, torchvision.io", python_speed(Bare(folder), arguments.threads))
            for size in arguments.sizes:
                pil = datasets.ImageFolder(folder / "train", transforms(size, as_tensor=[v2.PILToTensor()]))
                early = datasets.ImageFolder(folder / "train", transforms(size, first=[v2.PILToTensor()]))
                tensors = datasets.ImageFolder(folder / "train", transforms(size), loader=decoded)
                keep(f"{size} px, torchvision, PIL", python_speed(pil, arguments.threads))
                keep(f"{size} px, torchvision, PIL then tensors", python_speed(early, arguments.threads))
                keep(f"{size} px, torchvision.io and tensors", python_speed(tensors, arguments.threads))
                results = our_speed(arguments.xception, folder, size, arguments.threads)
                keep(f"{size} px, xception", results["cases"][0]["images_per_second"]["median"])
        print(json.dumps({what: round(speed) for what, speed in best.items()}, indent=1))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
