#!/usr/bin/env python3
"""What the command line says when it is used wrongly, and how it ends.

No cluster is started here: every line below needs none.
"""

import unittest

import lab


class Usage(lab.LabTest):
    sites = 0

    def test_wrong_command(self):
        self.fails(2, 'no command "cal"', "cal", "echo",
                   hints=["did you mean: motet call", "list them: motet help"])

    def test_wrong_command_of_a_noun(self):
        self.fails(2, 'no command "site lst"', "site", "lst",
                   hints=["did you mean: motet site list",
                          "list them: motet help"])

    def test_noun_alone(self):
        self.fails(2, "site: a word is missing", "site")

    def test_wrong_flag(self):
        self.fails(2, "call: no flag --dedline", "call", "echo", "x",
                   "--dedline", "1s",
                   hints=["did you mean: --deadline",
                          "see: motet call --help"])

    def test_flag_without_value(self):
        self.fails(2, "call: --deadline needs a value", "call", "echo",
                   "--deadline", hints=["see: motet call --help"])

    def test_switch_with_value(self):
        self.fails(2, "status: --down=yes takes no value", "status",
                   "--down=yes", hints=["see: motet status --help"])

    def test_value_without_unit(self):
        self.fails(2, 'call: --deadline: "5" is not a time: 50ms, 2s, 1m',
                   "call", "echo", "--deadline", "5")

    def test_value_of_wrong_kind(self):
        self.fails(2, 'call: --rate: "fast" is not a rate: 2000/s',
                   "call", "echo", "--rate", "fast")

    def test_missing_word(self):
        self.fails(2, "call: a word is missing", "call",
                   hints=["usage: motet call NAME [BODY]"])

    def test_word_too_many(self):
        self.fails(2, 'down: one word too many: "now"', "down", "now")

    def test_too_many_sites(self):
        self.fails(2, "up: a cluster has 1 to 64 sites", "up", "65",
                   "--name", "lab", hints=["try: motet up 3"])

    def test_no_name(self):
        self.fails(2, 'up: "a b" is no name for a cluster', "up", "--name",
                   "a b")

    def test_no_cluster(self):
        for words in (["status"], ["site", "list"], ["call", "echo", "x"],
                      ["port", "list"], ["ping"], ["send", "echo", "x"]):
            with self.subTest(words=words):
                result = self.lab.motet(*words)
                self.assertEqual(result.code, 7, result)
                self.assertIn("no cluster is running", result.err)
                self.assertIn("start one: motet up 3", result.err)

    def test_unknown_cluster(self):
        self.fails(3, "status: no cluster named mars", "status", "-c", "mars",
                   hints=["make it: motet up 3 --name mars"])

    def test_the_socket_path_is_too_long(self):
        deep = self.lab.folder + "/" + "x" * 100
        result = self.lab.motet("up", "1", "--name", "lab",
                                env={"MOTET_RUNTIME_DIR": deep})
        self.assertEqual(result.code, 1, result)
        self.assertIn("a socket has a path of at most 107", result.err)
        self.assertIn("set MOTET_RUNTIME_DIR to a shorter folder", result.err)

    def test_help_everywhere(self):
        for words in ([], ["help"], ["--help"], ["help", "call"],
                      ["call", "--help"], ["site", "list", "-h"],
                      ["-h", "status"]):
            with self.subTest(words=words):
                result = self.lab.motet(*words)
                self.assertEqual(result.code, 0, result)
                self.assertIn("motet", result.out)

    def test_help_of_each_verb_ends_with_its_codes(self):
        known = {i["code"]: i["meaning"] for i in self.ok(
            "help", "exits", "--json").json()["items"]}
        for verb in self.verbs():
            with self.subTest(verb=verb):
                out = self.ok("help", *verb.split()).out
                tail = out.split("ends with\n")[1]
                codes = [line.split(None, 1) for line in tail.splitlines()]
                self.assertTrue(codes, out)
                for code, meaning in codes:
                    self.assertEqual(known[int(code)], meaning)

    def test_the_exit_codes(self):
        items = self.ok("help", "exits", "--json").json()["items"]
        self.assertEqual(
            {i["name"]: i["code"] for i in items},
            {"DONE": 0, "FAILED": 1, "USAGE": 2, "MISSING": 3, "NOT_RUN": 4,
             "MAYBE": 5, "CHANGES": 6, "NO_CLUSTER": 7, "UNSAFE": 8,
             "NO_VERDICT": 9, "STUCK": 10, "NOT_REPEATABLE": 11,
             "CRASHED": 12, "DENIED": 77, "TIMED_OUT": 124,
             "INTERRUPTED": 130, "TERMINATED": 143})

    def verbs(self):
        """The verbs of the overview: lines of two blanks and a name."""
        found = []
        for line in self.ok("help").out.splitlines():
            words = line.split()
            if line.startswith("  ") and not line.startswith("   ") and \
                    words[0] not in ("motet", "sim") and \
                    not words[0].startswith("-"):
                name = []
                for word in words:
                    if not word.islower() or not word.isalpha():
                        break
                    name.append(word)
                nouns = ("site", "port", "actor", "group", "link", "bench",
                         "chaos")
                found.append(" ".join(name[:2] if name[0] in nouns
                                      else name[:1]))
        self.assertGreater(len(found), 20)
        return found

    def test_version(self):
        self.assertRegex(self.ok("version").out, r"^motet \d+\.\d+\.\d+\n$")
        everything = self.ok("version", "--all").out
        for word in ("commit", "compiler", "openssl", "protobuf-c"):
            self.assertIn(word, everything)
        self.assertEqual(self.ok("version", "--json").json()["schema"],
                         "motet.version/1")

    def test_stdout_that_fails(self):
        import subprocess
        with open("/dev/full", "wb") as full:
            done = subprocess.run([str(lab.MOTET), "help"], stdout=full,
                                  stderr=subprocess.PIPE, timeout=30,
                                  check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot write", done.stderr)


if __name__ == "__main__":
    lab.main()
