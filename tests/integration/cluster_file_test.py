#!/usr/bin/env python3
"""motet up -f: what a cluster file says is done, what is wrong in it is told in
one line; rounds of up and down leave nothing behind."""

import os
import pathlib
import stat

import lab

GOOD = """\
name: lab
sites:
  - name: paris
    actors: [echo, counter]
    start:
      - run: ./serve
        args: [greet, "two words"]
  - name: oslo
links:
  - between: [paris, oslo]
    faults: delay=15ms
"""

SERVE = """#!/bin/sh
exec "{motet}" receive "$1" --reply "$2 at $MOTET_SITE"
"""

# Text, line, what is wrong, first hint.
WRONG = [
    ("nam: lab\n", 1, 'unknown key "nam"', "did you mean: name"),
    ("sites:\n  - name: a\n    memroy: 1GiB\n", 3, 'unknown key "memroy"',
     "did you mean: memory"),
    ("name: lab\n", 1, '"sites" is missing', "add a line: sites: ..."),
    ("sites:\n  - ground: host\n", 2, '"name" is missing',
     "add a line: name: ..."),
    ("sites: 3\n", 1, "a list is expected here",
     "see an example: motet help up"),
    ("sites:\n  - name: [a]\n", 2, "one word or text is expected here", None),
    ("sites: [{name: a}\n", 1, "libyaml: did not find expected ',' or ']'",
     None),
    ("", 1, "nothing is in it", None),
    ("name: a b\nsites: [{name: a}]\n", 1, '"a b" is no name for a cluster',
     None),
    ("sites:\n  - name: a/b\n", 2, '"a/b" is no name for a site', None),
    ("sites:\n  - name: network\n", 2, '"network" is no name for a site',
     None),
    ("sites:\n  - name: a\n  - name: a\n", 3, "a second site named a", None),
    ("sites:\n  - name: a\n    ground: mars\n", 3,
     'there is no ground "mars"', "try: host, netns or qemu"),
    ("ground: moon\nsites: [{name: a}]\n", 1, 'there is no ground "moon"',
     None),
    ("sites:\n  - name: a\n    ground: qemu\n    memory: 95MiB\n", 4,
     'memory: "95MiB" is no size of a machine',
     "from 96MiB to 64GiB; 192MiB is usual"),
    ("sites:\n  - name: a\n    ground: qemu\n    memory: lots\n", 4,
     'memory: "lots" is no size of a machine', None),
    ("sites:\n  - name: a\n    memory: 1GiB\n", 3,
     "a is a host site: memory is of machines",
     "leave it out, or say ground: qemu"),
    ("sites:\n  - name: a\n    actors: [ehco]\n", 3,
     'there is no built-in actor "ehco"', None),
    ("sites:\n  - name: a\n    start: [{run: ./nothing}]\n", 3,
     'cannot run "./nothing"', None),
    ("sites:\n  - {name: a}\n  - {name: b, ground: netns}\n", 2,
     "a (host) and b (netns) would not reach each other", None),
    ("sites:\n  - name: a\n  - {name: b, ground: qemu}\nlinks:\n"
     "  - {from: a, to: b, faults: cut}\n", 4,
     "links between a (host) and machines cannot be broken",
     "say ground: netns instead of host"),
    ("sites: [{name: a}, {name: bee}]\nlinks:\n  - between: [a, be]\n"
     "    faults: cut\n", 3, 'no site named "be" in this file',
     "did you mean: bee"),
    ("sites: [{name: a}, {name: b}]\nlinks:\n  - between: [a]\n"
     "    faults: cut\n", 3, None, None),
    ("sites: [{name: a}, {name: b}]\nlinks:\n  - from: a\n    faults: cut\n",
     4, "a link without two ends", None),
    ("sites: [{name: a}, {name: b}]\nlinks:\n  - {from: a, to: a, "
     "faults: cut}\n", 3, "a link from a to itself", None),
    ("sites: [{name: a}, {name: b}]\nlinks:\n  - from: a\n    to: b\n"
     "    faults: loss=120%\n", 5, None, "as in: delay=5ms jitter=1ms "
     "loss=1%"),
]


class ClusterFile(lab.LabTest):
    sites = 0

    def setUp(self):
        self.folder = pathlib.Path(self.lab.folder, "f")
        self.folder.mkdir(exist_ok=True)
        self.file = self.folder / "motet.yml"

    def tearDown(self):
        self.lab.motet("down", "--purge", "-c", "lab")

    def up(self, text, *args):
        self.file.write_text(text)
        return self.lab.motet("up", "-f", self.file, "--port", self.lab.port,
                              *args)

    def test_what_is_wrong_is_told_with_its_line(self):
        for text, line, what, hint in WRONG:
            with self.subTest(text):
                result = self.up(text)
                self.assertEqual(result.code, 2, result)
                lines = result.err.splitlines()
                begin = f"motet: up: {self.file}:{line}: "
                self.assertTrue(lines[0].startswith(begin), result)
                if what is not None:
                    self.assertEqual(lines[0], begin + what, result)
                self.assertIn(len(lines), (2, 3), result)
                if hint is not None:
                    self.assertEqual(lines[1].strip(), hint, result)
                self.assertFalse(self.lab.state().exists(), result)

    def test_words_that_do_not_go_together(self):
        self.file.write_text(GOOD)
        self.fails(2, "up: the sites and their grounds are said by the file",
                   "up", "3", "-f", self.file)
        self.fails(2, f"up: {self.folder}/no.yml: No such file or directory",
                   "up", "-f", self.folder / "no.yml",
                   hints=["say which file: motet up -f FILE"])
        self.fails(2, "up demo: --on mars: there is no such ground", "up",
                   "--on", "mars", hints=["try: host, netns or qemu"])

    def serve(self):
        program = self.folder / "serve"
        program.write_text(SERVE.format(motet=lab.MOTET))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def test_what_it_says_is_done(self):
        self.serve()
        result = self.up(GOOD)
        self.assertEqual(result.code, 0, result)
        self.assertRegex(result.err, r"\n  ok  serve +pid \d+ +attached to "
                                     r"paris\n")
        lab.wait_until(lambda: self.lab.motet(
            "call", "greet", "x", "-s", "oslo").out == "two words at paris",
            what="the program of the file")
        self.assertEqual(self.lab.conf("paris")["actor"], ["echo", "counter"])
        self.assertEqual(self.lab.conf("oslo")["actor"], ["echo", "bench"])
        pings = self.ok("ping", "oslo", "-s", "paris", "--json").json()
        self.assertGreater(pings["items"][0]["min_ns"], 30_000_000)
        again = self.up(GOOD)
        self.assertEqual(again.err, "lab is already up: 2 of 2 alive\n")
        result = self.up(GOOD.replace("oslo", "rome"))
        self.assertEqual(result.code, 2, result)
        self.assertIn(f"cluster lab has a site oslo that {self.file} does not "
                      "name", result.err)

    def test_what_only_machines_do(self):
        self.assertEqual(self.up("name: lab\nsites: [{name: a}]\n").code, 0)
        for verb in ("reset", "snapshot", "restore"):
            result = self.lab.motet("site", verb, "a")
            self.assertEqual(result.code, 2, result)
            self.assertIn("a is no machine: a host site", result.err)

    def processes(self):
        """Those that know our folder, by their words."""
        found = set()
        for proc in pathlib.Path("/proc").iterdir():
            try:
                if self.lab.folder.encode() in (proc / "cmdline").read_bytes():
                    found.add(int(proc.name))
            except (OSError, ValueError):
                continue
        return found

    def files(self):
        root = pathlib.Path(self.lab.folder)
        return {str(p) for top in "rsd" for p in (root / top).rglob("*")}

    def test_rounds_leave_nothing(self):
        self.serve()
        self.assertEqual(self.up(GOOD).code, 0)
        self.ok("down", "--purge")
        files, processes = self.files(), self.processes()
        namespaces = len(os.listdir("/run/netns")) if os.path.isdir(
            "/run/netns") else 0
        for _ in range(5):
            result = self.up(GOOD)
            self.assertEqual(result.code, 0, result)
            self.assertGreaterEqual(len(self.processes()), 3)
            self.ok("down", "--purge")
            self.assertEqual(self.processes(), processes)
            self.assertEqual(self.files(), files)
        self.assertEqual(len(os.listdir("/run/netns")) if os.path.isdir(
            "/run/netns") else 0, namespaces)


if __name__ == "__main__":
    lab.main()
