"""What scripts/peers do without a GPU, PyTorch or our programs: reading, counting, stopping, judging."""
import argparse
import pathlib
import struct
import sys
import tempfile
import textwrap
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/peers"))
import child
import gpu
import gpu_report
import gpu_run
import gpu_speed
import gpu_tests
import gpu_training
import traffic

NCU = '''==PROF== Connected to process 7
"ID","Kernel Name","dram__bytes.sum","gpu__time_duration.sum"
"","","Mbyte","us"
"0","void xception::cuda::(anonymous namespace)::bn_backward<__half, 8>(RowsPlan)","1,500.5","600"
"1","void xception::cuda::(anonymous namespace)::bn_backward<__half, 8>(RowsPlan)","499.5","400"
"2","sm90_xmma_gemm","10","5"
"3","cut off","1
==PROF== Disconnected
'''


def exists(process):
    """Whether it runs; a zombie that nobody has waited for doesn't."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Processes(unittest.TestCase):
    def test_the_whole_group_is_stopped_at_the_limit(self):
        with tempfile.TemporaryDirectory() as folder:
            names = pathlib.Path(folder) / "processes"
            script = textwrap.dedent(f"""
                import os, signal, subprocess, sys, time
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                grandchild = subprocess.Popen([sys.executable, "-c",
                    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"])
                open({str(names)!r}, "w").write(f"{{os.getpid()}} {{grandchild.pid}}")
                print("started", flush=True)
                time.sleep(60)
                """)
            grace, child.GRACE_SECONDS = child.GRACE_SECONDS, 0.2
            try:
                start = time.monotonic()
                outcome = child.run([sys.executable, "-c", script], 2.0)
            finally:
                child.GRACE_SECONDS = grace
            self.assertLess(time.monotonic() - start, 20)
            self.assertIsNone(outcome.code)
            self.assertEqual(outcome.last_line, "started")
            for process in map(int, names.read_text().split()):
                for _ in range(50):
                    if not exists(process):
                        break
                    time.sleep(0.1)
                self.assertFalse(exists(process))

    def test_a_child_that_stays_behind_does_not_hold_up_the_result(self):
        start = time.monotonic()
        outcome = child.run(["sh", "-c", "sleep 60 & echo done; exit 3"], 30)
        self.assertLess(time.monotonic() - start, 20)
        self.assertEqual((outcome.code, outcome.last_line), (3, "done"))

    def test_a_program_that_is_not_there(self):
        self.assertEqual(child.run(["/nowhere/xception"], 5).code, 127)


class Reading(unittest.TestCase):
    def test_ncu(self):
        kernels = gpu_speed.read_ncu(NCU)
        name = "xception::cuda::bn_backward"
        self.assertEqual(kernels[name][0], 2)
        self.assertAlmostEqual(kernels[name][1], 1e-3)
        self.assertAlmostEqual(kernels[name][2], 2e9)
        self.assertEqual(set(kernels), {name, "sm90_xmma_gemm"})
        with self.assertRaises(ValueError):
            gpu_speed.read_ncu("==ERROR== no permission")

    def test_ncu_leaves_the_card_alone(self):
        command = gpu_speed.ncu_command("ncu", "log")
        for option in ("--clock-control", "--cache-control"):
            self.assertEqual(command[command.index(option) + 1], "none")

    def test_gtest(self):
        text = textwrap.dedent("""\
            [ RUN      ] A.Good
            [       OK ] A.Good (3 ms)
            [ RUN      ] A.Bad
            x.cpp:1: Failure
            [  FAILED  ] A.Bad, where GetParam() = 4 (2 ms)
            [ RUN      ] A.Left
            [  SKIPPED ] A.Left (0 ms)
            [ RUN      ] A.Hangs
            """)
        found = gpu_tests.read_gtest(text)
        self.assertEqual(found, {"passed": ["A.Good"], "failed": ["A.Bad"], "skipped": ["A.Left"],
                                 "unfinished": "A.Hangs"})
        self.assertEqual(gpu_tests.verdict(None, found), "failed")
        nothing = gpu_tests.read_gtest("Running 0 tests\n[  PASSED  ] 0 tests.\n")
        self.assertEqual(gpu_tests.verdict(0, nothing), "not run")
        self.assertEqual(gpu_tests.verdict(-11, nothing), "failed")

    def test_losses_of_an_event_file(self):
        value = b"\x0a\x09loss/step" + b"\x15" + struct.pack("<f", 2.5)
        summary = b"\x0a" + bytes([len(value)]) + value
        event = b"\x09" + bytes(8) + b"\x10\x85\x01" + b"\x2a" + bytes([len(summary)]) + summary
        data = struct.pack("<Q", len(event)) + bytes(4) + event + bytes(4)
        self.assertEqual(gpu_training.read_losses(data + data[:20]), {133: 2.5})

    def test_means_since_the_start_become_means_of_intervals(self):
        self.assertEqual(gpu_training.of_intervals({2: 3.0, 4: 2.0}), [(2, 3.0), (4, 1.0)])


class Counting(unittest.TestCase):
    def test_traffic(self):
        # PyTorch's operations as a count of its traced networks has them, at batch 128, 299 px.
        for model, eager, fused in (("xception", 131.2, 81.6), ("inception_v3", 62.0, 32.6)):
            self.assertAlmostEqual(traffic.total_bytes(model, "eager", 128, 299) / 1e9, eager, delta=0.1)
            self.assertAlmostEqual(traffic.total_bytes(model, "fused", 128, 299) / 1e9, fused, delta=0.1)


class Judging(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.report = gpu_report.Report(self.folder / "out", self.folder / "kept", "Test")
        self.report.begin("tests")

    def checks(self, **verdicts):
        for check, verdict in verdicts.items():
            self.report.keep({"kind": "check", "check": check, "verdict": verdict})

    def row(self, execution):
        run = gpu_run.Run.__new__(gpu_run.Run)
        run.report, run.cpu = self.report, False
        result = {"status": "done", "images_per_second": {"median": 2000.0, "min": 1990.0, "max": 2010.0},
                  "step_ms": 64.0, "execution": execution}
        record = run.record("ours, graph", "xception", "train", 299, 128, result, gpu_run.GRAPH_NEEDS, [3e12],
                            gpu_speed.GRAPH)
        run.keep_speed(record)
        return record

    RECORDED = {"kernels": "fused", "kernels_reason": "", "cuda_graph": "recorded", "cuda_graph_reason": ""}

    def test_a_good_row(self):
        self.checks(networks="passed", kernels="passed", training="passed")
        self.row(self.RECORDED)
        text = (self.folder / "out/report.md").read_text()
        self.assertIn("tests passed", text)
        self.assertNotIn("worthless", text)
        self.assertEqual(self.report.faults(), [])

    def test_a_failed_test_makes_it_worthless(self):
        self.checks(networks="passed", kernels="failed", training="passed")
        self.row(self.RECORDED)
        text = (self.folder / "out/report.md").read_text()
        self.assertIn("NOTHING: its tests failed", text)
        self.assertIn("worthless (2000.0)", text)

    def test_without_tests_it_is_called_untested(self):
        self.checks(networks="passed", kernels="unfinished")
        self.row(self.RECORDED)
        self.assertIn("untested", (self.folder / "out/report.md").read_text())

    def test_a_graph_that_was_not_recorded_is_a_fault(self):
        self.checks(networks="passed", kernels="passed", training="passed")
        self.row({**self.RECORDED, "cuda_graph": "off", "cuda_graph_reason": "too little memory"})
        self.assertIn("too little memory", " ".join(self.report.faults()))
        self.assertIn("worthless (2000.0)", (self.folder / "out/report.md").read_text())

    def test_a_later_run_goes_on(self):
        self.row(self.RECORDED)
        later = gpu_report.Report(self.folder / "other", self.folder / "kept", "Test")
        self.assertTrue(later.go_on())
        later.begin("more")
        later.say("text")
        text = (self.folder / "other/report.md").read_text()
        self.assertIn("2000.0", text)
        self.assertIn("text", text)

    def test_part_2_begins_with_what_part_1_left_out(self):
        for name in gpu.PARTS[1]:
            self.report.begin(name)
            self.report.end("left out" if name == "kernels" else "done")
        args = argparse.Namespace(part=2, skip=[], sections=list(gpu.PARTS[2]))
        names = gpu.sections_to_run(args, self.report)
        self.assertEqual(names, ["kernels", *gpu.PARTS[2]])


if __name__ == "__main__":
    unittest.main()
