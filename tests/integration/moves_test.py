#!/usr/bin/env python3
"""Ports of programs move between real sites while they are in use."""

import contextlib
import ctypes
import json
import os
import pathlib
import signal
import struct
import subprocess
import time
import unittest

import lab

EXAMPLES = lab.BIN.parent / "examples"
LIBRARY = lab.BIN.parent / "lib" / "libmotet.so"
RELEASE = os.environ.get("MOTET_KIND", "release") == "release"
SITES = ["site1", "site2", "site3"]


class Ui(ctypes.Structure):
    _fields_ = [("hi", ctypes.c_uint64), ("lo", ctypes.c_uint64)]


class Cap(ctypes.Structure):
    _fields_ = [("ui", Ui), ("key", ctypes.c_uint64)]


class Member(ctypes.Structure):
    _fields_ = [("port", Ui), ("site", Ui)]


class Move(ctypes.Structure):
    _fields_ = [("site", Ui), ("id", ctypes.c_uint64)]


class Attached:
    """What a program does that moves a port, in its own process of site1."""
    PATIENCE_MS = ctypes.c_int64(5000)

    def __init__(self, library):
        self.lib = library
        self.lib.motet_err_name.restype = ctypes.c_char_p
        self.lib.motet_ui_of_name.restype = Ui
        self.me = ctypes.c_void_p()
        self.check(self.lib.motet_attach(b"site1", ctypes.byref(self.me)))

    def name(self, err):
        return self.lib.motet_err_name(err).decode()

    def check(self, err):
        if err != 0:
            raise AssertionError(self.name(err))

    def start(self, name, to):
        members = (Member * 2)()
        count = ctypes.c_size_t()
        group = self.lib.motet_ui_of_name(name.encode())
        self.check(self.lib.motet_group_list(self.me, group, members, 2,
                                             ctypes.byref(count)))
        port = Cap(members[0].port, 0)
        move = Move()
        self.check(self.lib.motet_migrate_start(
            self.me, ctypes.byref(port), to.encode(), 0, self.PATIENCE_MS,
            ctypes.byref(move)))
        return move

    def wait(self, move):
        return self.name(self.lib.motet_migrate_wait(
            self.me, ctypes.byref(move), None, self.PATIENCE_MS))

    def abort(self, move):
        return self.name(self.lib.motet_migrate_abort(
            self.me, ctypes.byref(move), self.PATIENCE_MS))


@contextlib.contextmanager
def libmotet(env):
    before = dict(os.environ)
    os.environ.update(env)
    attached = Attached(ctypes.CDLL(str(LIBRARY)))
    try:
        yield attached
    finally:
        attached.lib.motet_detach(attached.me)
        os.environ.clear()
        os.environ.update(before)


class Moves(lab.LabTest):
    def setUp(self):
        self.programs = {}

    def tearDown(self):
        for child in self.programs.values():
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
            child.wait()

    def begin(self, site, *args):
        """A counter attached to a site; what it prints goes to a file."""
        out = pathlib.Path(self.lab.folder, f"{self.id()}-{site}.out")
        with open(out, "wb") as file:
            child = subprocess.Popen(
                [EXAMPLES / "moving_counter", *args],
                env={**self.lab.env, "MOTET_SITE": site}, stdout=file,
                stdin=subprocess.DEVNULL)
        self.programs[site] = child
        self.lab.children.append(child)
        return out

    def counters(self, name):
        outs = [self.begin("site1", name)]
        lab.wait_until(lambda: self.lab.motet("call", name, "x").code == 0,
                       what="the counter")
        return outs + [self.begin(site) for site in SITES[1:]]

    def move(self, name, *to, timeout=60):
        done = subprocess.run(
            [EXAMPLES / "move_port", name, *to], env=self.lab.env,
            capture_output=True, text=True, timeout=timeout, check=False)
        return done.returncode, done.stdout, done.stderr

    def move_first(self, name, to):
        """The programs may not have attached yet."""
        lab.wait_until(lambda: self.move(name, to)[0] == 0, what="a move")

    @staticmethod
    def messages(outs):
        """(ordinal, annex, body) of all that was received, by ordinal."""
        found = []
        for out in outs:
            for line in out.read_text().splitlines():
                if not line.startswith("adopted"):
                    seq, annex, body = line.split(" ", 2)
                    found.append((int(seq), annex, body))
        return sorted(found)

    def test_moves_under_load(self):
        outs = self.counters("tally")
        self.move_first("tally", "site2")
        for site in ("site2", "site3"):
            self.ok("call", "tally", "x", "-s", site)
        loads = [self.lab.start("send", "tally", "s", "-s", site, "--rate",
                                "1000/s", "--for", "8s", "--json",
                                "-n", "8000", "-d", "10s")
                 for site in ("site2", "site3")]
        calls = self.lab.start("call", "tally", "c", "-s", "site1", "--rate",
                               "100/s", "--for", "8s", "-d", "10s", "--json")
        code, out, err = self.move("tally", *(["site3", "site1", "site2"] * 18))
        self.assertEqual((code, err), (0, ""), out)
        self.assertEqual(len(out.splitlines()), 54)
        done = [self.lab.finish(one) for one in [*loads, calls]]
        for one in done:
            self.assertEqual(one.code, 0, one)
        asked = json.loads(done[-1].out.splitlines()[-1])["answered"]

        got = self.messages(outs)
        sent = [m for m in got if m[2] == "s"]
        self.assertEqual([m[0] for m in got], list(range(1, len(got) + 1)),
                         "each ordinal of the port once")
        by_sender = {}
        for _, annex, _ in sent:
            _, run, number = struct.unpack("<4sQQ", bytes.fromhex(annex))
            by_sender.setdefault(run, []).append(number)
        self.assertEqual(len(by_sender), 2)
        for numbers in by_sender.values():
            self.assertEqual(numbers, list(range(len(numbers))))
        self.assertGreater(len(sent), 8000, "it was a load")
        self.assertEqual(len([m for m in got if m[2] == "c"]), asked)
        for out in outs:
            self.assertGreater(len(self.messages([out])), 100,
                               "each of the three has served")

    def test_senders_move(self):
        """What a port sends goes on while the port moves, each once."""
        sink = self.begin("site2", "copies")
        self.programs["sink"] = self.programs.pop("site2")
        lab.wait_until(lambda: "copies" in self.ok("group", "list").out)
        outs = [self.begin("site1", "relay", "copies")]
        lab.wait_until(lambda: "relay" in self.ok("group", "list").out)
        outs.append(self.begin("site3", "-", "copies"))
        self.move_first("relay", "site3")
        load = self.lab.start("send", "relay", "r", "-s", "site1", "--rate",
                              "500/s", "-n", "1500", "-d", "10s", "--json")
        code, out, err = self.move("relay", *(["site1", "site3"] * 15))
        self.assertEqual((code, err), (0, ""), out)
        one = self.lab.finish(load)
        self.assertEqual(one.code, 0, one)
        lab.wait_until(lambda: len(self.messages([sink])) >= 1500,
                       seconds=10, what="the copies")
        for files in (outs, [sink]):
            got = self.messages(files)
            self.assertEqual([m[0] for m in got], list(range(1, 1501)))
            numbers = [struct.unpack("<4sQQ", bytes.fromhex(m[1]))[2]
                       for m in got]
            self.assertEqual(sorted(numbers), list(range(1500)))

    def test_refusals(self):
        self.counters("shy")
        self.assertEqual(self.move("shy", "nowhere"),
                         (4, "", "move_port: no such site\n"))
        self.assertEqual(self.move("shy", "site2/nobody"),
                         (4, "", "move_port: no such actor\n"))
        child = self.lab.start("receive", "other", "-s", "site3")
        lab.wait_until(lambda: "other" in self.ok("group", "list").out)
        self.assertEqual(self.move("shy", "site3/echo"),
                         (4, "", "move_port: the receiving actor does not "
                          "take it\n"))
        child.kill()
        self.assertEqual(self.ok("call", "shy", "still").code, 0)

    def pid(self, site):
        file = next(pathlib.Path(self.lab.folder).rglob(f"{site}.pid"))
        return int(file.read_text().split()[0])

    def test_a_silent_site(self):
        """The move is given up. The program, not heard meanwhile, is heard
        again: what it answered before and after arrives."""
        outs = self.counters("patient")
        self.move_first("patient", "site2")
        self.move_first("patient", "site1")
        silent = self.pid("site2")
        os.kill(silent, signal.SIGSTOP)
        try:
            mover = subprocess.Popen(
                [EXAMPLES / "move_port", "patient", "site2"],
                env={**self.lab.env, "MOTET_SITE": "site1"}, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(0.2)
            begun = time.monotonic()
            self.ok("call", "patient", "x", "-s", "site3", "-d", "5s")
            took = time.monotonic() - begun
        finally:
            os.kill(silent, signal.SIGCONT)
        _, err = mover.communicate(timeout=20)
        self.assertEqual((mover.returncode, err),
                         (4, "move_port: the deadline passed first\n"))
        self.assertGreater(took, 0.3, "it waited while the port was frozen")
        self.move_first("patient", "site2")
        self.ok("call", "patient", "x")
        got = [m[0] for m in self.messages(outs)]
        self.assertEqual(got, list(range(1, len(got) + 1)))

    @unittest.skipUnless(LIBRARY.exists() and RELEASE, "no library to load")
    def test_given_up(self):
        """A program gives a move up before the commit: by the library."""
        self.counters("held")
        self.move_first("held", "site2")
        self.move_first("held", "site1")
        with libmotet(self.lab.env) as motet:
            silent = self.pid("site2")
            os.kill(silent, signal.SIGSTOP)
            try:
                move = motet.start("held", "site2")
                self.assertEqual(motet.abort(move), "OK")
                self.assertEqual(motet.wait(move), "CANCELLED")
                self.assertEqual(motet.abort(move), "STATE", "it is over")
                self.ok("call", "held", "x", "-s", "site1")
            finally:
                os.kill(silent, signal.SIGCONT)
            self.move_first("held", "site2")
            move = motet.start("held", "site3")
            self.assertEqual(motet.wait(move), "OK")
            self.assertEqual(motet.abort(move), "STATE", "it has moved")
            never = Move(move.site, 1 << 40)
            self.assertEqual(motet.abort(never), "STATE", "there was none")
        self.ok("call", "held", "x")

    def test_adopter_dies(self):
        """Stopped, it answers nothing; killed, its port is told dead."""
        self.counters("mortal")
        self.move_first("mortal", "site2")
        watch = self.lab.start("call", "mortal", "y", "-s", "site1")
        self.assertEqual(self.lab.finish(watch).code, 0)
        # What is asked of a stopped program ends when it is killed.
        self.programs["site2"].send_signal(signal.SIGSTOP)
        asked = self.lab.start("call", "mortal", "z", "-s", "site1", "-d",
                               "20s")
        time.sleep(0.3)
        begun = time.monotonic()
        self.programs["site2"].kill()
        result = self.lab.finish(asked)
        self.assertIn(result.code, (4, 5), result)
        self.assertLess(time.monotonic() - begun, 5)
        lab.wait_until(
            lambda: self.lab.motet("call", "mortal", "x", "-s",
                                   "site3").code in (3, 4),
            what="the end of the name")
        # Nothing is left of it to be moved; its site is well.
        self.begin("site2")
        code, _, err = self.move("mortal", "site2")
        self.assertEqual(code, 4)
        self.assertIn(err, ("move_port: the group has no member\n",
                            "move_port: no such port\n"))

    def test_adopter_dies_in_the_middle(self):
        """It is killed at any moment of moves to and fro: then the port serves
        where it was, or is told dead; it is never in between."""
        self.begin("site1", "middle")
        lab.wait_until(lambda: self.lab.motet("call", "middle", "x").code == 0,
                       what="the counter")
        for pause in (0.02, 0.05, 0.08, 0.13, 0.21):
            name = f"middle{pause}"
            self.begin("site3", name)
            lab.wait_until(
                lambda n=name: self.lab.motet("call", n, "x").code == 0)
            adopter = self.programs["site2"] = subprocess.Popen(
                [EXAMPLES / "moving_counter"], stdout=subprocess.DEVNULL,
                env={**self.lab.env, "MOTET_SITE": "site2"})
            self.move_first(name, "site2")
            self.move_first(name, "site3")
            mover = subprocess.Popen(
                [EXAMPLES / "move_port", name, *(["site2", "site3"] * 40)],
                env=self.lab.env, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True)
            time.sleep(pause)
            adopter.kill()
            adopter.wait()
            _, err = mover.communicate(timeout=20)
            self.assertTrue(err.startswith("move_port: "), err)
            self.assertIn(mover.returncode, (4, 5))
            # Either is final, and known to all at once.
            codes = [self.lab.motet("call", name, "x", "-s", site).code
                     for site in SITES]
            self.assertIn(codes, ([0, 0, 0], [4, 4, 4], [3, 3, 3]), err)
            self.programs["site3"].kill()
            self.programs["site3"].wait()
        self.ok("call", "middle", "x")  # others noticed nothing


if __name__ == "__main__":
    lab.main()
