"""Sections of gpu.py that train on real images: an epoch, and the loss curves of two sets of kernels."""
import csv
import json
import struct
import sys

import cifar10_of_images
from gpu_report import number
from gpu_run import GRAPH_NEEDS, ran
from gpu_speed import GRAPH, REFERENCE

SMALLEST = {"xception": 71, "inception_v3": 75}


def data_folder(run):
    """A folder with CIFAR-10's binary files: --data's, made of its archive, or synthetic ones for a trial."""
    given = run.args.data
    if given is not None and given.is_dir():
        return given, "CIFAR-10"
    made = run.scratch / ("data" if given else "synthetic")
    name = "CIFAR-10 (JPEG)" if given else "synthetic images"
    if (made / "cifar-10-batches-bin" / "batches.meta.txt").exists():  # written last
        return made, name
    if given is not None:
        outcome = run.program("data", [sys.executable, cifar10_of_images.__file__, given, made], 90)
    else:
        sizes = ["--train", "400", "--test", "100"] if run.args.smoke else []
        outcome = run.program("data", [run.args.binary, "data", "synthesize", "--out", made, *sizes], 60)
    run.report.say(f"Data: {name}: {outcome.last_line}, {outcome.seconds:.0f} s.\n")
    return (made if outcome.code == 0 else None), name


def train(run, name, model, folder, out, overrides, limit, precision=None):
    """`xception train` in the recipe of the peers: what became of it, as a record without a kind."""
    size = SMALLEST[model] if run.args.smoke else run.size
    command = [run.args.binary, "train", "--config", str(run.args.configs / f"cpu-{model}.json"), "--data", folder,
               "--out", out, "--device", run.args.device, "train.epochs=1", f"data.image_size={size}",
               f"train.precision={precision or run.precision}", f"train.batch_size={run.batch}", *overrides]
    if run.args.smoke and model == "xception":
        command += ["model.width=0.125", "model.middle_blocks=1"]
    outcome = run.program(name, command, limit)
    found = {"model": model, "code": outcome.code, "ended": outcome.ended, "wall_seconds": outcome.seconds}
    for key, file, read in (("summary", "summary.json", json.loads),
                            ("history", "history.jsonl", lambda text: json.loads(text.splitlines()[-1])),
                            ("execution", "environment.json", lambda text: json.loads(text).get("execution"))):
        try:
            found[key] = read((out / file).read_text())
        except (OSError, ValueError, IndexError):
            found[key] = {}
    if outcome.code != 0:
        found["ended"] += f": {outcome.last_line}"
        run.report.section["faults"].append(f"{name}: {found['ended']}")
    run.report.section["faults"] += run.faults_of(name, found, overrides)
    found["warnings"] = [line.strip() for line in outcome.output.splitlines() if "warning" in line]
    return found


def epoch(run):
    """One epoch from the first process to the tested network."""
    folder, name = data_folder(run)
    if folder is None:
        return
    run.report.say(f"{name}, one epoch, {run.precision}:\n")
    run.report.table(["model", "images", "validation, %", "test, %", "training, images/s", "of the bench's", "training, s",
                      "from start to end, s", "data, % of a step", "what ran", "how it ended"])
    small = ["data.train_limit=16", "data.validation_size=20", "data.test_limit=20"] if run.args.smoke else []
    for model in run.args.models:
        overrides = [*GRAPH, *small]
        found = train(run, f"epoch {model}", model, folder, run.folder / f"epoch-{model}", overrides, 120)
        summary = found["summary"]
        benched = run.report.records("speed", name="ours, graph", model=model, size=run.size, batch=run.batch)
        result = benched[-1]["result"] if benched else {}
        rate, best = summary.get("images_per_second"), (result.get("images_per_second") or {}).get("median")
        split = result.get("split_ms") or {}
        share = 100 * split["data"] / result["step_ms"] if split.get("data") else None
        percent = [number(value and 100 * value, "{:.2f}")
                   for value in (summary.get("validation_accuracy"), summary.get("test_accuracy"))]
        run.report.row([model, (summary.get("data") or {}).get("train", "-"), *percent, number(rate, "{:.1f}"),
                        number(rate and best and rate / best, "{:.3f}"),
                        number(summary.get("train_seconds"), "{:.1f}"), f"{found['wall_seconds']:.1f}",
                        number(share, "{:.2f}"), ran({"execution": found["execution"]}), found["ended"]])
        run.report.keep({"kind": "epoch", "data": name, **found})
    say_warnings(run)


def say_warnings(run):
    for record in run.report.section["records"]:
        for line in record["warnings"]:
            run.report.say(f"- {record['model']}: {line}")


# ---- Loss curves ----------------------------------------------------------------------------------------


def read_losses(data):
    """{step: mean loss since the epoch's start} of a TensorBoard event file's bytes."""
    losses = {}
    at = 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = dict(fields(data[at + 12 : at + 12 + length]))
        at += 12 + length + 4  # a checksum after the length and one at the end
        for _, message in fields(event.get(5, b"")):  # Summary { repeated Value value = 1; }
            value = dict(fields(message))
            if value.get(1) == b"loss/step":
                (losses[event[2]],) = struct.unpack("<f", value[2])
    return losses


def fields(message):
    """(number, value) of each field of a protocol buffer."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = varint(message, at)
            yield key >> 3, value
            continue
        if wire == 2:
            length, at = varint(message, at)
        else:
            length = {1: 8, 5: 4}[wire]
        yield key >> 3, message[at : at + length]
        at += length


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def of_intervals(means):
    """[(step, mean loss of the steps since the point before)] of means since the start."""
    points, steps, total = [], 0, 0.0
    for step, mean in sorted(means.items()):
        points.append((step, (mean * step - total) / (step - steps)))
        steps, total = step, mean * step
    return points


def curves(run):
    """The same images in the same order from the same weights: how far apart do two sets of kernels train?"""
    folder, name = data_folder(run)
    if folder is None:
        return
    steps, interval = (6, 1) if run.args.smoke else (200, 5)
    run.report.say(f"{name}, {steps} steps, seed 1, a point every {interval} steps (their mean loss); all points are in "
                   "curves.csv. Rounding drives two runs apart in time; what counts is that they fall alike.\n")
    run.report.table(["model", "first point: fused / reference", "last point", "mean difference", "largest difference",
                      "mean of the last quarter: fused / reference"])
    rows = []
    for model in run.args.models:
        found = {}
        for kernels, overrides in (("fused", GRAPH), ("reference", REFERENCE)):
            out = run.folder / f"curve-{model}-{kernels}"
            trained = train(run, f"curve {model} {kernels}", model, folder, out, [
                *overrides, f"data.train_limit={steps * run.batch}", "data.validation_size=0", "data.test_limit=16",
                f"train.log_interval={interval}", "seed=1"], 90,
                # A small batch's BatchNorm makes much of bfloat16's rounding.
                precision="fp32" if run.args.smoke else None)
            events = sorted(out.glob("events.out.tfevents.*"))
            found[kernels] = of_intervals(read_losses(events[0].read_bytes())) if events else []
            rows += [[model, kernels, step, f"{loss:.6f}"] for step, loss in found[kernels]]
            run.report.keep({"kind": "curve", "kernels": kernels, "points": found[kernels], **trained})
            with (run.args.output / "curves.csv").open("w", newline="") as file:
                csv.writer(file).writerows([["model", "kernels", "step", "loss"], *rows])
        run.report.row([model, *compare_curves(found["fused"], found["reference"])])
    run.report.say(f"\nTests of ours: {run.report.trust(GRAPH_NEEDS)}.")
    say_warnings(run)


def compare_curves(ours, theirs):
    pairs = list(zip((loss for _, loss in ours), (loss for _, loss in theirs)))
    if not pairs:
        return ["-"] * 5
    differences = [abs(a - b) for a, b in pairs]
    quarter = pairs[-max(1, len(pairs) // 4) :]
    means = [sum(pair[i] for pair in quarter) / len(quarter) for i in (0, 1)]
    return [f"{pairs[0][0]:.4f} / {pairs[0][1]:.4f}", f"{pairs[-1][0]:.4f} / {pairs[-1][1]:.4f}",
            f"{sum(differences) / len(differences):.4f}", f"{max(differences):.4f}", f"{means[0]:.4f} / {means[1]:.4f}"]
