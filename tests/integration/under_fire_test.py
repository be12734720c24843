#!/usr/bin/env python3
"""The counter is called while it moves and sites are killed: what is lost with
its owner is reported and counted, and nothing else is lost."""

import os
import pathlib
import signal
import threading
import time

import lab

RELEASE = os.environ.get("MOTET_KIND", "release") == "release"
RATE = 2000 if RELEASE else 200
SITES = ("site1", "site2", "site3")


class Mover(threading.Thread):
    """Moves the counter from one of the sites to the next, until told to
    stop. A move may fail where a site is dead; a wrong answer may not come."""

    def __init__(self, test, sites):
        super().__init__()
        self.test = test
        self.sites = sites
        self.enough = threading.Event()
        self.moved = 0
        self.wrong = []

    def run(self):
        step = 0
        while not self.enough.wait(0.02):
            to = self.sites[step % len(self.sites)]
            done = self.test.lab.motet("port", "migrate", "counter", to, "-s",
                                       "site2", "-q")
            step += 1
            self.moved += done.code == 0
            if done.code not in (0, 3, 4, 5, 7):
                self.wrong.append(done)

    def stop(self):
        self.enough.set()
        self.join()
        self.test.assertEqual(self.wrong, [])


class UnderFire(lab.LabTest):
    def pid(self, site):
        file = next(pathlib.Path(self.lab.folder).rglob(f"{site}.pid"))
        return int(file.read_text().split()[0])

    def where(self):
        return self.ok("why", "counter", "--json", "-s",
                       "site2").json()["site"]

    def count(self):
        return int(self.ok("call", "counter", "get", "-s", "site2").out)

    def load(self, seconds):
        return self.lab.start("call", "counter", "inc", "-s", "site2",
                              "--rate", f"{RATE}/s", "--for", f"{seconds}s",
                              "--verify", "order", "--json", "-d", "6s")

    def judged(self, child):
        """What no death may cause, and that each call is accounted for."""
        result = self.lab.finish(child)
        doc = result.json()
        for key in ("lost", "duplicated", "reordered", "wrong"):
            self.assertEqual(doc[key], 0, (key, doc))
        self.assertEqual(doc["calls"], doc["answered"] + doc["refused"] +
                         doc["unknown"], doc)
        return result, doc

    def test_1_fifty_moves_in_ten_seconds(self):
        before = self.count()
        mover = Mover(self, ("site2", "site3", "site1"))
        child = self.load(10)
        mover.start()
        result, doc = self.judged(child)
        mover.stop()
        self.assertEqual(result.code, 0, result)
        self.assertEqual(doc["answered"], doc["calls"], doc)
        self.assertEqual(doc["unexplained"], 0, doc)
        self.assertEqual(self.count(), before + doc["answered"])
        print(f"{mover.moved} moves during {doc['calls']} calls")
        if RELEASE:
            self.assertGreaterEqual(mover.moved, 50)

    def test_2_a_bystander_is_killed_and_restarted(self):
        self.lab.motet("port", "migrate", "counter", "site1")
        before = self.count()
        mover = Mover(self, ("site2", "site1"))
        child = self.load(5)
        mover.start()
        time.sleep(1)
        self.ok("site", "kill", "site3")
        time.sleep(0.5)
        self.ok("site", "restart", "site3")
        result, doc = self.judged(child)
        mover.stop()
        self.assertEqual(result.code, 0, result)
        self.assertEqual(doc["answered"], doc["calls"], doc)
        self.assertEqual(self.count(), before + doc["answered"])
        self.assertGreater(mover.moved, 5)

    def test_3_the_owner_is_killed_and_restarted(self):
        """It is stopped first, so that calls are on their way to it."""
        mover = Mover(self, ("site3", "site1"))
        child = self.load(6)
        mover.start()
        time.sleep(1)
        mover.stop()
        self.ok("port", "migrate", "counter", "site1", "-s", "site2")
        lab.wait_until(lambda: self.where() == "site1")
        os.kill(self.pid("site1"), signal.SIGSTOP)
        time.sleep(0.2)
        self.ok("site", "kill", "site1")
        self.ok("site", "restart", "site1")
        result, doc = self.judged(child)
        self.assertIn(result.code, (4, 5), result)
        self.assertGreater(doc["unknown"], 0, doc)
        self.assertGreater(doc["answered"], RATE, doc)
        self.assertEqual(doc["unexplained"], 0, doc)
        print(f"{doc['calls']} calls: {doc['answered']} answered, "
              f"{doc['refused']} refused, {doc['unknown']} unknown")

        # What was asked was that port; the name means the next one from now on.
        lab.wait_until(lambda: self.lab.motet("call", "counter", "inc", "-s",
                                              "site2").code == 0)
        self.assertEqual(self.count(), 1)


if __name__ == "__main__":
    lab.main()
