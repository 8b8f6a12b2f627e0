"""What gpu.py has found so far: text and figures, on disk after each addition."""
import json
import os
import time

import traffic

# A row of the summary: (its name in records, its title).
SUMMARY = (("ours, graph", "ours"), ("ours, no graph", "no graph"), ("ours, reference", "LibTorch's operations"),
           ("eager", "eager"), ("compile", "compile"))


def number(value, text="{:.0f}"):
    return text.format(value) if value is not None else "-"


def ratio(value, other):
    return f"{value / other:.2f}" if value and other else "-"


def gigabytes(value):
    return number(value / 1e9 if value else None, "{:.2f}")


def speed(result):
    """Images a second; None: not measured. A bench that was stopped has fewer windows, which is said in its row."""
    rate = result.get("images_per_second")
    return rate["median"] if rate else None


def table_row(cells):
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def table_head(names):
    return [table_row(names), f"|{'---|' * len(names)}"]


class Report:
    """report.md and report.json in a folder; the JSON also in a second place, for a run that goes on with it."""

    def __init__(self, folder, keep_also, title):
        self.folder, self.keep_also, self.title = folder, keep_also, title
        self.sections = {}  # name: {"lines", "records", "faults", "state", "seconds"}
        self.commands = []
        self.section = None
        for place in (folder, keep_also):
            place.mkdir(parents=True, exist_ok=True)

    # ---- writing -----------------------------------------------------------------------------------

    def go_on(self):
        """Takes over what an earlier run left; says whether there was anything."""
        for place in (self.folder, self.keep_also):
            try:
                earlier = json.loads((place / "report.json").read_text())
                self.sections, self.commands = earlier["sections"], earlier["commands"]
                return True
            except (OSError, ValueError, KeyError):
                continue
        return False

    def begin(self, name):
        self.section = self.sections[name] = {"lines": [], "records": [], "faults": [], "state": "running",
                                              "seconds": 0.0}
        self.start = time.monotonic()
        print(f"\n## {name}\n", flush=True)

    def end(self, state):
        self.section["state"] = state
        self.save()

    def say(self, text=""):
        print(text, flush=True)
        self.section["lines"].append(text)
        self.save()

    def table(self, names):
        for line in table_head(names):
            self.say(line)

    def row(self, cells):
        self.say(table_row(cells))

    def keep(self, record):
        self.section["records"].append(record)
        self.save()

    def fault(self, text):
        """Something that makes a figure worthless: said here, at the report's top and by the exit code."""
        self.section["faults"].append(text)
        self.say(f"**FAULT: {text}**")

    def save(self):
        if self.section is not None:
            self.section["seconds"] = round(time.monotonic() - self.start, 1)
        data = json.dumps({"commands": self.commands, "sections": self.sections}, indent=1) + "\n"
        for place in (self.folder, self.keep_also):
            write(place / "report.json", data)
        write(self.folder / "report.md", "\n".join(self.text()) + "\n")

    # ---- reading -----------------------------------------------------------------------------------

    def records(self, kind, **wanted):
        """Those of all sections, the latest last."""
        return [record for section in self.sections.values() for record in section["records"]
                if record["kind"] == kind and all(record.get(key) == value for key, value in wanted.items())]

    def faults(self):
        return [f"{name}: {text}" for name, section in self.sections.items() for text in section["faults"]]

    def trust(self, needs):
        """"good"; "worthless": one of the needed tests failed; "untested": one wasn't done."""
        verdicts = []
        for check in needs:
            found = self.records("check", check=check)
            verdicts.append(found[-1]["verdict"] if found else "not run")
        if "failed" in verdicts:
            return "worthless"
        return "good" if all(verdict == "passed" for verdict in verdicts) else "untested"

    def copy_rate(self):
        """Bytes a second of this machine's memory, read and written."""
        rates = [rate for record in self.records("speed") for rate in record["copy_rates"]]
        return max(rates, default=None)

    def allowed(self, model, scheme, batch, size):
        rate = self.copy_rate()
        return batch * rate / traffic.total_bytes(model, scheme, batch, size) if rate else None

    def text(self):
        lines = [f"# {self.title}", "", *(f"`{command}`" for command in self.commands), "", *self.summary()]
        for name, section in self.sections.items():
            lines += ["", f"## {name}", ""]
            lines += section["lines"]
            lines += ["", f"{section['state']}, {section['seconds']:.0f} s"]
        return lines

    def summary(self):
        """The goal in one table: ours beside PyTorch, with what the memory's traffic allows."""
        lines = []
        faults = self.faults()
        if faults:
            lines += ["**Faults; the rows that they touch are worth nothing:**", *(f"- {text}" for text in faults), ""]
        cases = []
        for record in self.records("speed", mode="train"):
            case = (record["model"], record["size"], record["batch"])
            if case not in cases:
                cases.append(case)
        if not cases:
            return lines
        lines += ["Training, images a second:", ""]
        lines += table_head(["model", "px", "batch", *(title for _, title in SUMMARY), "ours / eager", "ours / compile",
                             "allowed by traffic", "tests of ours"])
        for model, size, batch in sorted(cases, key=lambda case: (-case[2], case[1], case[0])):
            found = {}
            for name, _ in SUMMARY:
                records = self.records("speed", mode="train", name=name, model=model, size=size, batch=batch)
                found[name] = records[-1] if records else None
            speeds = {name: speed(record["result"]) if record else None for name, record in found.items()}
            cells = [number(speeds[name], "{:.1f}") for name, _ in SUMMARY]
            ours = found["ours, graph"]
            trust = self.trust(ours["needs"]) if ours else "-"
            counts = ours is not None and trust != "worthless" and not ours["faults"]
            if ours is not None and not counts:
                cells[0] = f"worthless ({cells[0]})"
            mine = speeds["ours, graph"] if counts else None
            allowed = self.allowed(model, "fused", batch, size)
            lines.append(table_row([model, size, batch, *cells, ratio(mine, speeds["eager"]),
                                    ratio(mine, speeds["compile"]), number(allowed), trust]))
        if self.copy_rate():
            lines += ["", f"Copy rate: {self.copy_rate() / 1e12:.3f} TB/s."]
        return lines


def write(path, text):
    """All of it or, if we are stopped, what was there before."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text)
    os.replace(unfinished, path)
