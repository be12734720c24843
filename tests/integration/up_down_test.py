#!/usr/bin/env python3
"""A cluster comes up, says so, lists what is in it, goes down, comes again."""

import pathlib
import re
import socket
import time

import lab

LISTINGS = [
    (["status"], "motet.status/1"),
    (["site", "list"], "motet.site.list/1"),
    (["port", "list"], "motet.port.list/1"),
    (["group", "list"], "motet.group.list/1"),
    (["group", "info", "echo"], "motet.group.info/1"),
    (["link", "list"], "motet.link.list/1"),
    (["link", "stats"], "motet.link.list/1"),
    (["port", "info", "counter"], "motet.port.info/1"),
    (["ping"], "motet.ping/1"),
]


class UpDown(lab.LabTest):
    sites = 0

    def setUp(self):
        self.lab.up(3)

    def tearDown(self):
        self.lab.motet("down", "--purge")

    def test_steps_and_the_next_command(self):
        self.ok("down", "--purge")
        err = self.lab.up(3).err
        lines = err.splitlines()
        self.assertRegex(lines[0], r"^lab: 3 host sites, mutual TLS 1\.3, ")
        self.assertRegex(lines[1], r"^  ok  certificates +CA and 3 sites, "
                                   r"P-256, valid 30 days +[\d.]+ m?s$")
        for i in (1, 2, 3):
            self.assertRegex(lines[1 + i], rf"^  ok  site{i} +pid \d+ +"
                                           rf"127\.0\.0\.1:\d+ +[\d.]+ [mu]?s$")
        self.assertRegex(lines[5], r"^  ok  membership +3 of 3 alive, all 6 "
                                   r"directions answer +[\d.]+ m?s$")
        self.assertRegex(lines[6], r"^lab is up \([\d.]+ m?s\)$")
        self.assertIn("motet call echo hello", err)

    def test_a_second_up(self):
        pids = self.pids()
        result = self.lab.up(3)
        self.assertEqual(result.err, "lab is already up: 3 of 3 alive\n")
        self.assertEqual(self.pids(), pids)

    def test_up_grows(self):
        before = self.pids()
        self.lab.up(4)
        after = self.pids()
        self.assertEqual(sorted(after), ["site1", "site2", "site3", "site4"])
        self.assertEqual({n: after[n] for n in before}, before)

    def test_site_add(self):
        self.ok("site", "add", "paris")
        self.assertEqual(self.lab.states().get("paris"), "alive")
        self.assertEqual(self.ok("call", "echo.paris", "hi", "-s",
                                 "site2").out, "hi")
        result = self.fails(2, "site add paris: cluster lab has a site named "
                               "paris", "site", "add", "paris")
        self.assertIn("motet site restart paris", result.err)

    def test_down_and_up_again(self):
        first = self.pids()
        incarnations = self.incarnations()
        self.assertRegex(self.ok("down").err, r"^lab is down: 3 of 3 stopped")
        for pid in first.values():
            self.assertFalse(self.runs(pid), pid)
        self.fails(7, "status: cluster lab is not running", "status", "-c",
                   "lab", hints=["start it: motet up --name lab"])
        self.assertRegex(self.ok("down").err, r"^lab was not running$")
        self.lab.up(3)
        for name, incarnation in self.incarnations().items():
            self.assertGreater(incarnation, incarnations[name])
        self.assertEqual(self.ok("call", "echo", "again").out, "again")

    def test_purge(self):
        self.ok("down", "--purge")
        for folder in ("r/lab", "s/motet/lab", "d/motet/lab"):
            self.assertFalse(pathlib.Path(self.lab.folder, folder).exists(),
                             folder)
        self.fails(3, "status: no cluster named lab", "status", "-c", "lab")

    def test_two_clusters(self):
        self.lab.motet("up", "1", "--name", "other", "--port",
                       self.lab.port + 10)
        result = self.lab.motet("status")
        self.assertEqual(result.code, 2, result)
        self.assertIn("several clusters: ", result.err)
        self.assertIn("say which: -c NAME", result.err)
        self.assertEqual(len(self.ok("status", "-c", "other", "--json")
                             .json()["items"]), 1)
        self.assertEqual(len(self.ok("status", "--json",
                                     env={"MOTET_CLUSTER": "lab"})
                             .json()["items"]), 3)
        self.ok("down", "--purge", "-c", "other")

    def test_listings_table_and_json_agree(self):
        for words, schema in LISTINGS:
            with self.subTest(words=words):
                doc = self.ok(*words, "--json").json()
                self.assertEqual(doc["schema"], schema)
                self.assertEqual(doc["cluster"], "lab")
                self.assertTrue(self.ok(*words).out.strip())
                if "items" in doc:
                    self.assertTrue(doc["items"])
                    wide = self.ok(*words, "-o", "wide").out
                    first = doc["items"][0]
                    self.assertIn(str(first.get("name")
                                      or first.get("from")
                                      or first.get("site")), wide)

    def test_global_flags_anywhere(self):
        for words in (["-c", "lab", "-s", "site2", "call", "echo", "x"],
                      ["call", "-s", "site2", "echo", "-c", "lab", "x"],
                      ["call", "echo", "x", "--site=site2", "--cluster=lab"]):
            with self.subTest(words=words):
                self.assertEqual(self.ok(*words).out, "x")

    def test_status_says_where_we_are(self):
        out = self.ok("status", "-s", "site2").out
        self.assertRegex(out, r"(?m)site2 .*\(you are here\)")
        self.assertRegex(out.splitlines()[0], r"^lab +full ")
        self.assertRegex(self.ok("status", "-vv").out, r"rtt [\d.]+ [mu]s")
        self.assertEqual(len(self.ok("status", "--down").out.splitlines()), 1)

    def test_ping_all(self):
        doc = self.ok("ping", "--all", "--json").json()
        pairs = {(i["from"], i["to"]) for i in doc["items"]}
        self.assertEqual(len(pairs), 6)
        for item in doc["items"]:
            self.assertEqual(item["sent"], item["received"], item)
            self.assertGreater(item["median_ns"], 0)

    def test_ports_know_their_groups(self):
        items = self.ok("port", "list", "--json").json()["items"]
        byname = {i["name"]: i for i in items}
        self.assertEqual(byname["counter"]["site"], "site1")
        for site in ("site1", "site2", "site3"):
            self.assertEqual(byname[f"echo.{site}"]["groups"],
                             f"echo,echo.{site}")
            self.assertEqual(byname[f"bench.{site}"]["actor"], "bench")

    def test_logs(self):
        self.assertIn("site2", self.ok("site", "logs", "site2").out)
        child = self.lab.start("site", "logs", "site2", "-f", "-n", "1")
        self.assertIn(b"site2", child.stdout.readline())
        child.terminate()
        self.assertEqual(self.lab.finish(child).code, -15)

    def test_fast(self):
        """A listing takes less than 100 ms, start and end included; three
        times that here, for instrumented builds on a busy machine."""
        best = 9.0
        for _ in range(5):
            start = time.monotonic()
            self.ok("status")
            best = min(best, time.monotonic() - start)
        self.assertLess(best, 0.3)

    def test_no_colour_and_no_truncation_in_a_pipe(self):
        out = self.ok("port", "list", "-o", "wide",
                      env={"COLUMNS": "40"}).out
        self.assertNotIn("\x1b", out)
        self.assertTrue(any(len(line) > 80 for line in out.splitlines()))

    @staticmethod
    def runs(pid):
        """A process that nobody has buried yet does not run."""
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False
        return stat.rsplit(")", 1)[1].split()[0] not in "ZX"

    def pids(self):
        return {i["name"]: i["pid"] for i in
                self.ok("site", "list", "--json").json()["items"]}

    def incarnations(self):
        return {i["name"]: i["incarnation"] for i in
                self.ok("site", "list", "--json").json()["items"]}


class UpFails(lab.LabTest):
    """What fails is told with the line of the log, and undone."""

    sites = 0

    def tearDown(self):
        self.lab.motet("down", "--purge")

    def test_a_site_that_cannot_start(self):
        self.lab.up(2)
        self.ok("down")
        conf = self.lab.state() / "site2.conf"
        conf.write_text(conf.read_text() + "nonsense = 1\n")
        result = self.lab.motet("up", "--name", "lab")
        self.assertEqual(result.code, 1, result)
        self.assertIn("motet: up lab: site site2 ended before it had joined\n",
                      result.err)
        self.assertIn('unknown key "nonsense"', result.err)
        self.assertRegex(result.err, r"(?m)^  log: .*/site2\.log$")
        self.fails(7, "status: cluster lab is not running", "status", "-c",
                   "lab")

    def test_an_address_is_taken(self):
        self.lab.up(2)
        self.ok("down")
        host, port = self.lab.address("site2")
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            thief.bind((host, port))
            thief.listen()
            result = self.fails(
                1, f"up lab: {host}:{port}, the address of site2, is taken by "
                   "another program", "up", "--name", "lab", "-q")
            self.assertIn("motet down --purge", result.err)
        self.lab.up(2)

    def test_a_certificate_is_missing(self):
        self.lab.up(2)
        self.ok("down")
        (self.lab.pki() / "site2.key").unlink()
        (self.lab.pki() / "site2.pem").unlink()
        conf = self.lab.state() / "site2.conf"
        result = self.lab.motetd("--config", conf)
        self.assertEqual(result.code, 78, result)
        self.assertRegex(result.err, r"site2\.(pem|key)")
        text = "".join(line + "\n" for line in conf.read_text().splitlines()
                       if not re.match(r"(ca|cert|key) =", line))
        conf.write_text(text)
        result = self.lab.motetd("--config", conf)
        self.assertEqual(result.code, 78, result)
        self.assertIn("a site needs a certificate", result.err)

    def test_up_makes_a_missing_certificate_again(self):
        self.lab.up(1)
        self.ok("down")
        (self.lab.pki() / "site1.pem").unlink()
        self.lab.up(1)
        self.assertEqual(self.ok("call", "echo", "x").out, "x")

    def test_interrupted(self):
        child = self.lab.start("up", "8", "--name", "lab", "--port",
                               self.lab.port)
        time.sleep(0.05)
        child.terminate()
        result = self.lab.finish(child)
        if result.code == 0:
            self.skipTest("it was up before the signal came")
        self.assertIn(result.code, (143, -15), result)
        result = self.lab.motet("status", "-c", "lab")
        self.assertIn(result.code, (3, 7), result)

    def test_insecure_says_so(self):
        err = self.lab.up(2, "--insecure").err
        self.assertIn("NOT encrypted", err)
        self.assertEqual(self.ok("call", "echo.site2", "x", "-s",
                                 "site1").out, "x")


if __name__ == "__main__":
    lab.main()
