#!/usr/bin/env python3
"""docs/TESTING-YOUR-ACTORS.md is true: its commands work, and end as it says."""

import os
import pathlib
import re
import shutil
import subprocess

import lab

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/TESTING-YOUR-ACTORS.md").read_text(encoding="utf-8")
EXITS = re.compile(r"# exits with (\d+)$")


def commands():
    """The lines of the sh blocks, each with the code it must end with."""
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S):
        for line in block.splitlines():
            code = EXITS.search(line)
            yield line, int(code.group(1)) if code else 0


class OwnActors(lab.LabTest):
    sites = 0

    def setUp(self):
        if os.environ.get("MOTET_KIND") in ("dev", "cov"):
            self.skipTest("an object without the runtime of this build")
        self.folder = pathlib.Path(self.lab.folder, "work")
        self.folder.mkdir()
        shutil.copy(ROOT / "docs/examples/lock/lock.c", self.folder)

    def tearDown(self):
        shutil.rmtree(self.folder)

    def run_line(self, line):
        """As typed, but with the headers of this tree and ports of our own."""
        line = line.replace("$(pkg-config --cflags motet)",
                            f"-I{ROOT}/nucleus/api/include -Wall -Werror")
        line = line.replace("rolling-restart", "rolling-restart --for 5s")
        line = line.replace("--on host", f"--on host --port {self.lab.port}")
        return subprocess.run(
            ["bash", "-c", line], cwd=self.folder, timeout=200, check=False,
            env={**self.lab.env, "PATH": f"{lab.BIN}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def test_the_page(self):
        seed = None
        count = 0
        for line, code in commands():
            if "sim shrink" in line and seed is not None:
                line = re.sub(r"shrink \d+", f"shrink {seed}", line)
            done = self.run_line(line)
            self.assertEqual(done.returncode, code, f"{line}\n{done.stdout}")
            found = re.search(r"FAIL  seed (\d+)  your invariant: one holder",
                              done.stdout)
            if found and seed is None:
                seed = found.group(1)
            count += 1
        self.assertGreaterEqual(count, 9)
        self.assertIsNotNone(seed, "the bug was found by a loop")
        trace = (self.folder / "trace.txt").read_text()
        self.assertIn("FAULT", trace)
        self.assertIn("VIOLATION", trace)

    def test_what_it_quotes_is_in_the_example(self):
        source = (ROOT / "docs/examples/lock/lock.c").read_text()
        for block in re.findall(r"^```c\n(.*?)^```$", PAGE, re.M | re.S):
            self.assertIn(block.strip(), source)
        for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
            self.assertTrue((ROOT / "docs" / link).exists(), link)

    def run_as(self, text):
        """The actor with that source, on real processes."""
        (self.folder / "lock.c").write_text(text)
        done = self.run_line("cc -shared -fPIC -o lock.so lock.c "
                             "$(pkg-config --cflags motet)")
        self.assertEqual(done.returncode, 0, done.stdout)
        return self.run_line("motet chaos run calm --on host --for 2s "
                             "--actor ./lock.so")

    def test_an_invariant_on_real_processes(self):
        """One that is false there is told, and is a violation."""
        text = (self.folder / "lock.c").read_text()
        done = self.run_as(text.replace("if (k->taken == 0)",
                                        "if (k->taken < 1000000)"))
        self.assertEqual(done.returncode, 8, done.stdout)
        self.assertIn("nobody starves: ", done.stdout)
        self.assertIn("verdict  UNSAFE", done.stdout)

    def test_an_actor_that_cannot_be_judged(self):
        text = (self.folder / "lock.c").read_text()
        text = text.replace(".save = save,", "").replace(
            ".restore = restore,", "").replace("-Wall", "")
        done = self.run_as(
            "#pragma GCC diagnostic ignored \"-Wunused-function\"\n" + text)
        self.assertEqual(done.returncode, 9, done.stdout)
        self.assertIn("needs save and restore", done.stdout)


if __name__ == "__main__":
    lab.main()
