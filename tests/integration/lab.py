"""A cluster of real processes for one test.

Folders and ports are its own. Whatever happens to the test, a guard process
ends every process of the cluster, each by its pid, and removes the folders.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BIN = pathlib.Path(os.environ.get("MOTET_BIN", "build/release/bin")).resolve()
MOTET = BIN / "motet"
MOTETD = BIN / "motetd"

# Instrumented builds are slower; what is promised in seconds is measured with
# the release build.
PATIENCE = 30

NOBODY = 65534  # a user who is not root

# As CHECK, the sanitizers and glibc say it.
FAULT = re.compile(r"check failed|Sanitizer: |runtime error:|corrupted")


def kill_by_files(folder):
    """Ends the processes that the pid files below `folder` name."""
    for file in pathlib.Path(folder).rglob("*.pid"):
        with contextlib.suppress(OSError, ValueError):
            pid, started = file.read_text().split()
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
            if stat.rsplit(")", 1)[1].split()[19] == started:
                os.kill(int(pid), signal.SIGKILL)


def start_guard(folder):
    """A process that waits for our end, however it comes, and cleans up."""
    read_end, write_end = os.pipe()
    if os.fork() == 0:
        os.close(write_end)
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.read(read_end, 1)  # returns when no writer is left
        for _ in range(3):
            kill_by_files(folder)
            time.sleep(0.05)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)
    os.close(read_end)
    os.set_inheritable(write_end, False)
    return write_end


class Result:
    """How a run of motet ended."""

    def __init__(self, args, done):
        self.args = args
        self.code = done.returncode
        self.out = done.stdout.decode(errors="replace")
        self.err = done.stderr.decode(errors="replace")

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return (f"motet {' '.join(self.args)}: exit {self.code}\n"
                f"--- stdout\n{self.out}--- stderr\n{self.err}---")


class Lab:
    """Folders, an environment, and the commands of motet in it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="mt-", dir="/tmp")
        self.guard = start_guard(self.folder)
        self.port = random.SystemRandom().randrange(20000, 32000, 20)
        self.env = dict(os.environ)
        for name in list(self.env):
            if name.startswith(("MOTET_", "XDG_")) and name != "MOTET_BIN":
                del self.env[name]
        self.env.update(
            HOME=self.folder,
            MOTET_RUNTIME_DIR=f"{self.folder}/r",
            XDG_STATE_HOME=f"{self.folder}/s",
            XDG_DATA_HOME=f"{self.folder}/d",
            LC_ALL="C.UTF-8",
        )
        self.children = []
        self.faults = set()  # lines of logs that no motetd may write

    def look_for_faults(self):
        """Before logs are removed: what sanitizers and CHECK wrote there."""
        for log in pathlib.Path(self.folder).rglob("*.log"):
            for line in log.read_text(errors="replace").splitlines():
                if FAULT.search(line):
                    self.faults.add(f"{log.name}: {line}")

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.communicate()
        kill_by_files(self.folder)
        self.look_for_faults()
        os.close(self.guard)  # the guard removes the folder
        deadline = time.monotonic() + 5
        while os.path.exists(self.folder) and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.faults:
            raise AssertionError("\n".join(sorted(self.faults)))

    # ---- commands

    def motet(self, *args, stdin=None, timeout=60, env=None, user=None):
        """Runs a command to its end, as `user` (by root only); `timeout` guards
        against a hang."""
        args = [str(a) for a in args]
        who = {} if user is None else {"user": user, "group": user,
                                       "extra_groups": []}
        if "--purge" in args:
            self.look_for_faults()
        done = subprocess.run(
            [str(MOTET), *args], env={**self.env, **(env or {})},
            input=b"" if stdin is None else stdin,
            capture_output=True, timeout=timeout, check=False, **who)
        return Result(args, done)

    def start(self, *args, stdin=None):
        """Starts a command that goes on: a server, a load."""
        child = subprocess.Popen(
            [str(MOTET), *[str(a) for a in args]], env=self.env,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.children.append(child)
        return child

    def finish(self, child, timeout=60):
        out, err = child.communicate(timeout=timeout)
        self.children.remove(child)
        done = subprocess.CompletedProcess(child.args, child.returncode, out,
                                           err)
        return Result([str(a) for a in child.args[1:]], done)

    def motetd(self, *args, timeout=30):
        """Runs a motetd that is expected to end by itself. One that does not
        is ended, with code None."""
        words = ["(motetd)", *[str(a) for a in args]]
        command = [str(MOTETD), *words[1:]]
        try:
            done = subprocess.run(command, env=self.env,
                                  stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=timeout,
                                  check=False)
        except subprocess.TimeoutExpired as late:
            done = subprocess.CompletedProcess(
                command, None, late.stdout or b"", late.stderr or b"")
        return Result(words, done)

    def up(self, sites=3, *args, name="lab"):
        result = self.motet("up", sites, "--name", name, "--port", self.port,
                            *args)
        if result.code != 0:
            raise AssertionError(str(result))
        return result

    # ---- files

    def home_of_nobody(self):
        """Makes it. Returns the environment of who lives there."""
        home = pathlib.Path(self.folder, "n")
        home.mkdir()
        os.chmod(self.folder, 0o711)
        os.chown(home, NOBODY, NOBODY)
        return {"HOME": str(home), "MOTET_RUNTIME_DIR": f"{home}/r",
                "XDG_STATE_HOME": f"{home}/s", "XDG_DATA_HOME": f"{home}/d"}

    def state(self, cluster="lab"):
        return pathlib.Path(self.folder, "s/motet", cluster)

    def pki(self, cluster="lab"):
        return pathlib.Path(self.folder, "d/motet", cluster, "pki")

    def conf(self, site, cluster="lab"):
        """The configuration of a site as a dict of lists."""
        found = {}
        text = (self.state(cluster) / f"{site}.conf").read_text()
        for line in text.splitlines():
            if "=" in line and not line.startswith("#"):
                key, value = line.split("=", 1)
                found.setdefault(key.strip(), []).append(value.strip())
        return found

    def address(self, site, cluster="lab"):
        host, port = self.conf(site, cluster)["listen"][0].rsplit(":", 1)
        return host, int(port)

    def log(self, site, cluster="lab"):
        return (self.state(cluster) / f"{site}.log").read_text()

    def adopt(self, site, pid, cluster="lab"):
        """The command line takes process `pid` for that site."""
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        started = stat.rsplit(")", 1)[1].split()[19]
        file = pathlib.Path(self.folder, "r", cluster, f"{site}.pid")
        file.write_text(f"{pid} {started}\n")

    def states(self, **env):
        """Name -> state, as a site sees it."""
        result = self.motet("status", "--json", env=env)
        if result.code != 0:
            return {}
        return {i["name"]: i["state"] for i in result.json()["items"]}


def wait_until(condition, seconds=PATIENCE, what="it"):
    """Waits for a condition. Returns how long it took, in seconds."""
    start = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - start
        if time.monotonic() - start > seconds:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


class LabTest(unittest.TestCase):
    """Tests that share one cluster of `sites` sites (0 = none is started)."""

    sites = 3
    lab: Lab

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        try:
            if cls.sites:
                cls.lab.up(cls.sites)
        except BaseException:
            cls.lab.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def ok(self, *args, **kwargs):
        result = self.lab.motet(*args, **kwargs)
        self.assertEqual(result.code, 0, result)
        return result

    def fails(self, code, first_line, *args, hints=None, **kwargs):
        """The command must end with `code` and say exactly `first_line`, then
        at least one and at most two indented hints."""
        result = self.lab.motet(*args, **kwargs)
        self.assertEqual(result.code, code, result)
        lines = result.err.splitlines()
        self.assertTrue(lines, result)
        self.assertEqual(lines[0], f"motet: {first_line}", result)
        self.assertLessEqual(len(lines), 3, result)
        for line in lines[1:]:
            self.assertTrue(line.startswith("  "), result)
        if hints is not None:
            self.assertEqual([line.strip() for line in lines[1:]], hints,
                             result)
        return result


def main():
    if not MOTET.exists():
        sys.exit(f"no {MOTET}: set MOTET_BIN to the folder of the programs")
    unittest.main()
