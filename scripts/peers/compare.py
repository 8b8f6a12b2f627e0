#!/usr/bin/env python3
"""Runs xception and its PyTorch peer in turn and prints images a second and their ratios.

    compare.py --data DIR [--models xception,inception_v3] [--precisions bf16,fp32] [--rounds 3]

Each run trains two short epochs in a process of its own, and the second one counts. The order is
ours, PyTorch channels_last, PyTorch contiguous, round after round, so that a machine whose speed
drifts is fair to all. Prints medians, spreads, and the ratio to PyTorch's faster memory format.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SIZES = {"xception": 71, "inception_v3": 75}


def ours(args, model, precision):
    with tempfile.TemporaryDirectory() as folder:
        run = pathlib.Path(folder) / "run"
        command = [args.binary, "train", "--config", str(HERE.parents[1] / f"configs/cpu-{model}.json"),
                   "--data", args.data, "--out", str(run), "--device", args.device,
                   f"train.precision={precision}", "train.epochs=2", f"data.train_limit={args.images}",
                   f"data.image_size={args.image_size or SIZES[model]}", f"train.batch_size={args.batch_size}",
                   "data.validation_limit=32", "data.test_limit=32", f"parallel.threads={args.threads}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows = (run / "history.jsonl").read_text().splitlines()
        return json.loads(rows[-1])["images_per_second"]


def peer(args, model, precision, memory_format):
    command = [args.python, str(HERE / "train_cifar10.py"), "--data", args.data, "--model", model,
               "--precision", precision, "--memory-format", memory_format, "--epochs", "2",
               "--train-limit", str(args.images), "--validation-limit", "32", "--threads", str(args.threads),
               "--batch-size", str(args.batch_size), "--image-size", str(args.image_size or SIZES[model])]
    if args.device != "auto":
        command += ["--device", args.device]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    history = json.loads(output.splitlines()[-1])["history"]
    return args.images / history[-1]["time_per_epochs"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--binary", default=str(HERE.parents[1] / "build/release/xception"))
    parser.add_argument("--python", default=sys.executable, help="a Python with torch, torchvision, timm")
    parser.add_argument("--models", default="xception,inception_v3")
    parser.add_argument("--precisions", default="bf16,fp32")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--image-size", type=int, default=0, help="default: the smallest")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    print("| model | precision | ours, images/s | PyTorch channels_last | PyTorch contiguous | ours / faster |")
    print("|---|---|---|---|---|---|", flush=True)
    for model in args.models.split(","):
        for precision in args.precisions.split(","):
            runs = {"ours": [], "channels_last": [], "contiguous": []}
            for _ in range(args.rounds):
                runs["ours"].append(ours(args, model, precision))
                for memory_format in ("channels_last", "contiguous"):
                    runs[memory_format].append(peer(args, model, precision, memory_format))
            ratios = [o / max(a, b) for o, a, b in zip(runs["ours"], runs["channels_last"], runs["contiguous"])]
            cells = [f"{statistics.median(r):.1f} ({min(r):.1f} to {max(r):.1f})" for r in runs.values()]
            print(f"| {model} | {precision} | {' | '.join(cells)} | {statistics.median(ratios):.2f} "
                  f"({min(ratios):.2f} to {max(ratios):.2f}) |", flush=True)


if __name__ == "__main__":
    main()
