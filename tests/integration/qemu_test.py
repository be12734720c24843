#!/usr/bin/env python3
"""Three sites in virtual machines: they boot, join and talk; one is paused, one
crashes, one is killed and starts again. What the launcher starts ends with it.
"""

import os
import pathlib
import signal
import unittest

import lab

# Guests have no KVM here, and two cores that others use too.
BOOT = 150


def qemus(folder):
    """Pids of the machines whose files are below `folder`."""
    found = []
    for proc in pathlib.Path("/proc").iterdir():
        if not proc.name.isdigit():
            continue
        try:
            words = (proc / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"qemu-system-x86_64") and any(
                str(folder).encode() in word for word in words):
            found.append(int(proc.name))
    return found


def shared_cache(cluster):
    """Kernel and image are made once for all runs of the tests."""
    cache = os.environ.get("MOTET_TEST_CACHE",
                           str(lab.BIN.parent / "guest-cache"))
    cluster.env["XDG_CACHE_HOME"] = cache


class Guests(lab.LabTest):
    sites = 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        shared_cache(cls.lab)
        result = cls.lab.motet("up", 3, "--on", "qemu", "--name", "lab",
                               timeout=300)
        if result.code != 0:
            consoles = "".join(p.read_text(errors="replace") for p in
                               cls.lab.state().glob("*.console"))
            cls.lab.close()
            raise AssertionError(f"{result}\n{consoles}")
        cls.first = result

    @staticmethod
    def wait(condition, what):
        """What a guest does takes as long as others leave it time."""
        return lab.wait_until(condition, BOOT, what)

    def call(self, name, text, site):
        """What has just come back may not be known everywhere yet."""
        return self.ok("call", name, text, "-s", site, "--wait", "--deadline",
                       "60s", timeout=BOOT)

    def run_folder(self):
        return pathlib.Path(self.lab.folder, "r/lab")

    def pid(self, site):
        return int((self.run_folder() / f"{site}.pid").read_text().split()[0])

    def runs_anew(self, site, before):
        return ((self.run_folder() / f"{site}.pid").exists() and
                self.pid(site) != before)

    def all_alive(self):
        return list(self.lab.states().values()) == ["alive"] * 3

    def test_1_they_join_and_talk(self):
        lines = self.first.err.splitlines()
        self.assertRegex(lines[0], r"^lab: 3 QEMU sites, mutual TLS 1\.3, ")
        self.assertRegex(lines[1], r"^  ok  image +kernel \S+, initramfs ")
        self.assertEqual(len(qemus(self.lab.folder)), 3)
        for site in ("site1", "site2", "site3"):
            result = self.ok("call", f"echo.{site}", "hello", "-s", "site2")
            self.assertEqual(result.out, "hello")
        self.assertEqual(self.lab.conf("site3")["listen"], ["10.77.0.3:7117"])
        body = b"x" * 1_000_000
        result = self.ok("call", "echo.site3", "-", "-s", "site1",
                         "--deadline", "60s", stdin=body)
        self.assertEqual(len(result.out), len(body))
        result = self.ok("ping", "--all", "--json")
        self.assertEqual({i["received"] for i in result.json()["items"]}, {3})

    def test_2_programs_of_the_host_serve_and_are_told_apart(self):
        server = self.lab.start("receive", "greet", "-s", "site1", "--exec",
                                "tr a-z A-Z")
        self.wait(lambda: self.lab.motet(
            "call", "greet", "hi", "-s", "site3").out == "HI", "an answer")
        # A program that does not read holds up no other.
        idle = self.lab.start("receive", "idle", "-s", "site3")
        self.ok("send", "idle", "x", "-s", "site3", "--wait")
        os.kill(idle.pid, signal.SIGSTOP)
        self.assertEqual(self.ok("call", "echo.site3", "on", "-s",
                                 "site3").out, "on")
        for child in (server, idle):
            os.kill(child.pid, signal.SIGCONT)
            child.send_signal(signal.SIGINT)
            self.lab.finish(child)
        self.wait(lambda: self.lab.motet(
            "call", "greet", "hi", "-s", "site3").code == 3,
            "the end of its port")

    def test_3_pause_and_resume(self):
        self.ok("site", "pause", "site2")
        took = self.wait(
            lambda: self.lab.states(MOTET_SITE="site1").get("site2") == "dead",
            "the death of a paused site")
        self.assertGreater(took, 0.5)
        self.assertIn("paused", self.ok("status", "-v", "-s", "site1").out)
        self.assertRegex(self.ok("site", "resume", "site2").err,
                         r"^site2 goes on")
        self.wait(self.all_alive, "three alive")

    def test_3_a_port_moves_with_what_it_knows(self):
        for i in range(3):
            self.ok("call", "counter", "inc", "-s", "site2")
        self.assertRegex(self.ok("port", "migrate", "counter", "site3").out,
                         r"counter: site1 -> site3")
        self.assertEqual(self.ok("call", "counter", "get", "-s", "site2").out,
                         "3")
        self.ok("port", "migrate", "counter", "site1")

    def test_3_links(self):
        self.ok("link", "cut", "site1", "site2", "--for", "60s")
        self.wait(lambda: self.lab.motet(
            "call", "echo.site2", "x", "-s", "site1", "--deadline",
            "300ms").code in (4, 5), "the cut")
        self.ok("link", "heal")
        self.assertEqual(self.call("echo.site2", "x", "site1").out, "x")
        self.wait(lambda: len(self.ok("link", "stats", "--json").json()
                              ["items"]) == 6, "links both ways")
        self.assertRegex(self.ok("link", "stats", "site1", "site2").out,
                         "^site1 -> site2")
        self.wait(self.all_alive, "three alive")

    def faults(self):
        return [i["name"] for i in
                self.ok("chaos", "active", "--json").json()["items"]]

    def test_3_faults_by_hand(self):
        """One ends by itself: the machine is started again."""
        before = self.pid("site3")
        self.ok("chaos", "add", "pause", "site2", "--for", "300s")
        self.ok("chaos", "add", "kill", "site3", "--for", "1s")
        self.assertIn("pause-1", self.faults())
        self.wait(lambda: len(qemus(self.lab.folder)) == 2, "a death")
        self.ok("chaos", "clear", "pause-1", timeout=BOOT)
        self.wait(lambda: self.runs_anew("site3", before), "another process")
        self.wait(self.all_alive, "three alive")
        self.wait(lambda: self.faults() == [], "no fault")

    def test_4_a_crash_leaves_a_core_and_its_signal(self):
        pid = self.pid("site3")
        os.kill(pid, signal.SIGABRT)
        self.wait(lambda: len(qemus(self.lab.folder)) == 2,
                  "the end of the machine")
        core = self.lab.state() / "site3.core"
        self.assertEqual(core.read_bytes()[:4], b"\x7fELF")
        self.assertIn(f"the site ended by signal 6, core in {core}",
                      self.lab.log("site3"))
        self.ok("site", "restart", "site3", timeout=BOOT)
        self.wait(self.all_alive, "three alive")
        self.assertEqual(self.call("echo.site3", "again", "site1").out, "again")

    def test_5_kill_and_restart(self):
        before = (self.lab.state() / "site2/incarnation").read_text()
        self.assertRegex(self.ok("site", "kill", "site2").err,
                         r"^site2 killed \(pid \d+, signal 9\)")
        self.wait(lambda: len(qemus(self.lab.folder)) == 2,
                  "the end of the machine")
        self.wait(
            lambda: self.lab.states(MOTET_SITE="site1").get("site2") == "dead",
            "its death")
        result = self.ok("site", "restart", "site2", timeout=BOOT)
        self.assertRegex(result.err.splitlines()[-1],
                         r"^site2 is up \(pid \d+, 10\.77\.0\.2:7117\): 3 of 3")
        after = (self.lab.state() / "site2/incarnation").read_text()
        self.assertGreater(int(after), int(before))

    def test_6_reset(self):
        self.assertRegex(self.ok("site", "reset", "site1").err,
                         r"^site1 was reset")
        self.wait(lambda: self.lab.states(MOTET_SITE="site2").get("site1")
                  != "alive", "the reset")
        self.wait(self.all_alive, "its return")
        self.assertEqual(self.call("echo.site1", "back", "site3").out, "back")

    def incarnation(self, site):
        items = self.ok("status", "--json").json()["items"]
        return [i["incarnation"] for i in items if i["name"] == site][0]

    def test_6_snapshot_and_back(self):
        """What was goes on, and is not taken for what it was."""
        before = self.incarnation("site2")
        self.ok("site", "snapshot", "site2", timeout=BOOT)
        self.assertEqual(self.ok("call", "echo.site2", "on", "-s",
                                 "site2").out, "on")
        self.ok("site", "kill", "site2")
        self.wait(
            lambda: self.lab.states(MOTET_SITE="site1").get("site2") == "dead",
            "its death")
        self.assertRegex(
            self.ok("site", "restore", "site2", timeout=BOOT).err,
            r"site2 goes on from \S+ \(pid \d+\): 3 of 3 alive")
        self.assertGreater(self.incarnation("site2"), before)
        self.assertEqual(self.call("echo.site2", "back", "site2").out, "back")
        self.assertIn("born again", self.lab.log("site2"))
        self.fails(3, "site restore site2: no snapshot /no/file", "site", "restore",
                   "site2", "/no/file",
                   hints=["make one: motet site snapshot site2"])

    def test_7_doctor_has_booted_one(self):
        items = self.ok("doctor", "--json", timeout=BOOT).json()["items"]
        found = {i["name"]: i for i in items}
        self.assertEqual(found["tcg"]["state"], "ok", found)
        self.assertRegex(found["tcg"]["what"], r"^a guest boots in ")
        self.assertGreater(found["tcg"]["took_ns"], 200_000_000)
        self.assertIn(found["kvm"]["state"], ("ok", "warn", "no"))

    def test_8_down_leaves_nothing(self):
        self.ok("down")
        self.assertEqual(qemus(self.lab.folder), [])
        self.assertEqual(list(self.run_folder().iterdir()), [])

    def test_9_a_killed_launcher_leaves_what_down_finds(self):
        for number in (signal.SIGKILL, signal.SIGINT):
            with self.subTest(number):
                child = self.lab.start("up", "-c", "lab")
                self.wait(lambda: len(qemus(self.lab.folder)) >= 2,
                          "two machines")
                child.send_signal(number)
                self.lab.finish(child)
                self.ok("down")
                self.wait(lambda: not qemus(self.lab.folder),
                          "the end of all machines")
                self.assertEqual(list(self.run_folder().iterdir()), [])

    def test_9_an_orphan_machine_ends(self):
        child = self.lab.start("up", "-c", "lab")
        self.wait(lambda: len(qemus(self.lab.folder)) == 3,
                  "three machines")
        for site in ("site1", "site2", "site3"):
            os.kill(self.pid(site), signal.SIGKILL)
        self.wait(lambda: not qemus(self.lab.folder),
                  "the end of all machines")
        result = self.lab.finish(child)
        self.assertEqual(result.code, 1, result)
        self.assertRegex(result.err, r"site site\d ended before it had joined")
        self.assertEqual(list(self.run_folder().iterdir()), [])

    @unittest.skipIf(os.geteuid() != 0, "the tests above ran without root")
    def test_9_without_root(self):
        """In the guest the site is root, and yet it takes its owner."""
        env = self.lab.home_of_nobody()

        def motet(*args):
            return self.lab.motet(*args, env=env, user=lab.NOBODY,
                                  timeout=BOOT)

        try:
            result = motet("up", "1", "--on", "qemu", "--timeout", "90s")
            self.assertEqual(result.code, 0, result)
            self.assertEqual(motet("call", "echo.site1", "mine").out, "mine")
        finally:
            result = motet("down", "--purge")
        self.assertEqual(result.code, 0, result)


if __name__ == "__main__":
    lab.main()
