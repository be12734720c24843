#!/usr/bin/env python3
"""The same scenario with faults of links, on processes behind a relay and in
network namespaces."""

import json
import os
import pathlib
import re
import signal
import unittest

import lab
import net

NO_NETNS = net.can_make_namespaces()
VERDICT = re.compile(r"^verdict  (.*)$", re.M)

LINKS = """
name: links
sites: 3
for: 8s
workload: {actors: 1, rate: 60/s}
faults:
  - {at: 1s, fault: cut, from: site2, to: site1, one-way: yes, for: 3s}
  - {at: 2s, fault: loss, by: 30%, burst: 3, from: site1, to: site3,
     one-way: yes, for: 3s}
  - {at: 2s, fault: delay, by: 50ms, from: site3, to: site2,
     one-way: yes, for: 3s}
  - {at: 3s, fault: ring, for: 1s}
  - {at: 4s, fault: clog, from: site3, to: all, for: 1s}
  - {at: 5s, fault: kill, site: site2, for: 500ms}
  - {at: 5s, fault: rate, by: 256KiB/s, from: site1, to: site3, for: 2s}
holds: {calls: 20}
"""


class Links(lab.LabTest):
    sites = 0

    def play(self, ground):
        path = pathlib.Path(self.lab.folder, "links.yml")
        path.write_text(LINKS, encoding="utf-8")
        result = self.ok("chaos", "run", path, "--on", ground, "--port",
                         self.lab.port, timeout=120)
        self.assertEqual(VERDICT.findall(result.out), ["PASS"], result)
        self.assertNotIn("motet: ", result.err)
        latest = self.lab.state("chaos") / "chaos/latest"
        report = json.loads((latest / "report.json").read_text())
        self.assertEqual(len(report["faults"]), 7)
        self.assertTrue((latest / "network.log").exists())
        self.look_at_links(ground,
                           json.loads((latest / "links.json").read_text()))
        self.assertFalse(pathlib.Path(self.lab.folder, "r/chaos").exists())
        left = {p.name for p in self.lab.state("chaos").iterdir()}
        self.assertEqual(left, {"chaos"}, "only runs are left")

    def look_at_links(self, ground, items):
        """What was said of a link has happened to it. The relay does not read
        what it may not pass, and loses nothing: those are not counted there."""
        links = {(i["from"], i["to"]): i for i in items}
        self.assertEqual(len(links), 6)
        for link in links.values():
            self.assertGreater(link["passed"], 0)
        self.assertGreater(links["site3", "site2"]["delayed"], 0)
        self.assertEqual(links["site1", "site2"]["delayed"], 0)
        if ground == "netns":
            self.assertGreater(links["site2", "site1"]["cut"], 0)
            self.assertEqual(links["site1", "site2"]["cut"], 0, "one way")
            self.assertGreater(links["site1", "site3"]["burst"], 0)
            self.assertEqual(links["site3", "site1"]["burst"], 0)

    def test_host(self):
        self.play("host")

    @unittest.skipIf(NO_NETNS, f"needs namespaces: {NO_NETNS}")
    def test_netns(self):
        self.play("netns")

    def test_no_verdict_without_faults(self):
        """The relay dies, and the next fault cannot begin."""
        path = pathlib.Path(self.lab.folder, "dies.yml")
        path.write_text(LINKS, encoding="utf-8")
        child = self.lab.start("chaos", "run", path, "--on", "host", "-c",
                               "dies", "--port", self.lab.port + 5)
        log = self.lab.state("dies") / "chaos/latest/run.log"
        lab.wait_until(lambda: log.exists() and " begin " in log.read_text(),
                       what="the first fault")
        pid = pathlib.Path(self.lab.folder, "r/dies/network.pid").read_text()
        os.kill(int(pid.split()[0]), signal.SIGKILL)
        result = self.lab.finish(child)
        self.assertEqual(result.code, 1, result)
        self.assertIn("does not answer", result.err)
        self.assertEqual(VERDICT.findall(result.out), [])
        self.assertFalse(pathlib.Path(self.lab.folder, "r/dies").exists())

    def both_run(self):
        items = self.ok("status", "--json", "-s", "site1").json()["items"]
        return all(i["state"] == "alive" and i["note"] != "no process"
                   for i in items)

    @unittest.skipIf(NO_NETNS, f"needs namespaces: {NO_NETNS}")
    def test_a_death_by_hand_ends(self):
        """The site is started again, in a namespace of its own."""
        self.lab.up(2, "--on", "netns")
        self.ok("chaos", "add", "kill", "site2", "--for", "1s")
        lab.wait_until(lambda: self.ok("chaos", "active", "--json").json()
                       ["items"] == [], what="its end")
        lab.wait_until(self.both_run, what="both alive")


if __name__ == "__main__":
    lab.main()
