#!/usr/bin/env python3
"""Small messages over UDP: real processes, real kernels, a wire that loses."""

import os
import pathlib
import re
import subprocess
import unittest

import wire
from lab import MOTETD, Lab, LabTest, main, wait_until


def links(lab, *args):
    result = lab.motet("link", "list", "--json", *args)
    return result.json()["items"] if result.code == 0 else []


class Loopback(LabTest):
    sites = 0

    def tearDown(self):
        self.lab.motet("down", "--purge")

    def up(self, transport, *args):
        self.lab.up(3, "--transport", transport, *args)

    def all_on(self, path):
        found = links(self.lab)
        return len(found) == 6 and all(i["path"] == path for i in found)

    def test_udp_is_taken(self):
        self.up("udp")
        wait_until(lambda: self.all_on("udp"), what="paths of all links")
        self.ok("call", "echo", "hello", "-s", "site3")
        result = self.ok("call", "counter", "inc", "-s", "site2", "--rate",
                         "500/s", "--for", "2s", "--verify", "order")
        self.assertIn("0 lost, 0 duplicated, 0 reordered, 0 refused, 0 unknown",
                      result.out)
        frames = [i for i in links(self.lab)
                  if i["from"] == "site2" and i["to"] == "site1"]
        self.assertGreater(frames[0]["path_tx_frames"], 1000)
        self.assertEqual(frames[0]["path_forged"], 0)
        stats = self.ok("link", "stats", "site2", "site1").out
        self.assertRegex(stats, r"udp  in use   rtt .*mtu \d+   window ")
        # What does not fit into small messages goes the other way, unharmed.
        big = b"x" * 300000
        result = self.ok("call", "echo", "-s", "site3", "--file", "-",
                         stdin=big) if self.takes_files() else None
        if result is not None:
            self.assertEqual(len(result.out.rstrip("\n")), len(big))

    def takes_files(self):
        return "--file" in self.lab.motet("call", "--help").out

    def test_insecure_too(self):
        self.up("udp", "--insecure")
        wait_until(lambda: self.all_on("udp"), what="paths of all links")
        self.ok("call", "echo", "hello", "-s", "site3")

    def test_auto_and_a_new_site(self):
        self.up("auto")
        wait_until(lambda: all(i["path_mtu"] for i in links(self.lab)),
                   what="paths of all links")
        self.ok("site", "add")
        self.assertEqual(self.lab.conf("site4")["transport"], ["auto"])

    def test_tcp_is_the_default(self):
        self.lab.up(2)
        self.assertTrue(all(i["path"] == "tcp" and i["path_mtu"] is None
                            for i in links(self.lab)))

    def path(self, a, b):
        return {i["path"] for i in links(self.lab)
                if {i["from"], i["to"]} == {a, b}}

    def test_one_link_by_itself(self):
        """While it is used: nothing is lost when its way is another."""
        self.lab.up(3)
        load = self.lab.start("call", "counter", "inc", "-s", "site2", "--rate",
                              "200/s", "--for", "4s", "-d", "60s", "--verify",
                              "order")
        for way, path in (("udp", "udp"), ("tcp", "tcp"), ("auto", "udp"),
                          ("udp", "udp")):
            self.ok("link", "set", "site1", "site2", "--transport", way)
            wait_until(lambda: self.path("site1", "site2") == {path},
                       what=f"{way}: {path} between site1 and site2")
            self.assertEqual(self.path("site1", "site3"), {"tcp"})
        result = self.lab.finish(load, timeout=90)
        self.assertEqual(result.code, 0, result)
        self.assertIn("0 lost, 0 duplicated, 0 reordered, 0 refused, 0 unknown",
                      result.out)
        # It lasts: also where a site starts anew.
        self.assertEqual(self.lab.conf("site1")["transport-to"], ["site2 udp"])
        self.assertEqual(self.lab.conf("site2")["transport-to"], ["site1 udp"])
        self.ok("down")
        self.lab.up(3)
        wait_until(lambda: self.path("site1", "site2") == {"udp"},
                   what="the path of one link")
        self.assertEqual(self.path("site2", "site3"), {"tcp"})

    def test_one_link_stays_with_tcp(self):
        self.up("udp")
        self.ok("link", "set", "site3", "*", "--transport", "tcp")
        wait_until(lambda: self.path("site1", "site3") == {"tcp"} and
                   self.path("site2", "site3") == {"tcp"} and
                   self.path("site1", "site2") == {"udp"}, what="the ways")

    def test_links_of_a_file(self):
        path = f"{self.lab.folder}/motet.yml"
        text = ("name: lab\nsites:\n  - name: oslo\n  - name: rome\n"
                "  - name: bern\nlinks:\n  - between: [oslo, rome]\n"
                "    transport: {}\n")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.format("sctp"))
        self.fails(2, f"up: {path}:8: transport sctp: there are tcp, udp and "
                   "auto", "up", "-f", path)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.format("udp"))
        self.ok("up", "-f", path, "--port", self.lab.port)
        wait_until(lambda: self.path("oslo", "rome") == {"udp"},
                   what="the path of the file")
        self.assertEqual(self.path("bern", "rome"), {"tcp"})

    def test_words(self):
        self.fails(2, "up lab: transport sctp: there are tcp, udp and auto", "up", "3",
                   "--name", "lab", "--transport", "sctp")
        result = self.lab.motetd("--name", "x", "--state-dir", self.lab.folder,
                                 "--insecure", "--transport", "sctp")
        self.assertEqual(result.code, 78, result)
        self.assertIn('say tcp, udp or auto, not "sctp"', result.err)
        for words in ("site2", "site2 sctp", ""):
            result = self.lab.motetd("--name", "x", "--state-dir",
                                     self.lab.folder, "--insecure",
                                     "--transport-to", words)
            self.assertEqual(result.code, 78, result)
            self.assertIn("transport-to: say a site and tcp, udp or auto, not "
                          f'"{words}"', result.err)
        self.lab.up(2)
        self.fails(2, "link set site1: transport sctp: there are tcp, udp and "
                   "auto", "link", "set", "site1", "site2", "--transport",
                   "sctp")
        self.fails(3, "link set site1: no site named paris in cluster lab",
                   "link", "set", "site1", "paris", "--transport", "udp")


@unittest.skipIf(wire.possible() is not None, wire.possible())
class OverTheWire(LabTest):
    """Two sites in two namespaces."""

    sites = 0

    def setUp(self):
        self.wire = wire.Wire(seed=1)
        self.sites_running = []

    def tearDown(self):
        for child in self.sites_running:
            child.terminate()
            child.wait(timeout=20)
        self.wire.close()
        self.lab.motet("down", "--purge")

    def start(self, transport):
        """Configured by `motet up`, moved onto the wire."""
        self.lab.up(2, "--transport", transport)
        self.ok("down")
        for side in (0, 1):
            conf = self.lab.state() / f"site{side + 1}.conf"
            text = conf.read_text()
            text = re.sub(r"listen = .*:",
                          f"listen = {wire.ADDRESSES[side]}:", text)
            port = self.lab.conf(f"site{2 - side}")["listen"][0].split(":")[1]
            text = re.sub(r"join = .*",
                          f"join = {wire.ADDRESSES[1 - side]}:{port}", text)
            if "join" not in text:
                text += f"join = {wire.ADDRESSES[1 - side]}:{port}\n"
            conf.write_text(text)
        for side in (0, 1):
            log = open(self.lab.state() / f"site{side + 1}.log", "ab")
            self.sites_running.append(subprocess.Popen(
                self.wire.command(side, MOTETD, "--config",
                                  self.lab.state() / f"site{side + 1}.conf"),
                env=self.lab.env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log))
            log.close()
            self.lab.adopt(f"site{side + 1}", self.sites_running[-1].pid)
        wait_until(lambda: len(links(self.lab, "site1")) == 1 and
                   links(self.lab, "site1")[0]["state"] == "up",
                   what="the session")
        if transport == "udp":
            self.path_is("udp")

    def path_is(self, path, seconds=30):
        return wait_until(
            lambda: [i["path"] for s in ("site1", "site2")
                     for i in links(self.lab, s)] == [path, path],
            seconds, f"path {path}")

    def goodput(self, transport):
        """Messages a second, one way, at 5 % loss each way and 20 ms."""
        self.wire.loss = 0.0
        self.wire.delay = 0.010
        self.start(transport)
        self.wire.loss = 0.05
        result = self.ok("bench", "send", "--from", "site1", "--to", "site2",
                         "--size", "1KiB", "--for", "4s", "--warm-up", "2s",
                         "--window", "200", "--runs", "1", "--json", timeout=120)
        self.wire.loss = 0.0
        for child in self.sites_running:
            child.terminate()
            child.wait(timeout=20)
        self.sites_running = []
        self.lab.motet("down", "--purge")
        return result.json()["rows"][0]["rate_per_s"]

    @unittest.skipIf(os.environ.get("MOTET_KIND", "release") != "release",
                     "speed is measured where it is built for speed")
    def test_goodput_under_loss(self):
        """At least that of TCP as most kernels have it, CUBIC or Reno; and near
        that of what this kernel has by default, which may be BBR: one run of a
        few seconds beside other tests tells no more."""
        default = pathlib.Path(
            "/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
        kinds = [k for k in (self.wire.use_tcp("cubic"),
                             self.wire.use_tcp("reno")) if k is not None]
        if not kinds:
            self.skipTest("the congestion control of TCP cannot be chosen")
        seen = {"udp": self.goodput("udp")}
        for kind in dict.fromkeys([*kinds, default]):
            self.wire.use_tcp(kind)
            seen[kind] = self.goodput("tcp")
        print("5 % loss each way, 20 ms, 1 KiB, messages a second:",
              ", ".join(f"{k} {v:.0f}" for k, v in seen.items()))
        self.assertGreater(seen["udp"], 0)
        for kind in kinds:
            self.assertGreaterEqual(seen["udp"], seen[kind], seen)
        self.assertGreaterEqual(seen["udp"], 0.5 * seen[default], seen)

    def load_over(self, change):
        """Calls while the way changes: each is answered once, in order. They
        have all the time they need, so a busy machine changes nothing."""
        before = self.wire.carried[wire.UDP] + self.wire.carried[wire.TCP]
        load = self.lab.start("call", "counter", "inc", "-s", "site2",
                              "--wait", "--rate", "200/s", "--for", "3s",
                              "-d", "100s", "--verify", "order", "--json")
        wait_until(lambda: self.wire.carried[wire.UDP] +
                   self.wire.carried[wire.TCP] > before + 100, 60, "load")
        change()
        result = self.lab.finish(load, timeout=120)
        self.assertEqual(result.code, 0, result)

    def test_fails_over_and_back(self):
        self.start("udp")
        self.wire.delay = 0.002
        for cut in ({0, 1}, {0}, {1}):
            self.load_over(lambda: setattr(self.wire, "cut_udp", cut))
            self.path_is("tcp", 90)
            self.load_over(lambda: setattr(self.wire, "cut_udp", set()))
            self.path_is("udp", 90)

    def test_nothing_is_said_to_strangers_and_nothing_in_clear(self):
        self.start("udp")
        self.wire.keep = True
        self.ok("call", "echo", "a-secret-that-all-would-see", "-s", "site2")
        wait_until(lambda: len(self.wire.payloads) > 2, what="datagrams")
        self.wire.keep = False
        kept = list(self.wire.payloads)
        self.assertFalse(any(b"a-secret" in p for p in kept))
        # A stranger in namespace 0 speaks to the port of site2, and says again
        # what it heard, from a port of its own.
        host = wire.ADDRESSES[1]
        port = self.lab.conf("site2")["listen"][0].split(":")[1]
        script = (
            "import socket,sys\n"
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "for line in sys.stdin:\n"
            "    s.sendto(bytes.fromhex(line), (sys.argv[1],"
            " int(sys.argv[2])))\n"
            "s.settimeout(1)\n"
            "try:\n"
            "    print('answer', s.recvfrom(2000)[0].hex())\n"
            "except TimeoutError:\n"
            "    print('silence')\n")
        lines = [p.hex() for p in kept]
        lines += [os.urandom(n).hex() for n in range(1, 200)]
        lines += [(b"\xb1" + os.urandom(n)).hex() for n in range(40, 200)]
        done = subprocess.run(
            self.wire.command(0, "python3", "-c", script, host, port),
            input="\n".join(lines).encode(), capture_output=True, timeout=30,
            check=True)
        self.assertEqual(done.stdout.strip(), b"silence")
        self.ok("call", "echo", "still here", "-s", "site2")


if __name__ == "__main__":
    main()
