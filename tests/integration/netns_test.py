#!/usr/bin/env python3
"""Sites in network namespaces: up, down, and nothing is left, however it ends.

What is counted: processes that have the folder of the test in their command
line, network namespaces that any process is in or holds, network devices, and
files."""

import os
import pathlib
import signal
import subprocess
import tempfile
import shutil
import time
import unittest

import lab
import net

MISSING = net.can_make_namespaces()
ROUNDS = 5


class Left:
    """What there is in the system that a cluster could leave behind."""

    def __init__(self, folder):
        self.folder = str(folder).encode()

    def processes(self):
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes()
            except OSError:
                continue
            if self.folder in words:
                found.append(words.replace(b"\0", b" ").decode())
        return found

    @staticmethod
    def namespaces():
        """Of motet's processes only: others come and go beside us."""
        found = set()
        for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
            try:
                if not comm.read_text().startswith("motet"):
                    continue
                fds = [comm.parent / "ns/net", *(comm.parent / "fd").iterdir()]
                for fd in fds:
                    if os.readlink(fd).startswith("net:"):
                        found.add(os.stat(fd).st_ino)
            except OSError:
                pass
        return found

    @staticmethod
    def devices():
        """TAP devices of the name that ours have, outside of namespaces."""
        return sorted(p.parent.name for p in
                      pathlib.Path("/sys/class/net").glob("eth*/tun_flags"))

    @staticmethod
    def named():
        return sorted(pathlib.Path("/run/netns").glob("*motet*"))

    def files(self):
        folder = pathlib.Path(self.folder.decode())
        return sorted(str(p) for p in folder.rglob("*") if not p.is_dir())


@unittest.skipIf(MISSING, f"needs namespaces: {MISSING}")
class NothingIsLeft(lab.LabTest):
    sites = 0

    def setUp(self):
        for name in ("lab", "other"):  # one that fails must not spoil others
            self.addCleanup(self.lab.motet, "down", "--purge", "-c", name)
        self.left = Left(self.lab.folder)
        self.before = (self.left.devices(), self.left.named())
        self.assertEqual(self.left.processes(), [])
        self.assertEqual(self.left.files(), [])

    def inodes(self):
        """The namespaces of this cluster, by its switch."""
        control = pathlib.Path(self.lab.folder, "r/lab/network.ctl")
        switch = net.socket.socket(net.socket.AF_UNIX)
        switch.connect(str(control))
        file = switch.makefile("rw")
        file.write("ports\n")
        file.flush()
        items = net.json.loads(file.readline())["items"]
        file.close()
        switch.close()
        return {os.stat(p["netns"]).st_ino for p in items}

    def check(self, inodes=()):
        lab.wait_until(lambda: not self.left.processes(), 10,
                       "its processes have ended")
        self.assertFalse(set(inodes) & self.left.namespaces())
        self.assertEqual((self.left.devices(), self.left.named()), self.before)
        self.lab.look_for_faults()
        self.assertEqual(self.left.files(), [])

    def test_rounds(self):
        for i in range(ROUNDS):
            self.lab.up(3, "--on", "netns")
            inodes = self.inodes()
            self.assertEqual(len(inodes), 3)
            self.assertTrue(inodes <= self.left.namespaces())
            self.assertEqual(self.ok("call", "echo.site3", "x", "-s",
                                     "site1").out, "x")
            self.ok("link", "cut", "site1", "site2", "--keep")
            if i % 2 == 1:
                self.ok("site", "kill", "site2")
            self.ok("down", "--purge")
            self.check(inodes)

    def test_interrupted(self):
        for how in (signal.SIGINT, signal.SIGTERM):
            for after in (0.02, 0.06, 0.1):
                child = self.lab.start("up", "4", "--name", "lab", "--on",
                                       "netns")
                time.sleep(after)
                child.send_signal(how)
                result = self.lab.finish(child)
                if result.code != 0:
                    self.assertIn(result.code, (130, 143, -2, -15), result)
                    running = self.lab.motet("status", "-c", "lab")
                    self.assertIn(running.code, (3, 7), result)
                    lab.wait_until(lambda: not self.left.processes(), 10,
                                   "nothing runs")
                self.lab.motet("down", "--purge", "-c", "lab")
                self.check()

    def test_the_launcher_is_killed(self):
        """The switch ends with it; a second up, or down, sweeps up the rest."""
        for then in ("down", "up", "down", "up"):
            child = self.lab.start("up", "4", "--name", "lab", "--on", "netns")
            pid_file = pathlib.Path(self.lab.folder, "r/lab/site2.pid")
            lab.wait_until(pid_file.exists, 10, "site2 is started")
            child.kill()
            self.lab.finish(child)
            if then == "up":
                self.lab.up(4, "--on", "netns")
                self.assertEqual(self.ok("call", "echo.site4", "x", "-s",
                                         "site1").out, "x")
            self.lab.motet("down", "--purge", "-c", "lab")
            self.check()

    def test_the_switch_is_killed(self):
        self.lab.up(3, "--on", "netns")
        pid_file = pathlib.Path(self.lab.folder, "r/lab/network.pid")
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
        self.fails(7, "link cut site1: the switch of cluster lab has ended",
                   "link", "cut", "site1", "site2",
                   hints=["start all anew: motet up -c lab"])
        self.lab.up(3)
        self.assertEqual(self.ok("call", "echo.site3", "x", "-s",
                                 "site1").out, "x")
        self.ok("down", "--purge")
        self.check()

    def test_it_grows_and_stands_beside_another(self):
        self.lab.up(2, "--on", "netns")
        self.lab.up(2, "--on", "netns", name="other")
        self.lab.up(3)
        self.ok("site", "add", "paris", "-c", "lab")
        states = self.lab.states(MOTET_CLUSTER="lab")
        self.assertEqual(set(states.values()), {"alive"})
        self.assertEqual(len(states), 4)
        self.assertEqual(len(self.inodes()), 4)
        self.ok("down", "--purge", "-c", "lab")
        self.assertEqual(self.ok("call", "echo.site2", "x", "-s", "site1",
                                 "-c", "other").out, "x")
        self.ok("down", "--purge", "-c", "other")
        self.check()

    def test_down_and_up_again_keeps_addresses_and_seed(self):
        self.lab.up(2, "--on", "netns", "--seed", "77")
        self.ok("down")
        self.lab.up(2)
        switch, = [p for p in self.left.processes() if "motet-switch" in p]
        self.assertIn("--seed 77", switch)
        self.assertEqual(self.lab.address("site2"), ("10.77.0.2", 7117))
        self.ok("down", "--purge")
        self.check()


@unittest.skipIf(os.geteuid() != 0, "needs root to be somebody else")
class WithoutRoot(unittest.TestCase):
    def test_one_clear_line(self):
        folder = tempfile.mkdtemp(prefix="mt-", dir="/tmp")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o777)
        env = dict(os.environ, HOME=folder, MOTET_RUNTIME_DIR=f"{folder}/r",
                   XDG_STATE_HOME=folder, XDG_DATA_HOME=folder)
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", lab.MOTET, "up",
             "--on", "netns"], env=env, check=False, capture_output=True,
            timeout=20)
        if done.returncode == 127 or b"failed to execute" in done.stderr:
            self.skipTest("others may not run the programs here")
        self.assertEqual(done.returncode, 77)
        self.assertEqual(done.stderr.decode().splitlines(), [
            "motet: up demo: network namespaces need root",
            "  try: sudo motet up --on netns",
            "  or without: --on host"])
        self.assertEqual(os.listdir(folder), [])


if __name__ == "__main__":
    lab.main()
