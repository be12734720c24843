#!/usr/bin/env python3
"""Rounds of up, faults, down: after each, nothing is there that was not there
before. Likewise when a launcher is interrupted or killed in the middle."""

import os
import pathlib
import signal
import subprocess
import time
import unittest

import lab
import net

NO_NETNS = net.can_make_namespaces()
LONG = bool(os.environ.get("MOTET_LONG"))
ROUNDS = 20
ROUNDS_NETNS = ROUNDS if LONG else 3

SHORT = """
name: short
sites: 3
for: 60s
workload: {actors: 1, rate: 20/s}
faults:
  - {at: 100ms, fault: twin, site: site2, for: 50s}
  - {at: 100ms, fault: pause, site: site1, for: 50s}
  - {at: 200ms, fault: cut, from: site1, to: site3, for: 50s}
  - {at: 300ms, fault: kill, site: site3, for: 200ms}
"""


def of_process(pid, folder):
    """Whether a process is of the lab in that folder: its environment tells,
    and who came from it inherits that."""
    try:
        return folder.encode() in pathlib.Path(f"/proc/{pid}/environ"
                                               ).read_bytes()
    except OSError:
        return False


class What:
    """Everything that a cluster of this lab may leave behind."""

    def __init__(self, folder):
        pids = [p for p in os.listdir("/proc") if p.isdigit()]
        self.processes = {p for p in pids if of_process(p, folder)}
        self.namespaces = {os.readlink(f"/proc/{p}/ns/net")
                           for p in self.processes
                           if os.path.exists(f"/proc/{p}/ns/net")}
        named = pathlib.Path("/run/netns")
        self.named = set(os.listdir(named)) if named.is_dir() else set()
        self.links = {i for i in os.listdir("/sys/class/net")}
        self.sockets = {line.split()[-1] for line in pathlib.Path(
            "/proc/net/unix").read_text().splitlines() if folder in line}
        self.files = {str(p.relative_to(folder)) for p in
                      pathlib.Path(folder).rglob("*") if not p.is_dir()}
        self.folders = {str(p.relative_to(folder)) for p in
                        pathlib.Path(folder).glob("?/motet/*")}
        self.folders |= {str(p.relative_to(folder)) for p in
                         pathlib.Path(folder).glob("r/*")}
        self.shared = set(os.listdir("/dev/shm"))

    def more_than(self, before):
        return {name: sorted(now - vars(before)[name])
                for name, now in vars(self).items()
                if now - vars(before)[name]}


class LeftBehind(lab.LabTest):
    sites = 0

    def nothing_is_left(self, before, what):
        """What ends by itself has a moment to do so."""
        deadline = time.monotonic() + 5
        while True:
            left = What(self.lab.folder).more_than(before)
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        self.assertEqual(left, {}, what)

    def break_it(self, number, ground):
        """Faults by hand; some have ended when it goes down, some have not."""
        self.ok("link", "cut", "site1", "site3", "--for", "50s")
        self.ok("chaos", "add", "kill", "site3", "--for", "50ms")
        kind = ("pause", "twin", "disk-full", "restart", "stranger",
                "kill")[number % 6]
        self.ok("chaos", "add", kind, "site2", "--for", "50s")
        if number % 3 == 0:
            self.ok("chaos", "clear")
        if number % 4 == 1:
            self.ok("link", "heal")
        self.assertEqual(self.ok("call", "echo.site1", "hi", "-s",
                                 "site1").out, "hi", ground)

    def rounds(self, ground, count):
        before = What(self.lab.folder)
        for number in range(count):
            self.lab.up(3, "--on", ground)
            self.break_it(number, ground)
            self.assertGreater(len(What(self.lab.folder).processes),
                               len(before.processes) + 2)
            self.ok("down", "--purge")
            self.nothing_is_left(before, f"round {number} on {ground}")

    def test_host_rounds(self):
        self.rounds("host", ROUNDS)

    @unittest.skipIf(NO_NETNS, f"needs namespaces: {NO_NETNS}")
    def test_netns_rounds(self):
        self.rounds("netns", ROUNDS_NETNS)

    def test_down_without_purge_leaves_files_only(self):
        self.lab.up(3)
        self.ok("down")
        before = What(self.lab.folder)
        for number in range(6):
            self.ok("up", "-c", "lab")
            self.break_it(number, "host")
            self.ok("down")
            left = What(self.lab.folder).more_than(before)
            left.pop("files", None)  # logs
            self.assertEqual(left, {}, f"round {number}")
        self.ok("down", "--purge")

    def grounds(self):
        return ("host",) if NO_NETNS else ("host", "netns")

    def test_a_launcher_that_is_stopped_in_the_middle(self):
        for ground in self.grounds():
            for number in signal.SIGINT, signal.SIGTERM, signal.SIGKILL:
                for after in 0.005, 0.03, 0.08:
                    with self.subTest(f"{ground} {number} {after}"):
                        self.stop_up(ground, number, after)

    def stop_up(self, ground, number, after):
        before = What(self.lab.folder)
        child = self.lab.start("up", 3, "--on", ground, "--name", "lab",
                               "--port", self.lab.port)
        time.sleep(after)
        child.send_signal(number)
        self.lab.finish(child)
        self.lab.motet("down", "--purge", "-c", "lab")
        self.nothing_is_left(before, "after up")

    def test_a_run_that_is_stopped_in_the_middle(self):
        path = pathlib.Path(self.lab.folder, "short.yml")
        path.write_text(SHORT, encoding="utf-8")
        for ground in self.grounds():
            for number in signal.SIGINT, signal.SIGKILL:
                with self.subTest(f"{ground} {number}"):
                    self.stop_run(path, ground, number)

    def stop_run(self, path, ground, number):
        before = What(self.lab.folder)
        child = self.lab.start("chaos", "run", path, "--on", ground, "--port",
                               self.lab.port)
        log = self.lab.state("chaos") / "chaos/latest/run.log"
        lab.wait_until(lambda: log.exists() and "down site3" in
                       log.read_text(), what="faults")
        child.send_signal(number)
        result = self.lab.finish(child)
        self.assertEqual(result.code, 130 if number == signal.SIGINT else -9)
        if number == signal.SIGINT:
            left = What(self.lab.folder).more_than(before)
            kept = [f for f in left.pop("files", [])
                    if not f.startswith("s/motet/chaos/chaos/")]
            self.assertEqual(kept, [], "but the folder of the run")
            self.assertEqual(left.pop("folders", []), ["s/motet/chaos"])
            self.assertEqual(left, {})
        self.lab.motet("down", "--purge", "-c", "chaos")
        self.nothing_is_left(before, "after a run")


if __name__ == "__main__":
    lab.main()
