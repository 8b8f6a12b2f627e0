#!/usr/bin/env python3
"""What other work on the machine costs a training step: xception's, and PyTorch's eager one beside it.

    busy.py [--models xception,inception_v3] [--precisions fp32,bf16] [--batch-size 32] [--rounds 3]

Each round measures, one after the other: alone; beside one process that only counts; two of the same at
once, whose speeds are added up; with one processor's time in all (a CPU quota, where this user may make a
control group of cgroup v1 or v2) and with one thread. Prints the speeds' medians and, from each round, the
share of the speed alone (of the quota: of one thread's).
"""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import child
import compare

GROUP = "xception-busy"


class Quota:
    """A control group with one processor's time, or nothing where none can be made."""

    def __init__(self):
        self.folder = None
        for parent, file, text in ((pathlib.Path("/sys/fs/cgroup/cpu"), "cpu.cfs_quota_us", "100000"),
                                   (pathlib.Path("/sys/fs/cgroup"), "cpu.max", "100000 100000")):
            folder = parent / GROUP
            try:
                if not (parent / file).exists() and file != "cpu.max":
                    continue
                folder.mkdir(exist_ok=True)
                (folder / file).write_text(text)
                self.folder = folder
                return
            except OSError:
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def command(self, command):
        """The same, run inside."""
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs; exec "$@"', "sh", *map(str, command)]

    def remove(self):
        if self.folder:
            with contextlib.suppress(OSError):
                self.folder.rmdir()


def images_per_second(files, key):
    speeds = []
    for file in files:
        result = json.loads(file.read_text())
        speeds.append(key(result)["images_per_second"]["median"])
    return sum(speeds)


def measure(commands, outputs, key, limit):
    """Runs them side by side; the sum of their speeds, or None where one failed."""
    running = [child.Child(command) for command in commands]
    outcomes = [process.wait(limit) for process in running]
    try:
        return images_per_second(outputs, key)
    except (OSError, ValueError, LookupError, TypeError):
        for outcome in outcomes:
            print(f"{outcome.ended}; {outcome.last_line}", file=sys.stderr)
        return None


class Program:
    def __init__(self, name, command, key):
        self.name, self.command, self.key = name, command, key


def programs(args, case):
    model, precision, size = case

    def ours(output, threads):
        options = argparse.Namespace(**{**vars(args), "threads": threads})
        return compare.ours_command(options, [model], "train", precision, size, [args.batch_size], output)

    def eager(output, threads):
        options = argparse.Namespace(**{**vars(args), "threads": threads})
        full = (model, "train", precision, size, args.batch_size)
        return compare.peer_command(options, full, "channels_last", False, output)

    yield Program("xception", ours, lambda result: result["cases"][0])
    if not args.skip_eager:
        yield Program("PyTorch eager", eager, lambda result: result)


def one_round(args, program, folder, quota):
    outputs = [folder / f"{number}.json" for number in range(2)]

    def run(count=1, threads=0, wrap=lambda command: command):
        for output in outputs:
            output.unlink(missing_ok=True)
        commands = [wrap(program.command(output, threads)) for output in outputs[:count]]
        return measure(commands, outputs[:count], program.key, args.limit)

    speeds = {"alone": run()}
    counting = subprocess.Popen(["sh", "-c", "exec yes > /dev/null"])
    try:
        speeds["beside a busy one"] = run()
    finally:
        counting.kill()
        counting.wait()
    speeds["two at once"] = run(count=2)
    speeds["one thread"] = run(threads=1)
    if quota.folder:
        speeds["quota of one"] = run(wrap=quota.command)
    return speeds


BASE = {"beside a busy one": "alone", "two at once": "alone", "quota of one": "one thread"}


def cell(rounds, name):
    values = [speeds[name] for speeds in rounds if speeds.get(name)]
    if not values:
        return "-"
    text = f"{statistics.median(values):.1f}"
    base = BASE.get(name)
    shares = [speeds[name] / speeds[base] for speeds in rounds if base and speeds.get(name) and speeds.get(base)]
    return text + (f" ({100 * statistics.median(shares):.0f} %)" if shares else "")


def parse_arguments():
    def words(text):
        return text.split(",")

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=str(compare.HERE.parents[1] / "build/release/xception"))
    parser.add_argument("--python", default=child.python_with_torch(), help="a Python with torch, torchvision, timm")
    parser.add_argument("--models", type=words, default=["xception", "inception_v3"])
    parser.add_argument("--precisions", type=words, default=["fp32", "bf16"])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--windows", type=int, default=3, help="of each measurement")
    parser.add_argument("--window-seconds", type=float, default=2.0)
    parser.add_argument("--skip-eager", action="store_true", help="xception only")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a measurement is stopped")
    args = parser.parse_args()
    args.device, args.steps = "cpu", 0
    return args


def main():
    args = parse_arguments()
    quota = Quota()
    names = ["alone", "beside a busy one", "two at once", "one thread"] + (["quota of one"] if quota.folder else [])
    print(f"{os.cpu_count()} processors, batch {args.batch_size}, smallest input, images/s")
    cells = ["model", "precision", "program", *names]
    print(f"| {' | '.join(cells)} |\n|{'---|' * len(cells)}", flush=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for model in args.models:
                for precision in args.precisions:
                    case = (model, precision, compare.SMALLEST.get(model, 299))
                    listed = list(programs(args, case))
                    rounds = {program.name: [] for program in listed}
                    for _ in range(args.rounds):
                        for program in listed:
                            rounds[program.name].append(one_round(args, program, pathlib.Path(folder), quota))
                    for program in listed:
                        row = [cell(rounds[program.name], name) for name in names]
                        print(f"| {' | '.join([model, precision, program.name, *row])} |", flush=True)
    finally:
        quota.remove()


if __name__ == "__main__":
    main()
