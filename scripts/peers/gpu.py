#!/usr/bin/env python3
"""Measures everything that a GPU is for in one run of a given length, and writes the tables.

    gpu.py [--minutes 10] [--output gpu-report] [--tests build/release/tests] [--skip SECTION,...]

Sections, the most important first; one that doesn't fit in what is left of the time is left out, which is
said, as is one that fails. All goes into OUTPUT/report.md and, with every single measurement, report.json,
after each step.

  correctness  the tests with the label gpu
  levers       training step by step: LibTorch's operations, fused kernels, CUDA graph; PyTorch eager and
               torch.compile beside them; with the images a second that the memory traffic allows
  inference    evaluation in fp16, BatchNorm folded or not, beside PyTorch eager
  kernels      the fused step kernel by kernel: time and, where ncu is there, bytes of memory
  sanitizers   the kernels' tests under compute-sanitizer
  batch-curve  8 to 512 images a batch, ours and eager
  image-curve  96 to 384 px, ours and eager

With --device cpu --smoke it all runs on a CPU at small sizes, but for GPUs' kernels: that tries the script.
"""
import argparse
import collections
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import compare

# Gigabytes that one training step of 128 images of 299 px moves between memory and processor if every kernel
# reads each operand once, in fp16: PyTorch's operations; BatchNorm, ReLU and additions in one; also
# depthwise convolutions and pooling that normalise as they load. From the shapes of every layer.
TRAFFIC_GB = {
    "xception": {"eager": 131.2, "BatchNorm fused": 111.0, "fused": 75.4},
    "inception_v3": {"eager": 62.0, "BatchNorm fused": 50.1, "fused": 39.5},
}
LEVERS = {
    "ours, reference": (["train.kernels=reference", "train.cuda_graph=false"], "eager"),
    "ours, fused": (["train.kernels=fused", "train.cuda_graph=false"], "fused"),
    "ours, fused, CUDA graph": (["train.kernels=fused", "train.cuda_graph=true"], "fused"),
}
FINAL = LEVERS["ours, fused, CUDA graph"][0]


class Report:
    """Text and data so far; on disk after each addition."""

    def __init__(self, folder):
        self.folder = folder
        self.lines = []
        self.data = {}
        folder.mkdir(parents=True, exist_ok=True)

    def say(self, text=""):
        print(text, flush=True)
        self.lines.append(text)
        self.save()

    def table(self, names):
        self.say(f"| {' | '.join(names)} |")
        self.say(f"|{'---|' * len(names)}")

    def row(self, cells):
        self.say(f"| {' | '.join(str(cell) for cell in cells)} |")

    def keep(self, section, record):
        self.data.setdefault(section, []).append(record)
        self.save()

    def save(self):
        (self.folder / "report.md").write_text("\n".join(self.lines) + "\n")
        (self.folder / "report.json").write_text(json.dumps(self.data, indent=2) + "\n")


class Run:
    """What the sections share."""

    def __init__(self, args, folder):
        self.args = args
        self.folder = folder
        self.report = Report(args.output)
        self.end = time.monotonic() + 60 * args.minutes
        self.precision = "bf16" if args.device == "cpu" else "fp16"

    def left(self):
        return self.end - time.monotonic()

    def ours(self, model, mode, size, batch, overrides):
        case = (model, mode, self.precision, size, batch)
        return compare.ours(self.args, case, self.folder, overrides)

    def peer(self, model, mode, size, batch, compiled=False):
        case = (model, mode, self.precision, size, batch)
        return compare.peer(self.args, case, "channels_last", compiled, self.folder)


def speed(result):
    return result["images_per_second"]["median"] if result["status"] == "done" else None


def number(value, text="{:.0f}"):
    return text.format(value) if value is not None else "-"


def ratio(value, other):
    return f"{value / other:.2f}" if value and other else "-"


def gigabytes(value):
    return number(value / 1e9 if value else None, "{:.2f}")


def correctness(run):
    tests = run.args.tests
    if tests is None:
        run.report.say("Not run: no --tests.")
        return
    run_tests(run, ["ctest", "--test-dir", str(tests), "-L", "gpu", "-E", "sanitize", "--output-on-failure"])


def sanitizers(run):
    sanitizer = shutil.which("compute-sanitizer")
    if run.args.tests is None or sanitizer is None:
        run.report.say("Not run: no --tests, or no compute-sanitizer on PATH.")
        return
    for tool in ("memcheck", "racecheck", "initcheck"):
        # Small shapes: the tools make kernels many times slower.
        run_tests(run, [sanitizer, "--tool", tool, "--error-exitcode", "1", str(run.args.tests / "test_kernels"),
                        "--gtest_filter=Shapes/GpuKernels.*:*ImageRows*-*BnWithALargeMean*:*CudaOnHost*"])


def run_tests(run, command):
    # Each tensor an allocation of its own, so that its end is seen.
    environment = {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"} if "--tool" in command else None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=min(90, run.left()), env=environment)
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        code = done.returncode
    except subprocess.TimeoutExpired:
        last, code = "not done in time", None
    run.report.say(f"- `{' '.join(pathlib.Path(word).name for word in command)}`: exit code {code}; {last}")
    run.report.keep("correctness", {"command": command, "code": code, "last_line": last})


def floor_speed(model, scheme, size, batch, bandwidth):
    """Images a second where memory traffic is all that takes time."""
    if not bandwidth:
        return None
    return batch / (TRAFFIC_GB[model][scheme] * 1e9 * (batch / 128) * (size / 299) ** 2 / bandwidth)


def levers(run):
    size, batch = (run.args.smoke_size, 8) if run.args.smoke else (299, 128)
    for model in run.args.models:
        run.report.say(f"\n### {model}, {size} px, batch {batch}, {run.precision}\n")
        run.report.table(["step", "allowed by traffic, images/s", "measured", "ms", "to eager", "launches", "GB peak",
                          "data, % of step"])
        eager = run.peer(model, "train", size, batch)
        rows = {"PyTorch eager, channels_last": (eager, "eager")}
        bandwidth = None
        for name, (overrides, scheme) in LEVERS.items():
            result = run.ours(model, "train", size, batch, overrides)
            bandwidth = bandwidth or (result.get("machine") or {}).get("copy_bytes_per_second", [None])[0]
            rows[name] = (result, scheme)
        if not run.args.skip_compile:
            rows[f"PyTorch compile, {run.args.compile_mode}"] = (run.peer(model, "train", size, batch, compiled=True), None)
        for name, (result, scheme) in rows.items():
            allowed = floor_speed(model, scheme, size, batch, bandwidth) if scheme else None
            split = result.get("split_ms") or {}
            share = 100 * split["data"] / result["step_ms"] if split.get("data") else None
            run.report.row([name, number(allowed), number(speed(result), "{:.1f}"),
                            number(result.get("step_ms"), "{:.2f}"), ratio(speed(result), speed(eager)),
                            result.get("kernel_launches") or "-", gigabytes(result.get("peak_memory_bytes")),
                            number(share, "{:.2f}")])
            run.report.keep("levers", {"model": model, "name": name, "scheme": scheme, "result": result})
        if bandwidth:
            run.report.say(f"\nCopy bandwidth: {bandwidth / 1e12:.3f} TB/s.")


def inference(run):
    size, batch = (run.args.smoke_size, 8) if run.args.smoke else (299, 128)
    run.report.table(["model", "eager", "ours, BatchNorm apart", "folded", "folded, fused", "folded, fused / eager"])
    for model in run.args.models:
        results = [run.peer(model, "inference", size, batch)]
        for fold, kernels in (("false", "reference"), ("true", "reference"), ("true", "fused")):
            overrides = [f"train.eval_fold_batch_norm={fold}", f"train.kernels={kernels}"]
            results.append(run.ours(model, "inference", size, batch, overrides))
        speeds = [speed(result) for result in results]
        run.report.row([model, *(number(value, "{:.1f}") for value in speeds), ratio(speeds[-1], speeds[0])])
        run.report.keep("inference", {"model": model, "results": results})


def read_ncu(text):
    """{kernel: [calls, seconds, bytes]} of `ncu --csv --page raw`."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        raise ValueError("no table in ncu's output")
    rows = csv.DictReader(lines[start:])
    units = next(rows)
    scale = {"ns": 1e-9, "nsecond": 1e-9, "us": 1e-6, "usecond": 1e-6, "ms": 1e-3, "msecond": 1e-3, "second": 1,
             "byte": 1, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9}
    kernels = collections.defaultdict(lambda: [0, 0.0, 0.0])
    for row in rows:
        entry = kernels[short_name(row["Kernel Name"])]
        entry[0] += 1
        for place, metric in ((1, "gpu__time_duration.sum"), (2, "dram__bytes.sum")):
            entry[place] += float(row[metric].replace(",", "")) * scale[units[metric]]
    return dict(kernels)


def short_name(name):
    """A kernel's name without what it returns, its template's and its call's arguments."""
    name = re.sub(r"^(void|float|double) ", "", name)
    for unnamed in ("(anonymous namespace)::", "<unnamed>::"):
        name = name.replace(unnamed, "")
    return re.split(r"[<(]", name)[0][:60]


def measure_kernels(run, model, size, batch):
    """({kernel: [calls, seconds, bytes]}, bytes known) of the fused step. In a CUDA graph they are the same."""
    case = [run.args.binary, "bench", "--models", model, "--precision", run.precision, "--image-size", str(size),
            "--batch-size", str(batch), "--device", run.args.device, "--windows", "1", "--steps", "1",
            "train.kernels=fused"]
    ncu = shutil.which("ncu")
    if ncu and run.left() > 60:
        command = [ncu, "--csv", "--page", "raw", "--metrics", "gpu__time_duration.sum,dram__bytes.sum", "--nvtx",
                   "--nvtx-include", "step/", *case]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=min(120, run.left() / 2))
            return read_ncu(done.stdout), True
        except (ValueError, KeyError, subprocess.TimeoutExpired) as error:
            run.report.say(f"{model}: ncu gave nothing to read: {error}")
    found = collections.defaultdict(lambda: [0, 0.0, 0.0])
    for kernel in run.ours(model, "train", size, batch, ["train.kernels=fused"]).get("kernels", []):
        entry = found[short_name(kernel["name"])]
        entry[0] += kernel["launches"]
        entry[1] += kernel["milliseconds"] / 1000
    return dict(found), False


def kernels(run):
    size, batch = (run.args.smoke_size, 8) if run.args.smoke else (299, 128)
    for model in run.args.models:
        found, weighed = measure_kernels(run, model, size, batch)
        if not found:
            run.report.say(f"{model}: no kernels were seen.")
            continue
        seconds = sum(entry[1] for entry in found.values())
        moved = f"{sum(entry[2] for entry in found.values()) / 1e9:.1f} GB moved" if weighed else "no ncu: no bytes"
        allowed = TRAFFIC_GB[model]["fused"] * batch / 128 * (size / 299) ** 2
        run.report.say(f"\n### {model}: {1e3 * seconds:.2f} ms in kernels, {moved}; the layers' shapes ask for "
                       f"{allowed:.1f} GB\n")
        run.report.table(["kernel", "calls", "ms", "% of time", "GB", "TB/s"])
        for name, (calls, spent, size_bytes) in sorted(found.items(), key=lambda item: -item[1][1])[:30]:
            bytes_cells = [f"{size_bytes / 1e9:.3f}", f"{size_bytes / spent / 1e12:.2f}"] if weighed else ["-", "-"]
            run.report.row([f"`{name}`", calls, f"{1e3 * spent:.3f}", f"{100 * spent / seconds:.1f}", *bytes_cells])
        run.report.keep("kernels", {"model": model, "kernels": found})


def curve(run, section, cases):
    run.report.table(["model", "px", "batch", "ours, images/s", "eager", "ours / eager", "GB: ours / eager"])
    for size, batch in cases:
        for model in run.args.models:
            if run.left() < 30:
                run.report.say(f"\n{model}, {size} px, batch {batch} and what follows: left out, no time.")
                return
            results = [run.ours(model, "train", size, batch, FINAL), run.peer(model, "train", size, batch)]
            mine, theirs = (speed(result) for result in results)
            run.report.row([model, size, batch, number(mine, "{:.1f}"), number(theirs, "{:.1f}"), ratio(mine, theirs),
                            " / ".join(gigabytes(result.get("peak_memory_bytes")) for result in results)])
            run.report.keep(section, {"model": model, "image_size": size, "batch_size": batch, "results": results})


def batch_curve(run):
    size = run.args.smoke_size if run.args.smoke else 299
    curve(run, "batch-curve", [(size, batch) for batch in ((2, 4) if run.args.smoke else (8, 32, 64, 256, 512))])


def image_curve(run):
    sizes = (run.args.smoke_size, run.args.smoke_size + 4) if run.args.smoke else (96, 160, 224, 384)
    curve(run, "image-curve", [(size, 4 if run.args.smoke else 128) for size in sizes])


SECTIONS = {"correctness": correctness, "levers": levers, "inference": inference, "kernels": kernels,
            "sanitizers": sanitizers, "batch-curve": batch_curve, "image-curve": image_curve}


def parse_arguments():
    root = compare.HERE.parents[1]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=str(root / "build/release/xception"))
    parser.add_argument("--python", default=sys.executable, help="a Python with torch, torchvision, timm")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("gpu-report"))
    parser.add_argument("--tests", type=pathlib.Path, help="the build tree's tests folder")
    parser.add_argument("--models", type=lambda text: text.split(","), default=["xception", "inception_v3"])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--skip", type=lambda text: text.split(","), default=[], help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--skip-compile", action="store_true", help="no torch.compile, which takes minutes")
    parser.add_argument("--compile-mode", default="max-autotune",
                        help="of torch.compile, or a backend: aot_eager compiles in seconds what is no faster")
    parser.add_argument("--smoke", action="store_true", help="small sizes, to try the script")
    args = parser.parse_args()
    for name in args.skip:
        if name not in SECTIONS:
            parser.error(f"--skip {name}: expected {', '.join(SECTIONS)}")
    # What compare's functions ask for.
    args.threads, args.steps, args.smoke_size = 0, 0, 75
    args.windows, args.window_seconds = (1, 0.1) if args.smoke else (3, 1.0)
    return args


def main():
    args = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(args, pathlib.Path(folder))
        doctor = subprocess.run([args.binary, "doctor"], capture_output=True, text=True)
        run.report.say(f"# Speed on a GPU\n\n{time.strftime('%Y-%m-%d')}, `{' '.join(sys.argv)}`\n")
        run.report.say(f"```\n{(doctor.stdout + doctor.stderr).strip()}\n```")
        for name, section in SECTIONS.items():
            if name in args.skip:
                continue
            run.report.say(f"\n## {name}\n")
            if run.left() < 30:
                run.report.say("Left out: no time.")
                continue
            try:
                section(run)
            except Exception as error:  # the other sections are worth having
                run.report.say(f"Failed: {type(error).__name__}: {error}")
        run.report.say(f"\n{(60 * args.minutes - run.left()) / 60:.1f} minutes in all.")


if __name__ == "__main__":
    main()
