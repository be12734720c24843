#!/usr/bin/env python3
"""What the README says is so: its program compiles and answers, its commands
exist, its numbers are those of the code."""

import os
import pathlib
import re
import subprocess

import lab

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language):
    """The first fenced block of a language."""
    return re.search(rf"^```{language}\n(.*?)^```$", README,
                     re.M | re.S).group(1)


class Readme(lab.LabTest):
    def test_the_program(self):
        source = f"{self.lab.folder}/hello.c"
        program = f"{self.lab.folder}/hello"
        with open(source, "w", encoding="utf-8") as file:
            file.write(block("c"))
        library = lab.BIN.parent / "lib"
        kind = os.environ.get("MOTET_KIND", "release")
        if kind in ("dev", "tsan", "cov"):
            self.skipTest("the library of this build wants a runtime")
        subprocess.run(
            ["cc", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion",
             "-Werror", source, f"-I{ROOT}/nucleus/api/include",
             f"-L{library}", "-lmotet", f"-Wl,-rpath,{library}", "-o",
             program], check=True, timeout=60)
        child = subprocess.Popen([program], env=self.lab.env)
        self.lab.children.append(child)
        self.assertEqual(self.ok("call", "hello", "hi", "-s", "site3",
                                 "--wait").out, "hello back")
        self.assertIsNone(child.poll())

    def test_the_commands(self):
        helped = self.ok("help").out
        for words in re.findall(r"`motet ([a-z]+(?: [a-z]+)?)", README):
            first = words.split()[0]
            self.assertRegex(helped, rf"(?m)^  {first}\b|\| {first}\b",
                             f"motet {words}")
        for verb in re.findall(r"^\$ motet (-|[a-z]+)", README, re.M):
            self.assertRegex(helped, rf"(?m)^  {verb}\b")

    def test_the_limits(self):
        for path, number, text in (
                ("nucleus/api/include/motet/types.h",
                 r"MOTET_ANNEX_MAX = 120,", "120 bytes"),
                ("nucleus/api/include/motet/types.h",
                 r"MOTET_BODY_DEFAULT = 16 << 20", "16 MiB"),
                ("tools/cluster.h", r"CLUSTER_SITES_MAX = 64,", "| 64 |")):
            self.assertRegex((ROOT / path).read_text(), number)
            self.assertIn(text, README)


if __name__ == "__main__":
    lab.main()
