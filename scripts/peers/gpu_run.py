"""What the sections of gpu.py share: the time left, the programs, the log."""
import json
import os
import re
import time

import child
import compare
from gpu_report import Report, gigabytes, number, speed

# Tests that a row of ours needs, by what runs in it (see gpu_tests.py).
FUSED_NEEDS = ("networks", "kernels")
GRAPH_NEEDS = (*FUSED_NEEDS, "training")
RESERVE_SECONDS = 8  # for stopping a program at the end


class Run:
    def __init__(self, args, folder):
        self.args = args
        self.folder = folder  # temporary
        self.scratch = args.scratch  # kept from one run to the next: data, Inductor's cache
        self.report = Report(args.output, args.scratch, "Speed on a GPU" if not args.smoke else "A trial without a GPU")
        self.end = time.monotonic() + 60 * args.minutes
        self.cpu = args.device == "cpu"
        self.precision = "bf16" if self.cpu else "fp16"
        self.size, self.batch = (args.smoke_size, 4) if args.smoke else (299, 128)
        self.peer_environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(args.scratch / "inductor")}

    def left(self):
        return self.end - time.monotonic()

    def limit(self, own):
        return max(0.0, min(own, self.left() - RESERVE_SECONDS))

    # ---- programs ------------------------------------------------------------------------------------

    def program(self, name, command, limit, environment=None):
        outcome = child.run(command, self.limit(limit), environment)
        self.log(name, command, outcome.ended, outcome.seconds, outcome.output)
        return outcome

    def log(self, name, command, ended, seconds, output, lines=400):
        """Appends to log.txt: what ran, how it ended, the last lines that it printed."""
        with (self.args.output / "log.txt").open("a") as file:
            file.write(f"==== {time.strftime('%H:%M:%S')} {name}: {ended}, {seconds:.1f} s\n"
                       f"$ {' '.join(map(str, command))}\n")
            for line in re.split(r"[\r\n]+", output)[-lines:]:
                file.write(line.rstrip()[:400] + "\n")

    def test_program(self, name):
        return self.args.tests / name if self.args.tests else None

    # ---- measurements --------------------------------------------------------------------------------

    def ours(self, name, models, batches, overrides, limit, mode="train", size=None, needs=FUSED_NEEDS, options=()):
        """Records of `xception bench`, one a case, all from one process."""
        size = size or self.size
        output = self.folder / "ours.json"
        output.unlink(missing_ok=True)
        # Not the program's own tests at the start: the section `networks` has made them.
        command = compare.ours_command(self.args, models, mode, self.precision, size, batches, output,
                                       [*options, *overrides, "train.selftest_seconds=0"])
        outcome = self.program(name, command, limit)
        try:
            found = json.loads(output.read_text())
        except (OSError, ValueError):
            found = {"cases": [], "machine": {}}
        rates = found["machine"].get("copy_bytes_per_second") or []
        records = []
        for model in models:
            for batch in batches:
                case = next((case for case in found["cases"]
                             if case["model"] == model and case["batch_size"] == batch), None)
                result = case or {"status": "failed"}
                result.pop("split_steps_ms", None)
                if not case or result["status"] != "done":
                    result["reason"] = (result.get("error") or "") + f" ({outcome.ended}; {outcome.last_line})"
                records.append(self.record(name, model, mode, size, batch, result, needs, rates, overrides))
        return records

    def peer(self, name, model, batch, limit, mode="train", size=None, compiled=False):
        size = size or self.size
        command = self.peer_command(model, mode, size, batch, compiled)
        outcome = self.program(f"{name} {model}", command, limit, self.peer_environment)
        try:
            result = json.loads((self.folder / "peer.json").read_text())
        except (OSError, ValueError):
            result = {"status": "failed", "reason": f"{outcome.ended}; {outcome.last_line}"}
        return self.record(name, model, mode, size, batch, result, (), [], [])

    def peer_command(self, model, mode, size, batch, compiled, output=None):
        output = output or self.folder / "peer.json"
        output.unlink(missing_ok=True)
        case = (model, mode, self.precision, size, batch)
        return compare.peer_command(self.args, case, "channels_last", compiled, output)

    def record(self, name, model, mode, size, batch, result, needs, rates, overrides):
        return {"kind": "speed", "name": name, "model": model, "mode": mode, "size": size, "batch": batch,
                "result": result, "needs": list(needs), "copy_rates": rates,
                "faults": self.faults_of(f"{name}, {model}, batch {batch}", result, overrides)}

    def faults_of(self, row, result, overrides):
        """What ran that wasn't asked for."""
        execution = result.get("execution")
        if not execution or self.cpu:
            return []
        faults = []
        for key, wanted in (("kernels", "train.kernels=fused"), ("cuda_graph", "train.cuda_graph=true")):
            good = {"kernels": ("fused",), "cuda_graph": ("recorded", "on")}[key]
            # None: it failed before it could tell, and that is said elsewhere.
            if wanted in overrides and execution.get(key) not in (*good, None):
                faults.append(f"{row}: asked for {wanted}, but {key} is {execution.get(key)}: "
                              f"{execution.get(key + '_reason') or 'no reason given'}")
        return faults

    # ---- rows ------------------------------------------------------------------------------------------

    SPEED_COLUMNS = ["", "model", "batch", "images/s", "range", "ms", "GB peak", "data, % of step", "launches",
                     "what ran", "worth"]

    def keep_speed(self, record):
        """The record, and its row in a table of SPEED_COLUMNS."""
        result = record["result"]
        rate = result.get("images_per_second")
        split = result.get("split_ms") or {}
        share = 100 * split["data"] / result["step_ms"] if split.get("data") and result.get("step_ms") else None
        ours = record["name"].startswith("ours")
        bounds = f"{rate['min']:.1f} to {rate['max']:.1f}" if rate else result.get("reason", result["status"])
        self.report.row([record["name"], record["model"], record["batch"], number(speed(result), "{:.1f}"), bounds,
                         number(result.get("step_ms"), "{:.2f}"), gigabytes(result.get("peak_memory_bytes")),
                         number(share, "{:.2f}"), result.get("kernel_launches") or "-", ran(result) if ours else "-",
                         self.worth(record)])
        self.report.keep(record)
        faults = list(record["faults"])
        if rate is None:
            faults.append(f"{record['name']}, {record['model']}, batch {record['batch']}: not measured: {bounds}")
        self.report.section["faults"] += faults
        self.report.save()

    def worth(self, record):
        if not record["needs"]:
            return "-"
        trust = self.report.trust(record["needs"])
        if record["faults"]:
            return "NOTHING: not what was asked for"
        return {"good": "tests passed", "worthless": "NOTHING: its tests failed",
                "untested": "untested: its tests weren't finished"}[trust]


def ran(result):
    """In words, of what xception says of itself."""
    execution = result.get("execution")
    if not execution or execution.get("kernels") is None:
        return "not told"
    parts = []
    graph = {"recorded": "CUDA graph", "on": "CUDA graph", "off": "no graph"}
    for key, names in (("kernels", {}), ("cuda_graph", graph)):
        value = execution[key]
        reason = execution.get(key + "_reason")
        parts.append(names.get(value, str(value)) + (f" ({reason})" if reason else ""))
    return ", ".join(parts)
