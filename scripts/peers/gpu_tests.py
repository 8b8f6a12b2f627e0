"""Sections of gpu.py that say whether ours works there at all, and right: what speeds are worth."""
import importlib.metadata
import os
import re
import shutil
import sys

# What runs without a GPU, to try the script: quick tests of the same programs.
CPU_FILTERS = {"test_train": "Gpu*:TrainStep*:NetworkSelftest.Agrees*", "test_kernels": "FusedSelftest*:LaunchPlan*:*Once*"}
# Each name stands for results that other sections ask for: Report.trust().
NETWORKS = "GpuNetworks.*"
KERNELS = "Networks/*:Shapes/GpuKernels*:One/*:Gpu/FusedBranches*"
TRAINING = "GpuTest.*-*Nccl*"
NCCL = "GpuTest.*Nccl*"
# Under compute-sanitizer: small shapes, since its tools make kernels many times slower.
SANITIZED = "Shapes/GpuKernels.*:Gpu/FusedBranches.*:*ImageRows*-*BnWithALargeMean*:*CudaOnHost*"


def read_gtest(output):
    """{"passed", "failed", "skipped": names, "unfinished": the test that was running at the end or None}"""
    found = {"passed": [], "failed": [], "skipped": []}
    results = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}
    running = None
    for line in output.splitlines():
        match = re.match(r"\[ *(RUN|OK|FAILED|SKIPPED) *\] ([^\s,]+)", line)
        if not match:
            continue
        mark, name = match.groups()
        if mark == "RUN":
            running = name
        elif name == running:  # not the list at the end
            found[results[mark]].append(name)
            running = None
    return {**found, "unfinished": running}


def verdict(code, tests):
    """Of a test program's exit code (None: stopped at its limit) and read_gtest()."""
    if code not in (0, None) or tests["failed"]:
        return "failed"
    if code is None:
        return "unfinished"
    return "passed" if tests["passed"] else "not run"


def check(run, name, program, tests, limit, before=(), environment=None):
    path = run.test_program(program)
    if path is None or not path.exists():
        run.report.say(f"- {name}: not run: no {program}; --tests names its folder.")
        return
    if run.args.smoke:
        run.report.say(f"(A stand-in: without a GPU `{tests}` would only be skipped.)")
        tests = CPU_FILTERS[program]
    environment = {**(environment or os.environ), "XCEPTION_BINARY": str(run.args.binary)}
    outcome = run.program(name, [*before, path, f"--gtest_filter={tests}"], limit, environment)
    found = read_gtest(outcome.output)
    result = verdict(outcome.code, found)
    counts = ", ".join(f"{len(found[key])} {key}" for key in ("passed", "failed", "skipped"))
    run.report.say(f"- {name}: **{result}**: {counts}; {outcome.ended}, {outcome.seconds:.0f} s; `{tests}`")
    for test in found["failed"]:
        run.report.say(f"  - failed: {test}")
    if found["unfinished"]:
        run.report.say(f"  - was running at the end: {found['unfinished']}")
    if result != "passed":
        run.report.say(f"  - last line: {outcome.last_line}")
    run.report.keep({"kind": "check", "check": name, "verdict": result, "code": outcome.code,
                     "seconds": outcome.seconds, "filter": tests, **found})
    if result == "failed":
        run.report.fault(f"the tests of {name} failed")


def probe(run):
    """What is there, and whether our programs start."""
    report = run.report
    for title, command in (
        ("GPU", ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.limit,"
                 "temperature.gpu,compute_mode", "--format=csv,noheader"]),
        ("xception", [run.args.binary, "--version"]),
        *((name, [run.test_program(name), "--gtest_list_tests"]) for name in ("test_train", "test_kernels")
          if run.test_program(name)),
    ):
        # The first start reads the libraries from the disk, gigabytes of them.
        outcome = run.program(title, command, 60)
        good = outcome.code == 0
        text = f"{outcome.output.count(chr(10) + '  ')} tests" if title.startswith("test_") else outcome.output.strip()
        if not good:
            text = f"**{outcome.ended}**: {outcome.last_line}"
        report.say(f"- {title}: {text}; {outcome.seconds:.1f} s")
        if not good and not (title == "GPU" and run.cpu):
            report.fault(f"{title} doesn't start: {outcome.last_line}")
    versions = []
    for package in ("torch", "torchvision", "timm", "triton", "nvidia-cudnn-cu13", "numpy", "pillow", "safetensors"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"no {package}")
    report.say(f"- Python {sys.version.split()[0]}: {', '.join(versions)}")
    tools = [f"{tool}: {shutil.which(tool) or 'none'}" for tool in ("ncu", "compute-sanitizer", "nvcc")]
    report.say(f"- {os.cpu_count()} processors; {'; '.join(tools)}")


def networks(run):
    check(run, "networks", "test_train", NETWORKS, 90)


def tests(run):
    check(run, "kernels", "test_kernels", KERNELS, 110)
    check(run, "training", "test_train", TRAINING, 110)


def nccl(run):
    check(run, "nccl", "test_train", NCCL, 75)


def sanitize(run, tool, limit):
    found = shutil.which("compute-sanitizer")
    if found is None and not run.args.smoke:
        run.report.say("Not run: no compute-sanitizer on PATH.")
        return
    # Each tensor an allocation of its own, so that its end is seen.
    environment = {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    before = [found, "--tool", tool, "--error-exitcode", "1", "--target-processes", "all"] if found else []
    check(run, tool, "test_kernels", SANITIZED, limit, before, environment)


def memcheck(run):
    sanitize(run, "memcheck", 120)


def sanitizers(run):
    for tool in ("racecheck", "initcheck"):
        sanitize(run, tool, 300)
