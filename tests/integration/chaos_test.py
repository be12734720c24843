#!/usr/bin/env python3
"""Scenarios on real processes: they run, are judged, can be judged again from
their folders, and leave nothing behind. The judge bites when a log is changed."""

import json
import os
import pathlib
import re
import shutil
import signal
import time
import unittest

import lab

SOURCES = pathlib.Path(__file__).resolve().parents[2]
SCENARIOS = SOURCES / "deploy/chaos/scenarios"
FAULTS_MD = SOURCES / "docs/FAULTS.md"
VERDICT = re.compile(r"^verdict  (.*)$", re.M)

SHORT = """
name: short
about: a site dies, another stands still, a third is slow
sites: 3
for: 6s
workload: {actors: 1, rate: 60/s}
faults:
  - {at: 1s, fault: kill, site: site2, for: 1s}
  - {at: 2s, fault: pause, site: site1, for: 500ms}
  - {at: 3s, fault: slow, site: site3, for: 1s}
  - {at: 4s, fault: stranger, site: all}
  - {at: 4s, fault: disk-full, site: site3, for: 1s}
  - {at: 4500ms, fault: lose-state, site: site3, for: 100ms}
holds: {calls: 20}
"""



def processes(folder):
    """The motetd processes whose command line names the folder."""
    found = []
    for proc in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (proc / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"motetd" in words[0] and any(folder.encode() in w for w in words):
            found.append(int(proc.name))
    return found


class Scenarios(lab.LabTest):
    sites = 0

    def write(self, text, name="s.yml"):
        path = pathlib.Path(self.lab.folder, name)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def runs(self):
        return self.lab.state("chaos") / "chaos"

    def latest(self):
        return self.runs() / "latest"

    def test_the_library_is_listed(self):
        items = self.ok("chaos", "list", "--json").json()["items"]
        self.assertGreaterEqual(len(items), 15)
        host = [i["name"] for i in items if "host" in i["on"].split()]
        self.assertGreaterEqual(len(host), 10)
        self.assertTrue(all("sim" in i["on"].split() for i in items))

    def faults(self):
        return {i["name"]: i for i in
                self.ok("chaos", "faults", "--json").json()["items"]}

    def test_each_fault_is_in_the_library(self):
        text = "".join(p.read_text() for p in SCENARIOS.glob("*.yml"))
        missing = [name for name in self.faults()
                   if not re.search(rf"fault: {name}\b", text)]
        self.assertEqual(missing, [])

    def test_the_table_of_the_manual_is_true(self):
        rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (\w+) \| (\w+) \| "
                          r"(\w+) \| (\w+) \|", FAULTS_MD.read_text(), re.M)
        self.assertEqual([r[0] for r in rows], list(self.faults()))
        root = {"root": "yes" if os.geteuid() == 0 else "no"}
        for name, of, *said in rows:
            fault = self.faults()[name]
            self.assertEqual(of, fault["of"], name)
            on = dict(zip(("sim", "host", "netns", "qemu"),
                          (root.get(s, s) for s in said)))
            self.assertEqual({g: "yes" if g in fault["on"].split() else "no"
                              for g in on}, on, name)

    def test_a_run_in_the_simulator(self):
        first = self.ok("chaos", "run", "kill-one", "--seed", "3")
        self.assertEqual(VERDICT.findall(first.out), ["PASS"])
        self.assertTrue(first.out.splitlines()[-1].startswith("verdict"))
        before = (self.latest() / "site1.events").read_text()
        again = self.ok("chaos", "run", self.latest() / "scenario.yml")
        self.assertEqual((self.latest() / "site1.events").read_text(), before,
                         "the same seed, the same run")
        self.assertIn("seed 3 ", again.err)

    def test_a_run_on_host(self):
        result = self.ok("chaos", "run", self.write(SHORT), "--on", "host",
                         "--port", self.lab.port)
        self.assertEqual(VERDICT.findall(result.out), ["PASS"], result)
        folder = self.latest()
        report = json.loads((folder / "report.json").read_text())
        self.assertEqual(report["verdict"], "PASS")
        self.assertEqual(report["counts"]["lives"], 5)
        self.assertEqual(len(report["faults"]), 6)
        self.assertGreater(report["counts"]["replies"], 20)
        self.assertEqual(report["pending"], 0)
        html = (folder / "index.html").read_text()
        self.assertIn("<svg", html)
        self.assertNotRegex(html, r"(src|href)=", "needs nothing else")
        self.assertIn("No space left on device",
                      (folder / "site3.log").read_text())
        self.assertEqual(processes(self.lab.folder), [])
        left = {p.name for p in self.lab.state("chaos").iterdir()}
        self.assertEqual(left, {"chaos"}, "only runs are left")
        self.assertFalse(pathlib.Path(self.lab.folder, "r/chaos").exists())
        self.judge_again(folder)

    def judge_again(self, folder):
        """Offline; and with logs that say other things."""
        again = self.ok("chaos", "check", folder)
        self.assertEqual(VERDICT.findall(again.out), ["PASS"])
        for code, promise, change in (
                (8, "P2 once", self.deliver_twice),
                (8, "P4 calls", self.execute_twice),
                (8, "P1 known outcome", self.lose_a_message),
                (10, "P8 convergence", self.not_agreed),
                (9, "answered", self.no_calls)):
            other = pathlib.Path(self.lab.folder, f"changed-{code}-{promise}")
            shutil.copytree(folder.resolve(), other)
            change(other)
            result = self.lab.motet("chaos", "check", other)
            self.assertEqual(result.code, code, result)
            self.assertIn(promise, result.out)
            html = (other / "index.html").read_text()
            if code != 9:
                self.assertIn(promise.split(" ", 1)[1], html)

    def lines(self, folder, what):
        """(file, lines, index) of each event of a kind, last ones first."""
        for file in sorted(folder.glob("*.events")):
            lines = file.read_text().splitlines(keepends=True)
            for i in range(len(lines) - 1, -1, -1):
                if lines[i].split()[1] == what:
                    yield file, lines, i

    def twice(self, folder, what):
        file, lines, i = next(self.lines(folder, what))
        lines.insert(i, lines[i])
        file.write_text("".join(lines))

    def deliver_twice(self, folder):
        self.twice(folder, "DELIVER")

    def execute_twice(self, folder):
        self.twice(folder, "EXECUTE")

    def events(self, folder):
        end = json.loads((folder / "run.json").read_text())["end_ns"]
        for file in sorted(folder.glob("*.events")):
            for line in file.read_text().splitlines():
                words = line.split()
                if int(words[0]) > end:
                    break  # the sites leave
                yield words[1], dict(w.split("=") for w in words[2:])

    def lose_a_message(self, folder):
        """One that was accepted by a port of site1, which never died, is not
        delivered."""
        target, accepted, ended = {}, set(), set()
        for what, words in self.events(folder):
            if what == "SEND_BEGIN" and "told" in words:
                target[words["id"]] = words["peer"]
            elif what == "SEND_END" and "err" not in words:
                accepted.add(words.get("id"))
            elif what == "PORT_END":
                ended.add(words["port"])
        file = folder / "site1.events"
        lines = file.read_text().splitlines(keepends=True)
        for i, line in enumerate(lines):
            words = dict(w.split("=") for w in line.split()[2:])
            if (line.split()[1] == "DELIVER" and words["id"] in accepted and
                    target.get(words["id"]) == words["port"] and
                    words["port"] not in ended):
                del lines[i]
                file.write_text("".join(lines))
                return
        self.fail("no message to lose")

    def not_agreed(self, folder):
        run = json.loads((folder / "run.json").read_text())
        run["accused"] = [{"promise": 8, "at_ns": run["healed_ns"],
                           "site": "0", "text": "they do not agree"}]
        (folder / "run.json").write_text(json.dumps(run))

    def no_calls(self, folder):
        run = json.loads((folder / "run.json").read_text())
        run["calls_min"] = 1000000
        (folder / "run.json").write_text(json.dumps(run))

    def test_interrupted(self):
        child = self.lab.start("chaos", "run", self.write(SHORT, "i.yml"),
                               "--on", "host", "-c", "stopped", "--port",
                               self.lab.port + 5)
        lab.wait_until(lambda: len(processes(self.lab.folder)) >= 3,
                       what="sites")
        time.sleep(1.2)
        os.kill(child.pid, signal.SIGINT)
        result = self.lab.finish(child)
        self.assertEqual(result.code, 130, result)
        self.assertIn("interrupted", result.err)
        self.assertEqual(processes(self.lab.folder), [])
        self.assertFalse(pathlib.Path(self.lab.folder, "r/stopped").exists())

    def test_bad_input(self):
        bad = self.write("name: x\nfaults:\n- {at: 1s, fault: kil}\n", "b.yml")
        result = self.lab.motet("chaos", "run", bad)
        self.assertEqual(result.code, 2, result)
        self.assertRegex(result.err, rf"{bad} line 3: no fault \"kil\"; there "
                         r"are: kill restart ")
        self.fails(2, 'chaos run calmer: no scenario "calmer"', "chaos", "run",
                   "calmer", hints=["did you mean: calm",
                                    "list them: motet chaos list"])
        self.fails(2, 'chaos run calm: --on: no ground "moon"', "chaos", "run",
                   "calm", "--on", "moon")
        self.fails(2, 'chaos run: --nemesis: no "kil"', "chaos", "run",
                   "--nemesis", "kil")
        self.fails(2, "chaos run clock-jump: clock cannot be done on host: "
                   "all processes have one wall clock", "chaos", "run",
                   "clock-jump", "--on", "host",
                   hints=["where it can be done: --on sim, --on qemu"])
        late = self.write("name: x\nfor: 9s\nfaults:\n- {at: 10s, fault: kill, "
                          "site: site1}\n", "late.yml")
        self.fails(2, f"chaos run {late}: {late} line 4: at: the run ends at 9s"
                   '; begin the fault earlier, or make "for" of the scenario '
                   "longer", "chaos", "run", late)
        self.fails(2, "chaos run kill-one: --for: a fault begins at 3 s",
                   "chaos", "run", "kill-one", "--for", "2s")
        self.assertEqual(
            self.lab.motet("chaos", "check", "/nowhere").code, 3)


    def test_a_ground_that_is_not_there(self):
        """What is missing is told at once, and what to do."""
        result = self.lab.motet("chaos", "run", "calm", "--on", "qemu",
                                env={"PATH": "/nowhere"})
        self.assertEqual(result.code, 1, result)
        self.assertEqual(result.err.splitlines(), [
            "motet: chaos run calm: no qemu-system-x86_64: QEMU is not "
            "installed", "  apt-get install qemu-system-x86",
            "  or without machines: --on host"])
        self.assertFalse(self.lab.state("chaos").exists(), "no run has begun")

    @unittest.skipIf(os.geteuid() != 0, "needs root to be somebody else")
    def test_without_root(self):
        env = self.lab.home_of_nobody()
        for ground, scenario, code, line in (
                ("netns", "calm", 77, "network namespaces need root"),
                ("qemu", "strangers", 2, "stranger cannot be done on qemu: as "
                 "root only: ")):
            result = self.lab.motet("chaos", "run", scenario, "--on", ground,
                                    env=env, user=lab.NOBODY, timeout=30)
            self.assertEqual(result.code, code, result)
            lines = result.err.splitlines()
            self.assertIn(f"motet: chaos run {scenario}: {line}", lines[0])
            self.assertGreater(len(lines), 1, "and a hint")


class ByHand(lab.LabTest):
    def test_faults_begin_and_end(self):
        self.ok("chaos", "add", "pause", "site2", "--for", "30s")
        self.ok("chaos", "add", "kill", "site3", "--for", "2s")
        active = self.ok("chaos", "active", "--json").json()["items"]
        self.assertEqual(sorted(i["name"] for i in active),
                         ["kill-1", "pause-1"])
        notes = {i["name"]: i["note"] for i in
                 self.ok("status", "--json", "-s", "site1").json()["items"]}
        self.assertEqual(notes["site2"], "paused")
        self.assertEqual(notes["site3"], "no process")
        self.ok("chaos", "clear", "pause-1")
        lab.wait_until(
            lambda: self.lab.states(MOTET_SITE="site1") ==
            {"site1": "alive", "site2": "alive", "site3": "alive"},
            what="all alive")
        lab.wait_until(lambda: self.ok("chaos", "active", "--json").json()
                       ["items"] == [], what="no fault")
        self.fails(3, 'chaos clear pause-1: no fault "pause-1" is active', "chaos",
                   "clear", "pause-1")

    def test_what_does_not_fit(self):
        self.fails(2, "chaos add cut: cut is not for sites that run already",
                   "chaos", "add", "cut", "site1")
        self.fails(3, "chaos add kill: no site named site9 in cluster lab",
                   "chaos", "add", "kill", "site9")


if __name__ == "__main__":
    lab.main()
