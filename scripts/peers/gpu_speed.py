"""Sections of gpu.py that measure speed."""
import collections
import csv
import re
import shutil

import traffic
from gpu_report import number, ratio, speed
from gpu_run import FUSED_NEEDS, GRAPH_NEEDS

FUSED = ["train.kernels=fused", "train.cuda_graph=false"]
GRAPH = ["train.kernels=fused", "train.cuda_graph=true"]
NCU_METRICS = ("gpu__time_duration.sum", "dram__bytes.sum")
REFERENCE = ["train.kernels=reference", "train.cuda_graph=false"]


def measure_ours(run, name, batches, overrides, needs, limit):
    """One process for all cases: it starts once, and their windows are interleaved. If it crashes, one a network."""
    run.report.table(run.SPEED_COLUMNS)
    records = run.ours(name, run.args.models, batches, overrides, limit, needs=needs)
    if all(speed(record["result"]) is None for record in records):
        for record in records:
            run.report.row([record["name"], record["model"], record["batch"], "-", record["result"].get("reason", "")])
        run.report.say("\nAll in one process failed; a network at a time:\n")
        run.report.table(run.SPEED_COLUMNS)
        records = []
        for model in run.args.models:
            records += run.ours(name, [model], batches[:1], overrides, limit / 2, needs=needs)
            run.keep_speed(records[-1])
        return records
    for record in records:
        run.keep_speed(record)
    return records


def fused(run):
    measure_ours(run, "ours, graph", [run.batch, run.batch // (2 if run.args.smoke else 4)], GRAPH, GRAPH_NEEDS, 150)


def eager(run, batch=None, limit=100):
    run.report.table(run.SPEED_COLUMNS)
    for model in run.args.models:
        run.keep_speed(run.peer("eager", model, batch or run.batch, limit))


def kernels(run):
    """Without the graph, in which kernels can't be told apart reliably; they are the same ones."""
    records = measure_ours(run, "ours, no graph", [run.batch], FUSED, FUSED_NEEDS, 110)
    for record in records:
        found = collections.defaultdict(lambda: [0, 0.0, 0.0])
        for kernel in record["result"].get("kernels") or []:
            entry = found[short_name(kernel["name"])]
            entry[0] += kernel["launches"]
            entry[1] += kernel["milliseconds"] / 1000
        if found:
            kernel_table(run, record["model"], record["batch"], dict(found), weighed=False)
        else:
            run.report.say(f"\n{record['model']}: no kernels were timed{' (a CPU has none)' if run.cpu else ''}.")


def compiled(run):
    run.report.table(run.SPEED_COLUMNS)
    for model in run.args.models:
        run.keep_speed(run.peer("compile", model, run.batch, 200, compiled=True))


def eager_small(run):
    eager(run, run.batch // (2 if run.args.smoke else 4), 90)


def reference(run):
    measure_ours(run, "ours, reference", [run.batch], REFERENCE, (), 120)


def inference(run):
    """Evaluation, with each BatchNorm in its convolution's weights or apart."""
    cases = (("apart", "false", "reference"), ("folded", "true", "reference"), ("folded, fused", "true", "fused"))
    for model in run.args.models:
        run.report.say(f"\n### {model}\n")
        run.report.table(run.SPEED_COLUMNS)
        run.keep_speed(run.peer("eager", model, run.batch, 90, mode="inference"))
        for name, fold, chosen in cases:
            overrides = [f"train.eval_fold_batch_norm={fold}", f"train.kernels={chosen}"]
            needs = FUSED_NEEDS if chosen == "fused" else ()
            for record in run.ours(f"ours, BatchNorm {name}", [model], [run.batch], overrides, 90, mode="inference",
                                   needs=needs):
                run.keep_speed(record)


def curve(run, cases):
    run.report.table(["model", "px", "batch", "ours, images/s", "eager", "ours / eager", "worth"])
    for size, batch in cases:
        for model in run.args.models:
            if run.left() < 40:
                run.report.say(f"\n{model}, {size} px, batch {batch} and what follows: left out, no time.")
                return
            (ours,) = run.ours("ours, graph", [model], [batch], GRAPH, 90, size=size, needs=GRAPH_NEEDS)
            peer = run.peer("eager", model, batch, 90, size=size)
            for record in (ours, peer):
                run.report.keep(record)
            mine, theirs = speed(ours["result"]), speed(peer["result"])
            run.report.row([model, size, batch, number(mine, "{:.1f}"), number(theirs, "{:.1f}"), ratio(mine, theirs),
                            run.worth(ours)])


def batch_curve(run):
    curve(run, [(run.size, batch) for batch in ((2,) if run.args.smoke else (8, 64, 256))])


def image_curve(run):
    sizes = (run.size + 4,) if run.args.smoke else (96, 160, 224, 384)
    curve(run, [(size, run.batch) for size in sizes])


# ---- Kernels, and the bytes that they move -----------------------------------------------------------


def short_name(name):
    """A kernel's name without what it returns, its template's and its call's arguments."""
    name = re.sub(r"^(void|float|double) ", "", name)
    for unnamed in ("(anonymous namespace)::", "<unnamed>::"):
        name = name.replace(unnamed, "")
    return re.split(r"[<(]", name)[0][:60]


def read_ncu(text):
    """{kernel: [calls, seconds, bytes]} of `ncu --csv --page raw`."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        raise ValueError("no table in ncu's output")
    rows = csv.DictReader(line for line in lines[start:] if line.startswith('"'))
    units = next(rows, None)
    scale = {"ns": 1e-9, "nsecond": 1e-9, "us": 1e-6, "usecond": 1e-6, "ms": 1e-3, "msecond": 1e-3, "s": 1, "second": 1,
             "byte": 1, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9}
    kernels = collections.defaultdict(lambda: [0, 0.0, 0.0])
    for row in rows:
        if not all(row.get(metric) for metric in NCU_METRICS):
            continue  # cut off
        entry = kernels[short_name(row["Kernel Name"])]
        entry[0] += 1
        for place, metric in enumerate(NCU_METRICS, 1):
            entry[place] += float(row[metric].replace(",", "")) * scale[units[metric]]
    return dict(kernels)


def kernel_table(run, model, batch, found, weighed):
    counted = traffic.step_bytes(model, "fused", batch, run.size)
    seconds = sum(entry[1] for entry in found.values())
    moved = f"{sum(entry[2] for entry in found.values()) / 1e9:.1f} GB moved" if weighed else "bytes not measured"
    run.report.say(f"\n### {model}: {1e3 * seconds:.2f} ms in kernels, {moved}; the layers' shapes ask for "
                   f"{sum(counted.values()) / 1e9:.1f} GB\n")
    run.report.table(["kernel", "calls", "ms", "% of time", "GB", "TB/s", "GB by shapes"])
    for name, (calls, spent, size) in sorted(found.items(), key=lambda item: -item[1][1])[:30]:
        own = name.split("::")[-1].removesuffix("_pairs")
        shapes = next((value for kind, value in counted.items() if own == kind), None)
        run.report.row([f"`{name}`", calls, f"{1e3 * spent:.3f}", f"{100 * spent / max(seconds, 1e-12):.1f}",
                        *([f"{size / 1e9:.3f}", f"{size / max(spent, 1e-12) / 1e12:.2f}"] if weighed else ["-", "-"]),
                        number(shapes and shapes / 1e9, "{:.2f}")])
    run.report.keep({"kind": "kernels", "model": model, "batch": batch, "weighed": weighed, "kernels": found})


def ncu_command(ncu, log):
    """Never touches the card's clocks, which ncu does by default, nor empties its caches between kernels."""
    return [ncu, "--clock-control", "none", "--cache-control", "none", "--target-processes", "all", "--csv", "--page",
            "raw", "--metrics", ",".join(NCU_METRICS), "--nvtx", "--nvtx-include", "step/",
            "--log-file", str(log), "--force-overwrite"]


def weigh(run):
    """Time and bytes of every kernel of one step, by ncu."""
    ncu = shutil.which("ncu")
    if ncu is None and not run.args.smoke:
        run.report.say("Not run: no ncu on PATH.")
        return
    options = ["--windows", "1", "--steps", "1"]
    help_text = run.program("bench --help", [run.args.binary, "bench", "--help"], 30).output
    if "--profile-range" in help_text:
        options.append("--profile-range")
    else:
        run.report.say("This bench has no --profile-range: it marks the step for profilers in every run.")
    for model in run.args.models:
        log = run.args.output / f"ncu-{model}.csv"
        config = ["bench", "--config", str(run.args.configs / "cpu-xception.json"), "--models", model, "--precision",
                  run.precision, "--image-size", str(run.size), "--batch-size", str(run.batch), "--device",
                  run.args.device, *options, *FUSED]
        if ncu is None:
            outcome = run.program(f"stand-in for ncu, {model}", [run.args.binary, *config], 120)
            run.report.say(f"{model}: (a stand-in: the same command without ncu: {outcome.ended}, "
                           f"{outcome.seconds:.0f} s)")
            continue
        outcome = run.program(f"ncu {model}", [*ncu_command(ncu, log), run.args.binary, *config], 130)
        try:
            kernel_table(run, model, run.batch, read_ncu(log.read_text()), weighed=True)
        except (OSError, ValueError, KeyError) as error:
            run.report.say(f"{model}: ncu gave nothing to read: {error}; {outcome.ended}; {outcome.last_line}")
