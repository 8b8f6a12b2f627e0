"""Runs other programs, each for a limited time, and leaves nothing of them behind."""
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

# xception bench writes what it has measured when it gets SIGTERM.
GRACE_SECONDS = 5.0
PR_SET_PDEATHSIG = 1


def python_with_torch():
    """The tests' Python (scripts/test.sh makes it), else the one that runs this."""
    of_tests = pathlib.Path(__file__).resolve().parents[2] / ".venv-test/bin/python"
    return str(of_tests) if of_tests.exists() else sys.executable


class Outcome:
    """How a program ended: its exit code (None: it was stopped at its limit), seconds, and what it printed."""

    def __init__(self, code, seconds, output):
        self.code, self.seconds, self.output = code, seconds, output

    @property
    def ended(self):
        """In words."""
        if self.code is None:
            return f"stopped after {self.seconds:.0f} s"
        if self.code < 0:
            return f"ended by {signal.Signals(-self.code).name}"
        return f"exit code {self.code}"

    @property
    def last_line(self):
        return (self.output.strip().splitlines() or ["no output"])[-1]


def die_with_parent():
    """In the child: SIGKILL when the script itself is killed, which then can't do it."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (AttributeError, OSError):
        pass  # not Linux


class Child:
    """A program in a session of its own, so that all that it starts can be stopped with it."""

    def __init__(self, command, environment=None):
        # A file: of a pipe the end isn't seen before the last grandchild has closed it.
        self.printed = tempfile.TemporaryFile()
        self.start = time.monotonic()
        self.code = None
        try:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                            stdout=self.printed, stderr=subprocess.STDOUT, env=environment,
                                            start_new_session=True, preexec_fn=die_with_parent)
        except OSError as error:
            self.process, self.code = None, 127
            self.printed.write(f"{command[0]}: {error.strerror}\n".encode())

    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, limit):
        """The outcome; after `limit` seconds the program and all that it started are stopped."""
        if self.process is not None:
            try:
                self.code = self.process.wait(max(0.0, limit))
            except subprocess.TimeoutExpired:
                self.stop()
            finally:
                self.signal(signal.SIGKILL)  # what it left behind, or an exception came from outside
                self.process.wait()
        seconds = time.monotonic() - self.start
        self.printed.seek(0)
        with self.printed:
            return Outcome(self.code, seconds, self.printed.read().decode(errors="replace"))

    def stop(self):
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # all gone


def run(command, limit, environment=None):
    return Child(command, environment).wait(limit)
