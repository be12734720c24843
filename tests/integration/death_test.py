#!/usr/bin/env python3
"""A site is killed: the others say so in time, calls to it end with a clear
code, and its next incarnation is called again."""

import time

import lab

DEAD_WITHIN_S = 4  # p99 is 3.4 s at 32 sites


class Death(lab.LabTest):
    def tearDown(self):
        for item in self.items("site1"):
            if item["note"] == "paused":
                self.ok("site", "resume", item["name"])
            if item["note"] == "no process":
                self.ok("site", "restart", item["name"])

    def items(self, at):
        return self.ok("status", "--json", "-s", at).json()["items"]

    def incarnation(self, site, at="site1"):
        return {i["name"]: i["incarnation"] for i in self.items(at)}[site]

    def kill(self, site):
        result = self.ok("site", "kill", site)
        self.assertRegex(result.err, rf"^{site} killed \(pid \d+, signal 9\)")

    def test_the_others_say_so(self):
        self.kill("site2")
        for at in ("site1", "site3"):
            took = lab.wait_until(
                lambda: self.lab.states(MOTET_SITE=at).get("site2") == "dead",
                DEAD_WITHIN_S, f"{at} says that site2 is dead")
            print(f"{at}: site2 dead after {took:.2f} s")
        down = self.ok("status", "--down", "-s", "site1").out
        self.assertRegex(down.splitlines()[0], r"^lab +degraded ")
        self.assertRegex(down, r"site2 +dead +for \d+s .*no process")
        self.assertNotIn("site3", down)

    def test_calls_end_with_a_clear_code(self):
        child = self.lab.start("call", "echo.site2", "--rate", "200/s",
                               "--for", "8s", "--deadline", "6s", "-s",
                               "site1", "--json")
        time.sleep(1.5)
        self.kill("site2")
        start = time.monotonic()
        single = self.lab.motet("call", "echo.site2", "x", "--deadline", "10s",
                                "-s", "site3")
        took = time.monotonic() - start
        self.assertIn(single.code, (3, 4, 5), single)
        self.assertLess(took, DEAD_WITHIN_S + 1.5)
        self.assertRegex(single.err,
                         r"^motet: call echo\.site2: .*"
                         r"(did NOT run|MAY HAVE RUN|no such name)")
        result = self.lab.finish(child)
        self.assertIn(result.code, (4, 5), result)
        doc = result.json()
        self.assertGreater(doc["answered"], 200)
        self.assertEqual(doc["lost"], 0)
        self.assertEqual(doc["duplicated"], 0)
        self.assertEqual(
            doc["calls"],
            doc["answered"] + doc["refused"] + doc["unknown"], doc)

    def test_the_next_incarnation_is_called(self):
        before = self.incarnation("site2")
        self.kill("site2")
        self.ok("site", "restart", "site2")
        self.assertGreater(self.incarnation("site2"), before)
        for at in ("site1", "site3"):
            self.assertEqual(self.ok("call", "echo.site2", "again", "--wait",
                                     "-s", at).out, "again")

    def test_a_watch_of_a_site(self):
        watcher = self.lab.start("watch", "site2", "-s", "site3")
        self.assertIn(b"watching site2", watcher.stderr.readline())
        self.kill("site2")
        result = self.lab.finish(watcher, timeout=DEAD_WITHIN_S + 4)
        self.assertEqual(result.code, 0, result)
        self.assertIn("site2 died", result.out)

    def test_a_pause_is_not_a_death_at_once(self):
        self.ok("site", "pause", "site3")
        time.sleep(0.8)
        self.assertNotEqual(
            self.lab.states(MOTET_SITE="site1").get("site3"), "dead")
        self.ok("site", "resume", "site3")
        lab.wait_until(
            lambda: self.lab.states(MOTET_SITE="site1").get("site3") ==
            "alive", what="site3 alive again")
        self.assertEqual(self.ok("call", "echo.site3", "x", "-s",
                                 "site1").out, "x")

    def test_nothing_waits_for_a_paused_site(self):
        self.ok("site", "pause", "site3")
        start = time.monotonic()
        result = self.lab.motet("call", "echo", "x", "-s", "site3")
        self.assertIn(result.code, (4, 5, 7), result)
        self.assertTrue(result.err.startswith("motet: call echo: "), result)
        result = self.lab.motet("call", "echo.site3", "x", "-s", "site1",
                                "--deadline", "500ms")
        self.assertIn(result.code, (3, 4, 5), result)
        self.assertEqual(self.ok("call", "echo", "x").out, "x")
        self.assertLess(time.monotonic() - start, 12)

    def test_kill_what_does_not_run(self):
        self.kill("site2")
        self.fails(7, "site kill site2: it is not running", "site", "kill",
                   "site2", hints=["start it: motet site restart site2"])
        self.fails(7, "call echo: site site2 is not running", "call", "echo",
                   "x", "-s", "site2")
        self.fails(3, "site kill site9: no site named site9 in cluster lab",
                   "site", "kill", "site9")


if __name__ == "__main__":
    lab.main()
