#!/usr/bin/env python3
"""Measures what a GPU is for in a given time, the most important first, and writes tables.

    gpu.py [--minutes 10] [--output gpu-report] [--sections NAME,... | --skip NAME,... | --part 1|2]

Every figure is on disk the moment it is there: OUTPUT/report.md (tables), report.json (everything),
log.txt (what each program printed last), curves.csv, ncu-MODEL.csv. Every program runs for a limited
time, then it is stopped with all that it started. A section for which too little time is left is left
out, which is said. The card's settings (clocks, power, modes) are read and never changed.

A speed counts only if the tests of what ran have passed: the sections `networks` and `tests` come
first, and rows of ours say what their tests said. A row whose kernels or CUDA graph weren't those that
were asked for is a fault: said in its place, at the top of the report, and by the exit code.

For a machine that is there for a quarter of an hour, in two commands: --part 1 (tests, ours, eager)
and --part 2 (the rest), which goes on with what part 1 found and begins with what it had no time for;
--continue goes on with any sections.

Nothing runs beside anything else, not even torch.compile beside the tests: on 16 processors each was
then several times slower.

--device cpu --smoke goes through every section on a CPU at small sizes, with stand-ins, marked as
such, for what only a GPU can do: that tries the script. Add --compile-mode aot_eager: it compiles fast.

Exit codes: 0 all done; 1 a fault; 2 wrong options.
"""
import argparse
import pathlib
import shlex
import signal
import sys
import tempfile
import time

import compare
import gpu_speed
import gpu_tests
import gpu_training
from gpu_run import Run

# name: (what runs, seconds below which it isn't worth a start, what it is)
SECTIONS = {
    "probe": (gpu_tests.probe, 5, "GPU, versions, whether our programs start"),
    "networks": (gpu_tests.networks, 20, "tests of whole networks: fused kernels and graph against LibTorch's"),
    "tests": (gpu_tests.tests, 30, "the kernels' tests, then those of training"),
    "fused": (gpu_speed.fused, 40, "ours, fused kernels and CUDA graph: both networks, two batch sizes"),
    "eager": (gpu_speed.eager, 30, "PyTorch eager, channels_last"),
    "kernels": (gpu_speed.kernels, 40, "ours without the graph, kernel by kernel"),
    "compile": (gpu_speed.compiled, 60, "PyTorch with torch.compile"),
    "ncu": (gpu_speed.weigh, 60, "bytes of memory that each kernel moves"),
    "epoch": (gpu_training.epoch, 60, "a real epoch of CIFAR-10: accuracy, speed from start to end"),
    "eager-small": (gpu_speed.eager_small, 30, "PyTorch eager at the smaller batch"),
    "reference": (gpu_speed.reference, 40, "ours with LibTorch's operations"),
    "curves": (gpu_training.curves, 60, "loss curves, fused against LibTorch's operations"),
    "memcheck": (gpu_tests.memcheck, 40, "the kernels' tests under compute-sanitizer"),
    "nccl": (gpu_tests.nccl, 20, "the test with a process group of one"),
    "inference": (gpu_speed.inference, 60, "evaluation, BatchNorm folded or not, beside eager"),
    "sanitizers": (gpu_tests.sanitizers, 120, "racecheck and initcheck"),
    "batch-curve": (gpu_speed.batch_curve, 60, "other batch sizes, ours and eager"),
    "image-curve": (gpu_speed.image_curve, 60, "other image sizes, ours and eager"),
}
PARTS = {1: "probe networks tests fused eager kernels".split(),
         2: "epoch compile ncu eager-small reference curves memcheck nccl".split()}


def parse_arguments():
    root = compare.HERE.parents[1]
    kit = (root / "xception").is_file()  # gpu_kit.sh's folder has the programs beside the scripts
    built = root if kit else root / "build/release"
    data = root / "data"
    images = [data] if (data / "cifar-10-batches-bin").is_dir() else sorted(data.glob("*.tar*"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="sections:\n" + "\n".join(f"  {name:12} {text}" for name, (_, _, text)
                                                                      in SECTIONS.items()))
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("gpu-report"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--part", type=int, choices=list(PARTS), help="2: with --continue")
    parser.add_argument("--sections", type=lambda text: text.split(","), help="these only; see below")
    parser.add_argument("--skip", type=lambda text: text.split(","), default=[], help="all but these")
    parser.add_argument("--continue", dest="go_on", action="store_true",
                        help="keep what OUTPUT, or else SCRATCH, holds of an earlier run")
    parser.add_argument("--compile-mode", default="default",
                        help="of torch.compile, such as max-autotune, or a backend such as aot_eager")
    parser.add_argument("--data", type=pathlib.Path, default=next(iter(images), None),
                        help="folder with CIFAR-10's binary files, or an archive of images (default: those in data/, "
                             "else synthetic ones)")
    parser.add_argument("--scratch", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "xception-gpu",
                        help="data, Inductor's cache, a copy of the report: kept for the next command")
    parser.add_argument("--binary", type=pathlib.Path, default=built / "xception")
    parser.add_argument("--tests", type=pathlib.Path, default=built if kit else built / "tests",
                        help="folder with test_kernels and test_train")
    parser.add_argument("--configs", type=pathlib.Path, default=root / "configs")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch, torchvision, timm")
    parser.add_argument("--models", type=lambda text: text.split(","), default=["xception", "inception_v3"])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--smoke", action="store_true", help="small sizes, to try the script")
    args = parser.parse_args()
    chosen = args.sections or (PARTS[args.part] if args.part else list(SECTIONS))
    for name in [*chosen, *args.skip]:
        if name not in SECTIONS:
            parser.error(f"no section {name}: expected {', '.join(SECTIONS)}")
    args.sections = [name for name in chosen if name not in args.skip]
    args.go_on = args.go_on or args.part == 2
    args.binary = args.binary.resolve()
    # What compare's functions ask for.
    args.threads, args.steps, args.smoke_size = 0, 0, 75
    args.windows, args.window_seconds = (1, 0.1) if args.smoke else (3, 1.0)
    return args


def sections_to_run(args, report):
    """Part 2 begins with what part 1 had no time for."""
    if args.part != 2:
        return args.sections
    done = [name for name, section in report.sections.items() if section["state"] in ("done", "failed")]
    return [name for name in PARTS[1] if name not in done and name not in args.skip] + args.sections


def run_section(run, name):
    section, least, _ = SECTIONS[name]
    run.report.begin(name)
    if run.left() < least:
        run.report.say(f"Left out: {max(0, run.left()):.0f} s are left, and {least} s the least that it takes.")
        run.report.end("left out")
        return
    state = "failed"
    try:
        section(run)
        state = "done"
    except Exception as error:  # the other sections are worth having
        run.report.say(f"Failed: {type(error).__name__}: {error}")
        run.report.section["faults"].append(f"the script failed: {type(error).__name__}: {error}")
    except SystemExit:
        state = "stopped"
        raise
    finally:
        run.report.end(state)


def stop(number, _frame):
    sys.exit(128 + number)


def main():
    args = parse_arguments()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)  # so that what runs is stopped, too
    with tempfile.TemporaryDirectory() as folder:
        run = Run(args, pathlib.Path(folder))
        if args.go_on and not run.report.go_on():
            print("Nothing to go on with: neither OUTPUT nor SCRATCH has a report.", flush=True)
        run.report.commands.append(f"{time.strftime('%Y-%m-%d %H:%M')} {shlex.join(sys.argv)}")
        for name in sections_to_run(args, run.report):
            run_section(run, name)
    for line in run.report.summary():
        print(line)
    print(f"\n{(60 * args.minutes - run.left()) / 60:.1f} minutes; {args.output}/report.md", flush=True)
    return 1 if run.report.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
