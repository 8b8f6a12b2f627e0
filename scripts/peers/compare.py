#!/usr/bin/env python3
"""Runs xception and its PyTorch peers in turn and prints images a second and their ratios.

    compare.py [--models xception,inception_v3] [--precisions bf16,fp32] [--modes train,inference]
               [--image-sizes 71,96] [--batch-sizes 8,16,32] [--rounds 3] [--skip-compile]

Each measurement is a process of its own: `xception bench --json`, and bench.py eager and compiled in
both memory formats. They take turns, round after round, so that a machine whose speed drifts is fair
to all. All train or evaluate on random images, with the same transforms (pad and crop, flip, resize).
A cell is the median of the rounds' medians, in brackets ours over it: the median of the ratios within
each round. Then ours over the fastest eager and the fastest compiled peer of each round, with their
range, and peak memory.
"""
import argparse
import itertools
import json
import pathlib
import statistics
import sys
import tempfile

import child

HERE = pathlib.Path(__file__).resolve().parent
SMALLEST = {"xception": 71, "inception_v3": 75}
FORMATS = ("channels_last", "contiguous")


def read_result(command, output, limit, pick):
    """What a measurement wrote as JSON; one that fails or lasts longer than `limit` seconds is said and left out."""
    output.unlink(missing_ok=True)
    outcome = child.run(command, limit)
    try:
        result = pick(json.loads(output.read_text()))
    except (OSError, ValueError, LookupError):
        result = {"status": "failed"}
    if result["status"] != "done" or outcome.code != 0:
        result["reason"] = f"{outcome.ended}; {outcome.last_line}"
        print(f"{' '.join(map(str, command))}: {result['reason']}", file=sys.stderr)
    result["seconds"] = outcome.seconds
    result["printed"] = outcome.output
    return result


def ours_command(args, models, mode, precision, size, batches, output, overrides=()):
    command = [args.binary, "bench", "--config", str(HERE.parents[1] / "configs/cpu-xception.json"), "--models",
               ",".join(models), "--mode", mode, "--precision", precision, "--image-size", str(size), "--batch-size",
               ",".join(map(str, batches)), "--device", args.device, "--json", str(output), *window_options(args)]
    if args.threads:
        command.append(f"parallel.threads={args.threads}")
    return [*command, *overrides]


def ours(args, case, folder, limit, overrides=()):
    model, mode, precision, size, batch = case
    output = folder / "ours.json"
    command = ours_command(args, [model], mode, precision, size, [batch], output, overrides)
    return read_result(command, output, limit, lambda result: {**result["cases"][0], "machine": result["machine"]})


def peer_command(args, case, memory_format, compiled, output):
    model, mode, precision, size, batch = case
    command = [args.python, str(HERE / "bench.py"), "--model", model, "--mode", mode, "--precision", precision,
               "--image-size", str(size), "--batch-size", str(batch), "--memory-format", memory_format,
               "--threads", str(args.threads), "--json", str(output), *window_options(args)]
    if compiled:
        command += ["--compile", args.compile_mode]
    if args.device != "auto":
        command += ["--device", args.device]
    return command


def peer(args, case, memory_format, compiled, folder, limit):
    output = folder / "peer.json"
    return read_result(peer_command(args, case, memory_format, compiled, output), output, limit, lambda result: result)


def window_options(args):
    length = ["--steps", str(args.steps)] if args.steps else ["--window-seconds", str(args.window_seconds)]
    return ["--windows", str(args.windows), *length]


def measure_case(args, case, folder):
    """{variant: one result a round}"""
    variants = {"ours": None}
    for compiled in (False,) if args.skip_compile else (False, True):
        for memory_format in FORMATS:
            variants[f"{'compile' if compiled else 'eager'} {memory_format}"] = (memory_format, compiled)
    results = {name: [] for name in variants}
    for _ in range(args.rounds):
        for name, peer_options in variants.items():
            # What ran out of memory or failed once isn't tried again.
            if any(result["status"] != "done" for result in results[name]):
                continue
            if peer_options is None:
                result = ours(args, case, folder, args.limit)
            else:
                result = peer(args, case, *peer_options, folder, args.limit)
            result.pop("printed")
            results[name].append(result)
    return results


def speeds(results):
    return [result["images_per_second"]["median"] for result in results if result["status"] == "done"]


def ratios(results, prefix):
    """Ours over the fastest of the peers whose name starts so, of each round."""
    peers = [speeds(rows) for name, rows in results.items() if name.startswith(prefix)]
    values = []
    for number, mine in enumerate(speeds(results["ours"])):
        theirs = [rows[number] for rows in peers if number < len(rows)]
        if theirs:
            values.append(mine / max(theirs))
    return values


def spread(values):
    if not values:
        return "-"
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def cell(results, name):
    values = speeds(results[name])
    if not values:
        return results[name][0]["status"] if results[name] else "-"
    text = f"{statistics.median(values):.1f}"
    ratio = ratios(results, name) if name != "ours" else []
    return text + (f" ({statistics.median(ratio):.2f})" if ratio else "")


def memory(results, name):
    sizes = [r["peak_memory_bytes"] for r in results[name] if r["status"] == "done" and r["peak_memory_bytes"]]
    return f"{statistics.median(sizes) / 1e9:.2f}" if sizes else "-"


def row(case, results):
    names = list(results)
    memories = " / ".join(memory(results, name) for name in names if name == "ours" or name.endswith("channels_last"))
    cells = [*map(str, case), *(cell(results, name) for name in names), spread(ratios(results, "eager"))]
    if any(name.startswith("compile") for name in names):
        cells.append(spread(ratios(results, "compile")))
    return f"| {' | '.join(cells)} | {memories} |"


def header(skip_compile):
    names = ["ours", "eager channels_last", "eager contiguous"]
    fastest = ["ours / fastest eager"]
    memories = "GB: ours / eager"
    if not skip_compile:
        names += ["compile channels_last", "compile contiguous"]
        fastest.append("ours / fastest compile")
        memories += " / compile (channels_last)"
    cells = ["model", "mode", "precision", "px", "batch", *names, *fastest, memories]
    return f"| {' | '.join(cells)} |\n|{'---|' * len(cells)}"


def parse_arguments():
    def words(text):
        return text.split(",")

    def numbers(text):
        return [int(word) for word in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=str(HERE.parents[1] / "build/release/xception"))
    parser.add_argument("--python", default=child.python_with_torch(), help="a Python with torch, torchvision, timm")
    parser.add_argument("--models", type=words, default=["xception", "inception_v3"])
    parser.add_argument("--modes", type=words, default=["train"], help="train, inference")
    parser.add_argument("--precisions", type=words, default=["bf16", "fp32"])
    parser.add_argument("--image-sizes", type=numbers, default=None, help="default: the smallest")
    parser.add_argument("--batch-sizes", type=numbers, default=[128])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--windows", type=int, default=3, help="of each measurement")
    parser.add_argument("--window-seconds", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=0, help="in a window, in place of --window-seconds")
    parser.add_argument("--threads", type=int, default=0, help="default: each program's own, the cores")
    parser.add_argument("--skip-compile", action="store_true", help="eager peers only")
    parser.add_argument("--compile-mode", default="default", help="of torch.compile, such as max-autotune")
    parser.add_argument("--limit", type=float, default=3600, help="seconds after which a measurement is stopped")
    parser.add_argument("--json", type=pathlib.Path, help="write every measurement there, after each case")
    return parser.parse_args()


def main():
    args = parse_arguments()
    print(header(args.skip_compile), flush=True)
    record = []
    with tempfile.TemporaryDirectory() as folder:
        for model in args.models:
            sizes = args.image_sizes or [SMALLEST.get(model, 299)]
            for case in itertools.product([model], args.modes, args.precisions, sizes, args.batch_sizes):
                results = measure_case(args, case, pathlib.Path(folder))
                print(row(case, results), flush=True)
                record.append({**dict(zip(("model", "mode", "precision", "image_size", "batch_size"), case)),
                               "results": results, "ours_over_eager": ratios(results, "eager"),
                               "ours_over_compile": ratios(results, "compile")})
                if args.json:
                    args.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
