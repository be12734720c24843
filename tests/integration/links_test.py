#!/usr/bin/env python3
"""Links are cut, made worse and healed, on every ground that this machine has:
between processes by the relay, between namespaces by the switch."""

import os
import pathlib
import signal
import struct
import time
import unittest

import lab
import net

NO_NETNS = net.can_make_namespaces()


class Links:
    """Three sites; what is said of links holds on each ground."""

    sites = 0
    ground = "host"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.up(3, "--on", cls.ground)

    def tearDown(self):
        self.ok("link", "heal")
        lab.wait_until(self.whole, what="all is well again")

    def whole(self):
        return (list(self.lab.states().values()) == ["alive"] * 3
                and self.lab.motet("ping", "--all").code == 0)

    def call(self, site, port, deadline):
        return self.lab.motet("call", port, "x", "-s", site, "--deadline",
                              deadline)

    def faults(self):
        return self.ok("link", "faults", "--json").json()["items"]

    def test_a_cut_is_seen_and_heals(self):
        result = self.ok("link", "cut", "site1", "site2", "--for", "2s")
        self.assertRegex(
            result.err.splitlines()[-1],
            r"^cut-1: site1 <-> site2 cut, heals at \d\d:\d\d:\d\d "
            r"\(or: motet link heal cut-1\)$")
        start = time.monotonic()
        self.assertIn(self.call("site1", "echo.site2", "300ms").code, (4, 5))
        self.assertEqual(self.call("site1", "echo.site3", "5s").out, "x")
        fault, = self.faults()
        self.assertEqual((fault["name"], fault["from"], fault["to"],
                          fault["one_way"], fault["words"]),
                         ("cut-1", "site1", "site2", False, "cut"))
        self.assertEqual(self.call("site1", "echo.site2", "20s").out, "x")
        self.assertGreater(time.monotonic() - start, 1.0)
        lab.wait_until(lambda: not self.faults(), what="it has an end")

    def test_one_way(self):
        """Neither is heard that way; the other way a message still passes."""
        result = self.ok("link", "cut", "site2", "site1", "--one-way",
                         "--json").json()
        self.assertTrue(result["one_way"])
        self.assertEqual(result["for_ns"], 60_000_000_000)
        self.assertIn(self.call("site1", "echo.site2", "300ms").code, (4, 5))

    def test_a_site_that_is_cut_off_is_dead_and_comes_back(self):
        self.ok("link", "cut", "site3", "*", "--keep")
        self.assertIsNone(self.faults()[0]["left_ns"])
        lab.wait_until(lambda: self.lab.states().get("site3") == "dead",
                       what="site3 is dead for the others")
        self.assertEqual(self.ok("link", "heal", "site3", "site1").err,
                         "1 fault healed\n")
        lab.wait_until(self.whole, what="site3 is back")

    def test_calls_pass_at_30_percent_loss(self):
        self.ok("link", "set", "*", "*", "--loss", "30%")
        for site in ("site1", "site2", "site3"):
            self.assertEqual(self.call(site, "echo.site2", "25s").out, "x")

    def test_delay_is_in_the_round_trip(self):
        self.ok("link", "set", "site1", "site2", "--delay", "20ms")
        self.ok("link", "set", "site1", "site2", "--loss", "0%")
        rows = self.ok("ping", "--all", "--json").json()["items"]
        took = {(r["from"], r["to"]): r["median_ns"] for r in rows}
        self.assertGreaterEqual(took["site1", "site2"], 40e6)
        self.assertLess(took["site1", "site3"], 30e6)

    def test_what_passed_is_counted(self):
        before = self.sent()
        self.assertEqual(self.call("site1", "echo.site2", "5s").out, "x")
        after = self.sent()
        self.assertEqual(len(after), 6, after)
        self.assertGreater(after["site1", "site2"], before["site1", "site2"])

    def sent(self):
        return {(i["from"], i["to"]): i["tx_packets"] for i in
                self.ok("link", "stats", "--json").json()["items"]}

    def test_names(self):
        self.ok("link", "cut", "site1", "site2")
        self.ok("link", "cut", "site1", "site3")
        self.ok("link", "set", "site2", "site3", "--rate", "10mbit", "--as",
                "slow")
        self.assertEqual([f["name"] for f in self.faults()],
                         ["cut-1", "cut-2", "slow"])
        self.assertEqual(self.faults()[2]["words"], "rate=10mbit")
        self.ok("link", "heal", "cut-1")
        self.ok("link", "cut", "site1", "site2")
        self.assertEqual([f["name"] for f in self.faults()],
                         ["cut-2", "slow", "cut-3"])
        self.assertEqual(self.ok("link", "heal", "site1", "*").err,
                         "2 faults healed\n")

    def test_a_site_that_starts_anew_is_behind_the_same_links(self):
        self.ok("link", "set", "site1", "site2", "--delay", "20ms")
        self.ok("site", "restart", "site2")
        rows = self.ok("ping", "--all", "--json").json()["items"]
        took = {(r["from"], r["to"]): r["median_ns"] for r in rows}
        self.assertGreaterEqual(took["site1", "site2"], 40e6)

    def test_refusals(self):
        for code, line, words in [
                (3, "link cut site1: no site named site9 in cluster lab",
                 ["cut", "site1", "site9"]),
                (3, "link cut site1,sit2: no site named sit2 in cluster lab",
                 ["cut", "site1,sit2", "site3"]),
                (2, "link set site1: --loss: \"1\" is not a part like 1%",
                 ["set", "site1", "site2", "--loss", "1"]),
                (2, "link set site1: say what: --delay 5ms, --loss 1%, ...",
                 ["set", "site1", "site2"]),
                (3, "link heal cut-9: no fault named cut-9",
                 ["heal", "cut-9"]),
                (2, "link cut: --for: \"x\" is not a time: 50ms, 2s, 1m",
                 ["cut", "site1", "site2", "--for", "x"]),
        ]:
            with self.subTest(words=words):
                self.fails(code, line, "link", *words)
        for words in (["site1", "site1"], ["site1", "site2", "--for", "0"]):
            self.assertEqual(self.lab.motet("link", "cut", *words).code, 2)
        self.assertEqual(self.faults(), [])


class OnHost(Links, lab.LabTest):
    def test_there_are_no_frames(self):
        self.fails(2, "link capture x: there are no frames: the sites are "
                      "processes of this host", "link", "capture", "x")

    def test_the_relay_may_die(self):
        """Then sites dial each other directly; the next fault starts it."""
        self.ok("link", "cut", "site1", "site2", "--for", "1s")
        pid = int((pathlib.Path(self.lab.folder) / "r/lab/network.pid")
                  .read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        lab.wait_until(self.whole, what="all is well without it")
        result = self.ok("link", "set", "site1", "site2", "--delay", "1ms")
        self.assertIn("go through a relay now", result.err)


@unittest.skipIf(NO_NETNS, f"needs namespaces: {NO_NETNS}")
class OnNetns(Links, lab.LabTest):
    ground = "netns"

    def test_capture(self):
        file = pathlib.Path(self.lab.folder) / "x.pcapng"
        self.ok("link", "capture", file)
        self.assertEqual(self.call("site1", "echo.site2", "5s").out, "x")
        self.ok("link", "capture", "off")
        data = file.read_bytes()
        self.assertEqual(struct.unpack_from("<I", data)[0], 0x0a0d0d0a)
        self.assertIn(b"site2", data)
        self.assertGreater(len(data), 2500)


if __name__ == "__main__":
    lab.main()
