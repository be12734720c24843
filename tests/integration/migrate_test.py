#!/usr/bin/env python3
"""Ports and actors that move while they are used, by the commands that a user
types; and what is said when they cannot."""

import os
import signal
import unittest

import lab

RELEASE = os.environ.get("MOTET_KIND", "release") == "release"
RATE = 2000 if RELEASE else 300
MOVES = 51
SITES = ("site1", "site2", "site3")


class Migrating(lab.LabTest):
    def where(self, port):
        return self.ok("why", port, "--json").json()["site"]

    def move(self, port, site):
        if self.where(port) != site:
            self.ok("port", "migrate", port, site)

    def count(self, site="site1"):
        return int(self.ok("call", "counter", "get", "-s", site).out)

    def load(self, seconds=3, site="site2"):
        return self.lab.start("call", "counter", "inc", "-s", site, "--rate",
                              f"{RATE}/s", "--for", f"{seconds}s", "--verify",
                              "order", "--json")

    def exact(self, child):
        """Every call of a load was answered once, in order; how many."""
        result = self.lab.finish(child)
        self.assertEqual(result.code, 0, result)
        doc = result.json()
        self.assertEqual(doc["answered"], doc["calls"], result)
        for key in ("lost", "duplicated", "reordered", "refused", "unknown",
                    "wrong", "unexplained"):
            self.assertEqual(doc[key], 0, (key, doc))
        return doc["answered"]


class Migrate(Migrating):
    def test_the_counter_goes_round_under_load(self):
        """Fifty moves around three sites; its sum is exact."""
        self.move("counter", "site1")
        before = self.count()
        asked = 0
        child = None
        for i in range(MOVES):
            if child is None or child.poll() is not None:
                asked += self.exact(child) if child is not None else 0
                child = self.load()
            kind = ("port", "actor")[i % 2]
            doc = self.ok(kind, "migrate", "counter", SITES[(i + 1) % 3],
                          "--json").json()
            self.assertTrue(doc["moved"], doc)
            self.assertEqual((doc["from"], doc["to"]),
                             (SITES[i % 3], SITES[(i + 1) % 3]))
            self.assertTrue(doc["whole"])
            self.assertGreater(doc["pause_ns"], 0)
        asked += self.exact(child)
        self.assertEqual(self.count(), before + asked)
        self.assertEqual(self.where("counter"), SITES[MOVES % 3])

    def test_steps_are_printed(self):
        self.move("counter", "site1")
        out = self.ok("port", "migrate", "counter", "site3").out
        self.assertRegex(
            out,
            r"^counter: site1 -> site3, with actor counter and its state\n"
            r"  freeze +1 port, \d+ messages? waiting +(at once|[\d.]+ [num]?s)\n"
            r"  offer +[\d.]+ \w+ sent, accepted by site3 +[\d.]+ [num]?s\n"
            r"  commit +it is at site3 from now on, epoch \d+ +[\d.]+ [num]?s\n"
            r"moved in [\d.]+ [um]?s; pause [\d.]+ [um]?s at most; "
            r"\d+ messages? came along, none lost\n$")
        out = self.ok("actor", "migrate", "counter", "site1", "--drop").out
        self.assertIn("0 messages dropped, callers were told", out)

    def test_dry_run(self):
        self.move("counter", "site1")
        result = self.lab.motet("port", "migrate", "counter", "site2",
                                "--dry-run")
        self.assertEqual(result.code, 6, result)
        self.assertIn("would move: counter: site1 -> site2, as a whole with "
                      "actor counter; 1 port, 0 messages waiting", result.out)
        doc = self.lab.motet("actor", "migrate", "counter", "site2",
                             "--dry-run", "--json").json()
        self.assertEqual((doc["would_move"], doc["moved"]), (True, False))
        self.assertEqual(self.where("counter"), "site1")
        self.fails(4, "port migrate counter: it would fail: actor echo at "
                      "site2 does not take it", "port", "migrate", "counter",
                   "site2/echo", "--dry-run")

    def test_it_is_there_already(self):
        self.move("counter", "site1")
        for kind in ("port", "actor"):
            result = self.ok(kind, "migrate", "counter", "site1")
            self.assertEqual(result.err, "counter is at site1 already\n")
        self.assertFalse(self.ok("port", "migrate", "counter", "site1",
                                 "--json").json()["moved"])

    def test_refusals(self):
        self.move("counter", "site1")
        for code, words, line in (
                (3, ("port", "migrate", "nobody", "site1"), "no such port"),
                (3, ("port", "migrate", "counter", "site9"),
                 "no site named site9 in cluster lab"),
                (2, ("port", "migrate", "counter", "site2/a b"),
                 '"a b" is no name for an actor'),
                (3, ("port", "migrate", "counter", "site2/nobody"),
                 "no actor named nobody at site2"),
                (4, ("port", "migrate", "counter", "site2/echo"),
                 "actor echo at site2 does not take it"),
                (4, ("port", "migrate", "echo.site1", "site2"),
                 "actor echo at site2 does not take it"),
                (2, ("port", "migrate", "echo", "site2"),
                 "several ports have this name"),
                (3, ("actor", "migrate", "nobody", "site2"),
                 "no such actor"),
                (2, ("actor", "migrate", "echo", "site2"),
                 "several sites have an actor of this name"),
                (4, ("actor", "migrate", "echo", "site2", "--from", "site1"),
                 "actor echo does not save its state, so it cannot move"),
                (3, ("actor", "migrate", "echo", "site2", "--from", "site9"),
                 "no site named site9 in cluster lab"),
                (2, ("actor", "migrate", "counter", "site2/echo"),
                 "an actor goes to a site, not to another actor"),
                (3, ("why", "nobody"), "no such port"),
                (3, ("site", "drain", "site9"),
                 "no site named site9 in cluster lab"),
                (2, ("site", "drain", "site1"), "this wants a yes"),
                (2, ("site", "drain", "site1", "--to", "site1"),
                 "--to: say another site")):
            with self.subTest(words=words):
                verb = words[0] if words[0] == "why" else " ".join(words[:2])
                at = words[1 if words[0] == "why" else 2]
                self.fails(code, f"{verb} {at}: {line}", *words)
        self.assertEqual(self.where("counter"), "site1")

    def test_a_port_is_known_by_its_id_too(self):
        ui = self.ok("why", "counter", "--json").json()["ui"]
        self.move("counter", "site2")
        self.ok("port", "migrate", ui, "site3")
        self.assertEqual(self.where(ui), "site3")
        self.assertEqual(self.where("counter"), "site3")
        groups = [p["groups"] for p in self.ok("port", "list",
                                               "--json").json()["items"]
                  if p["ui"] == ui]
        self.assertEqual(groups, ["counter"])  # no name that has a site in it

    def test_why(self):
        self.move("counter", "site1")
        self.ok("port", "migrate", "counter", "site2")
        self.ok("port", "migrate", "counter", "site3")
        out = self.ok("why", "counter", "-s", "site1").out
        self.assertRegex(out, r"^counter  ui [0-9a-f.]+\n"
                              r"  is at      site3, epoch \d+, owned by actor "
                              r"counter\n")
        self.assertIn("  born at    site1\n", out)
        self.assertIn("  name       counter; it is the only member\n", out)
        self.assertRegex(out, r"  from here  site1 .*\n")
        self.assertRegex(out, r"  moves +site2 -> site3, .* ago, epoch \d+: in "
                              r"[\d.]+ [um]?s, asked by uid \d+; 0 queued came "
                              r"along\n +site1 -> site2, ")
        doc = self.ok("why", "counter", "--json").json()
        self.assertEqual(
            [(m["from"], m["to"], m["moved"]) for m in doc["moves"][:2]],
            [("site2", "site3", True), ("site1", "site2", True)])
        self.assertTrue(doc["only_member"])

    # ---- programs

    def start(self, name, *args, says):
        """A receiver, from when it has said that it is ready."""
        child = self.lab.start("receive", name, *args)
        line = child.stderr.readline().decode()
        self.assertIn(says, line)
        for site in SITES if "--standby" not in args else ():
            lab.wait_until(lambda site=site: self.lab.motet(
                "group", "info", name, "-s", site).code == 0)
        return child

    def test_a_program_hands_its_port_over_under_load(self):
        first = self.start("desk", "--reply", "first", "--json", "-s", "site1",
                           says="desk: receiving on site1")
        self.fails(3, "port migrate desk: no actor named desk at site3",
                   "port", "migrate", "desk", "site3")
        second = self.start("desk", "--standby", "--reply", "second", "--json",
                            "-s", "site3", says="desk: standing by on site3")
        self.fails(4, "receive desk: site3 has an actor of this name already",
                   "receive", "desk", "--standby", "-s", "site3")
        load = self.lab.start("send", "desk", "hello", "-s", "site2", "--rate",
                              f"{RATE}/s", "--for", "3s", "--json")
        lab.wait_until(lambda: self.ok("why", "desk", "--json").json()[
            "received"] > 10)
        doc = self.ok("port", "migrate", "desk", "site3", "--json").json()
        self.assertEqual((doc["whole"], doc["receiver"], doc["to"]),
                         (False, "desk", "site3"))
        sent = self.lab.finish(load)
        self.assertEqual(sent.code, 0, sent)
        self.assertEqual(self.ok("call", "desk", "who", "-s", "site2").out,
                         "second")
        one = self.lab.finish(first)
        self.assertEqual(one.code, 0, one)
        self.assertIn("desk: it has moved to another owner", one.err)
        second.terminate()
        two = self.lab.finish(second)
        self.assertIn("it is here now: receiving on site3, from message", two.err)
        got = [one.json(), two.json()]
        self.assertEqual(sum(g["numbered"] for g in got),
                         sent.json()["accepted"], (one, two, sent))
        for g in got:
            self.assertEqual((g["lost"], g["duplicated"], g["reordered"]),
                             (0, 0, 0))

    def test_what_is_queued_goes_along_or_is_dropped(self):
        self.start("pile", "--hold", "-s", "site1",
                   says="pile: receiving on site1")
        takers = [self.start("pile", "--standby", "--json", "-s", site,
                             says="pile: standing by")
                  for site in ("site2", "site3")]
        self.ok("send", "pile", "x", "--count", "20", "-s", "site2")
        doc = self.ok("port", "migrate", "pile", "site2", "--json").json()
        self.assertEqual((doc["queued"], doc["dropped"]), (20, 0))
        lab.wait_until(lambda: self.ok("why", "pile", "--json").json()[
            "queue"] == 0)
        os.kill(takers[0].pid, signal.SIGSTOP)
        try:
            self.ok("send", "pile", "x", "--count", "30", "-s", "site1")
            doc = self.ok("port", "migrate", "pile", "site3", "--drop",
                          "--json").json()
        finally:
            os.kill(takers[0].pid, signal.SIGCONT)
        self.assertGreater(doc["dropped"], 0)
        self.assertEqual(doc["queued"], 0)
        for taker in takers:
            taker.terminate()
        got = [self.lab.finish(taker).json()["received"] for taker in takers]
        self.assertEqual(sum(got) + doc["dropped"], 50)

    def test_what_was_said_of_a_port_ends_with_it(self):
        """No site remembers for ever where ports lived that have ended."""
        def records(site):
            return {i["name"]: i["records"] for i in self.ok(
                "site", "list", "--json").json()["items"]}[site]

        self.move("ballast", "site2")
        self.move("ballast", "site1")
        before = records("site1")
        self.assertEqual(self.ok("call", "ballast", "200").out, "200")
        self.ok("port", "migrate", "ballast", "site2")
        lab.wait_until(lambda: records("site3") >= before + 200,
                       what="the news of 200 ports")
        doc = self.ok("port", "migrate", "ballast", "site1", "--json").json()
        self.assertEqual(doc["ports"], 201)
        self.assertEqual(self.ok("call", "ballast", "0").out, "0")
        for site in SITES:
            lab.wait_until(lambda site=site: records(site) < before + 10,
                           what=f"{site} forgets them")

    # ---- last, for it disturbs a site

    def test_zz_given_up(self):
        """Ctrl-C before the commit: the port is where it was, and serves."""
        self.move("counter", "site1")
        self.ok("site", "pause", "site3")
        try:
            for _ in range(5):  # the other end may give it up first
                child = self.lab.start("port", "migrate", "counter", "site3",
                                       "-s", "site1")
                child.stdout.readline()  # it is under way, or refused
                child.send_signal(signal.SIGINT)
                result = self.lab.finish(child)
                if result.code == 130:
                    break
            self.assertEqual(result.code, 130, result)
            self.assertEqual(result.err, "motet: port migrate counter: given "
                                         "up: it is at site1, and serves\n")
            self.assertEqual(self.lab.motet("call", "counter", "get", "-s",
                                            "site1").code, 0)
        finally:
            self.ok("site", "resume", "site3")
        lab.wait_until(lambda: set(self.lab.states().values()) == {"alive"})

    def test_zz_moving_already_and_not_answered(self):
        self.move("counter", "site1")
        self.ok("site", "pause", "site3")
        said = set()
        try:
            for _ in range(5):
                child = self.lab.start("port", "migrate", "counter", "site3",
                                       "-s", "site1")
                child.stdout.readline()  # it is under way, or refused
                second = self.lab.motet("port", "migrate", "counter", "site2",
                                        "-s", "site1")
                first = self.lab.finish(child)
                said.add((first.code, first.err.splitlines()[0]))
                said.add((second.code, (second.err or "-\n").splitlines()[0]))
                if second.code == 4:
                    break
                self.move("counter", "site1")
        finally:
            self.ok("site", "resume", "site3")
        self.assertIn((4, "motet: port migrate counter: it is moving already"),
                      said)
        self.assertTrue(any(code == 4 and line.endswith(
            ("site3 did not answer in time", "site3 is dead",
             "site1 has no connection to site3")) for code, line in said), said)
        lab.wait_until(lambda: set(self.lab.states().values()) == {"alive"})


@unittest.skipUnless(os.geteuid() == 0, "to be another user one must be root")
class NotTheOperator(Migrating):
    """Somebody else, whom the site lets in, may not move what is not theirs."""

    def test_not_permitted(self):
        state = self.lab.state()
        with open(state / "site1.conf", "a") as conf:
            conf.write(f"allow = {lab.NOBODY}\n")
        self.ok("site", "restart", "site1")
        for folder in (self.lab.folder, f"{self.lab.folder}/r/lab", state):
            os.chmod(folder, 0o755)

        def as_nobody(*args):
            return self.lab.motet(*args, user=lab.NOBODY)

        self.assertEqual(as_nobody("call", "echo", "x", "-s",
                                   "site1").out, "x")
        for words in (("port", "migrate", "counter", "site2"),
                      ("actor", "migrate", "counter", "site2")):
            with self.subTest(words=words):
                done = as_nobody(*words, "-s", "site1")
                self.assertEqual(done.code, 77, done)
                self.assertEqual(
                    done.err.splitlines()[0],
                    f"motet: {' '.join(words[:3])}: not permitted: you are "
                    "not the operator of site1")
        self.assertEqual(self.where("counter"), "site1")


class Drain(Migrating):
    def test_a_site_is_drained_under_load(self):
        self.ok("port", "migrate", "counter", "site3")
        self.ok("port", "migrate", "ballast", "site3")
        self.assertEqual(self.ok("call", "ballast", "500").out, "500")
        before = self.count()
        inbox = self.lab.start("receive", "inbox", "-s", "site3")
        lab.wait_until(lambda: self.lab.motet("group", "info", "inbox", "-s",
                                              "site1").code == 0)

        plan = self.lab.motet("site", "drain", "site3", "--dry-run")
        self.assertEqual(plan.code, 4, plan)
        self.assertRegex(plan.out, r"(?m)^inbox .* CANNOT MOVE: no actor named "
                                   r"inbox that takes ports on another site")
        self.fails(4, "site drain site3: inbox cannot move: no actor named "
                      "inbox that takes ports on another site", "site",
                   "drain", "site3", "--yes",
                   hints=["site3 goes on as it is; --force ends this port "
                          "with it"])
        self.assertEqual(self.where("counter"), "site3")
        inbox.terminate()
        self.lab.finish(inbox)

        plan = self.lab.motet("site", "drain", "site3", "--dry-run")
        self.assertEqual(plan.code, 6, plan)
        self.assertRegex(plan.out, r"(?m)^ballast +ballast +501 +\d+ +site[12] "
                                   r"+with its actor and state$")
        self.assertRegex(plan.out, r"(?m)^echo.site3 .* ends with the site; ")

        load = self.load(seconds=4, site="site1")
        lab.wait_until(lambda: self.count() > before)
        doc = self.ok("site", "drain", "site3", "--yes", "--json").json()
        self.assertTrue(doc["left"])
        self.assertEqual(doc["ports_moved"], 502)
        asked = self.exact(load)
        self.assertEqual(self.count(), before + asked)
        self.assertEqual(self.lab.states()["site3"], "left")
        self.assertIn(self.where("ballast"), ("site1", "site2"))
        self.assertEqual(self.ok("call", "ballast", "0").out, "0")
        self.fails(4, "port migrate counter: site3 is dead", "port", "migrate",
                   "counter", "site3")
        self.ok("site", "restart", "site3")

        stayed = self.ok("site", "drain", "site1", "--stay", "--yes", "--to",
                         "site2")
        self.assertRegex(stayed.err, r"site1 is drained; \d+ ports? moved in ")
        self.assertEqual(self.where("counter"), "site2")
        self.assertEqual(self.lab.states()["site1"], "alive")


if __name__ == "__main__":
    lab.main()
