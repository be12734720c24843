#!/usr/bin/env python3
"""motet bench: each kind with real processes, for a fraction of a second. How
fast this machine is, is not tested."""

import glob
import json
import multiprocessing
import os
import time

from lab import LabTest, main, wait_until

SHORT = ("--for", "60ms", "--warm-up", "20ms", "--runs", "2")


def burn(end):
    while time.monotonic() < end:
        pass


class Kinds(LabTest):
    sites = 3

    def bench(self, *args):
        return self.ok("bench", *args, "--json", timeout=120).json()

    def row(self, *args):
        doc = self.bench(*args, *SHORT)
        self.assertEqual(len(doc["rows"]), 1)
        row = doc["rows"][0]
        self.assertGreater(row["count"], 0, doc)
        self.assertGreater(row["rate_per_s"], 0)
        self.assertGreater(row["cost_ns"], 0)
        self.assertEqual((row["refused"], row["unknown"]), (0, 0), doc)
        return doc, row

    def test_supervisors(self):
        for kind in ("call", "send", "fanin", "fanout", "local"):
            with self.subTest(kind=kind):
                doc, row = self.row(kind)
                self.assertEqual(doc["op"], kind)
                self.assertEqual(doc["actors"], "supervisor")
                self.assertEqual("p50_ns" in row, kind == "call")

    def test_user_actors(self):
        for kind in ("call", "send", "fanin", "fanout", "local"):
            with self.subTest(kind=kind):
                doc, row = self.row(kind, "--actors", "user")
                self.assertEqual("p50_ns" in row, kind in ("call", "local"))
        doc, _ = self.row("fanin", "--actors", "user", "--count", "5")
        self.assertEqual(doc["ends"], 5)

    def test_nothing_is_left(self):
        def ports():
            return len(self.ok("port", "list", "--json").json()["items"])

        before = ports()
        self.row("fanout")
        self.row("fanout", "--actors", "user")
        # Of a process that has ended its site hears when it next looks.
        wait_until(lambda: ports() <= before, what="ports as before")

    def test_all_sizes(self):
        for time_for in ("300ms", "2s"): # the largest takes a while
            result = self.lab.motet(
                "bench", "send", "--size", "all", "--runs", "1", "--warm-up",
                "0", "--for", time_for, "--json", timeout=200)
            if result.code != 9:
                break
        self.assertEqual(result.code, 0, result)
        rows = result.json()["rows"]
        self.assertEqual([r["size"] for r in rows],
                         [64, 1024, 65536, 16777216])
        self.assertTrue(all(r["count"] > 0 for r in rows))

    def test_large_bodies_do_not_wait(self):
        """Nor for a timer: then it was 12 a second, whatever the machine."""
        doc = self.bench("send", "--size", "1MiB", "--runs", "1", "--for", "1s")
        self.assertGreater(doc["rows"][0]["rate_per_s"], 25, doc)

    def test_a_link_with_a_way_of_its_own(self):
        self.ok("link", "set", "site1", "site2", "--transport", "udp")
        doc, _ = self.row("call", "--from", "site1", "--to", "site2")
        self.assertEqual(doc["transport"], "udp")
        doc, _ = self.row("call", "--from", "site1", "--to", "site3")
        self.assertEqual(doc["transport"], "tcp")
        self.ok("link", "set", "site1", "site2", "--transport", "tcp")

    def test_floor_and_ratios(self):
        _, row = self.row("call", "--floor", "--cpus", "one")
        self.assertEqual([f["name"] for f in row["floors"]], ["raw TLS", "raw TCP"])
        floor = row["floors"][0]
        self.assertGreater(floor["ratio_p50"], 0.2)
        self.assertGreater(floor["p50_ns"], 0)
        _, row = self.row("send", "--floor", "--cpus", "one")
        names = [f["name"] for f in row["floors"]]
        self.assertEqual(names, ["raw TLS, batched", "raw TLS, one by one"])
        self.assertGreater(row["floors"][0]["rate_per_s"],
                           row["floors"][1]["rate_per_s"])
        _, row = self.row("local", "--actors", "user", "--floor")
        self.assertEqual(row["floors"][0]["name"], "raw unix")
        text = self.ok("bench", "call", "--floor", *SHORT).out
        self.assertRegex(text, r"to raw TLS: rate 0\.\d+   p50 \d")

    def test_a_stall_is_not_left_out(self):
        """At a rate that cannot be kept, latency grows with the waiting."""
        doc, row = self.row("call", "--rate", "2000000/s", "--window", "1")
        self.assertEqual(doc["asked_rate_per_s"], 2000000)
        self.assertGreater(row["p50_ns"], 5000000)
        self.assertGreater(row["count"], 0)
        times = [ns for _, ns in row["histogram"]]
        self.assertEqual(times, sorted(times))
        _, kept = self.row("call", "--rate", "50/s")
        self.assertLess(kept["p50_ns"], row["p50_ns"])
        self.assertIn("99.900 %", self.ok("bench", "call", "--histogram",
                                          *SHORT).out)

    def test_beside_a_stream(self):
        _, row = self.row("call", "--beside", "1MiB")
        self.assertEqual(row["floors"][0]["name"], "without the stream")

    def test_ports(self):
        doc = self.ok("bench", "ports", "--count", "1000", "--json").json()
        self.assertEqual(doc["ports"], 1000)
        self.assertLessEqual(doc["bytes_per_port"], 256)
        self.fails(9, "bench ports: site site1 has as many extra ports "
                   "already", "bench", "ports", "--count", "1000")

    def test_bad_input(self):
        for words, said in (
                (("--size", "lots"), 'bench call: --size: "lots" is not a '
                 "size up to 16MiB, like 64, 1KiB, 64KiB; or all"),
                (("--size", "17MiB"), 'bench call: --size: "17MiB" is not a '
                 "size up to 16MiB, like 64, 1KiB, 64KiB; or all"),
                (("--cpus", "three"), "bench call: --cpus: say one or two"),
                (("--actors", "x"), "bench call: --actors: say supervisor or "
                 "user"),
                (("--transport", "x"), "bench call: --transport: say tcp or "
                 "udp"),
                (("--runs", "0"), "bench call: --runs: 1 to 99"),
                (("--for", "1ms"), "bench call: --for: at least 10ms"),
                (("--from", "site1", "--to", "site1"),
                 "bench call: --from and --to are both site1"),
                (("--beside", "1MiB", "--floor"), "bench call: --beside goes "
                 "with supervisors and without --floor")):
            with self.subTest(words=words):
                self.fails(2, said, "bench", "call", *words)
        self.fails(3, "bench call: no site named paris in cluster lab", "bench", "call",
                   "--to", "paris")
        self.fails(2, "bench fanin: --count 9: there are 2 other sites",
                   "bench", "fanin", "--count", "9")


class Results(LabTest):
    """What was saved, and compared."""

    sites = 2

    def setUp(self):
        self.path = f"{self.lab.folder}/now.json"

    def save(self, *args):
        self.lab.motet("bench", "call", *SHORT, "--save", self.path, *args)
        with open(self.path, encoding="utf-8") as f:
            doc = json.load(f)
        for row in doc["rows"]: # as on a machine that is quiet
            row["noise"] = {"others": 0, "spread": 0, "too_noisy": None}
            for part in (row, *row["floors"]):
                for key in part:
                    if key.endswith("_spread"):
                        part[key] = 10
        self.write("now.json", doc)
        return doc

    def about(self, text):
        return f"bench compare {self.path}: {text}"

    def write(self, name, doc):
        path = f"{self.lab.folder}/{name}"
        with open(path, "w", encoding="utf-8") as f:
            json.dump(doc, f)
        return path

    def test_compare(self):
        doc = self.save("--floor")
        then = json.loads(json.dumps(doc))
        result = self.ok("bench", "compare", self.path,
                         self.write("then.json", then))
        self.assertIn("same   (as a ratio to the floor)", result.out)
        then["rows"][0]["floors"][0]["ratio_p50"] /= 2
        result = self.fails(1, self.about("worse than it was"), "bench",
                            "compare", self.path, self.write("b.json", then))
        self.assertRegex(result.out, r"p50   \+100\.0 %   noise .* WORSE")
        # Better is no fault; nor is what only the clock says beside a floor.
        then["rows"][0]["floors"][0]["ratio_p50"] *= 8
        then["rows"][0]["p50_ns"] //= 8
        self.ok("bench", "compare", self.path, self.write("c.json", then))

    def test_not_judged(self):
        doc = self.save()
        doc["rows"][0]["noise"]["others"] = 600
        noisy = self.write("noisy.json", doc)
        busy = "not judged: other programs used the processors"
        self.fails(9, f"bench compare {noisy}: {busy}", "bench", "compare",
                   noisy, self.path)
        self.fails(9, self.about(f"{busy}, when the other one was made"),
                   "bench", "compare", self.path, noisy)
        doc["rows"][0]["noise"]["others"] = 0
        doc["window"] = 7
        self.fails(9, self.about("not judged: the other one was not the same: "
                                 "window"), "bench", "compare", self.path,
                   self.write("other.json", doc))

    def test_against_finds_what_was_made_up(self):
        """Against one that claims to have been a thousand times faster: found,
        unless the machine is so busy that it is rightly not judged."""
        doc = self.save()
        doc["rows"][0]["p50_ns"] //= 1000
        path = self.write("fast.json", doc)
        for _ in range(20):
            result = self.lab.motet("bench", "call", *SHORT, "--against", path)
            self.assertIn(result.code, (1, 9), result)
            if result.code == 1:
                self.assertIn("WORSE", result.out)
                return
            time.sleep(0.3)
        self.skipTest("the machine was never quiet")

    def test_a_busy_machine_is_not_judged(self):
        self.save()
        end = time.monotonic() + 20
        burners = [multiprocessing.Process(target=burn, args=(end,))
                   for _ in range(2 * os.cpu_count())]
        for b in burners:
            b.start()
        try:
            self.fails(9, "bench call: not judged: other programs used the "
                       "processors", "bench", "call", *SHORT, "--for",
                       "300ms", "--against", self.path)
        finally:
            for b in burners:
                b.kill()
                b.join()

    def test_bad_files(self):
        bad = self.write("bad.json", {"schema": "else"})
        self.fails(2, f"bench call: {bad} is no result of motet bench",
                   "bench", "call", "--against", bad)
        none = f"{self.lab.folder}/none.json"
        self.fails(2, f"bench compare {none}: {none}: unable to open {none}: "
                   "No such file or directory", "bench", "compare", none, bad)
        self.fails(1, "bench call: cannot write /proc/x", "bench", "call",
                   *SHORT, "--save", "/proc/x")


class Own(LabTest):
    """Clusters that are made for one measurement."""

    sites = 0

    def tearDown(self):
        self.assertEqual(glob.glob("/tmp/motet-bench-*"), self.before)

    def setUp(self):
        self.before = glob.glob("/tmp/motet-bench-*")

    def test_udp_in_the_clear(self):
        doc = self.ok("bench", "call", "--transport", "udp", "--insecure",
                      *SHORT, "--floor", "--json", timeout=120).json()
        self.assertEqual((doc["transport"], doc["tls"]), ("udp", False))
        self.assertEqual([f["name"] for f in doc["rows"][0]["floors"]],
                         ["raw UDP", "raw TCP"])

    def test_udp_encrypted(self):
        doc = self.ok("bench", "send", "--transport", "udp", *SHORT, "--floor",
                      "--json", timeout=120).json()
        self.assertEqual((doc["transport"], doc["tls"]), ("udp", True))
        self.assertEqual(len(doc["rows"][0]["floors"]), 4)

    def test_start(self):
        doc = self.ok("bench", "start", "--runs", "2", "--json",
                      timeout=120).json()
        self.assertEqual(doc["rows"][0]["count"], 2)

    def test_without_time_it_cleans_up(self):
        result = self.lab.motet("bench", "call", "--transport", "tcp", "--for",
                                "60s", "--timeout", "2s", timeout=60)
        self.assertEqual(result.code, 124, result)


if __name__ == "__main__":
    main()
