#!/usr/bin/env python3
"""A bug that was put into motetd on purpose is found by a run on network
namespaces, and the report names what it breaks."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import lab
import net

NO_NETNS = net.can_make_namespaces()
SOURCES = pathlib.Path(__file__).resolve().parents[2]
BUILD = lab.BIN.parent

SCENARIO = """
name: bug
sites: 3
for: 4s
workload: {actors: 2, rate: 100/s}
faults:
  - {at: 1s, fault: cut, from: site1, to: site2, for: 1s}
holds: {calls: 20}
"""


@unittest.skipIf(NO_NETNS, f"needs namespaces: {NO_NETNS}")
@unittest.skipUnless(os.environ.get("MOTET_KIND", "release") == "release",
                     "links the archives of the release build")
class Bug(lab.LabTest):
    sites = 0

    def program(self, name):
        """A copy of the programs, with a motetd of their own beside them."""
        folder = pathlib.Path(self.lab.folder, "bin")
        folder.mkdir()
        for copied in ("motet", "motet-switch"):
            shutil.copy(lab.BIN / copied, folder)
        pathlib.Path(self.lab.folder, "lib").mkdir()
        shutil.copy(BUILD / "lib/motet-load.so",
                    pathlib.Path(self.lab.folder, "lib"))
        subprocess.run([SOURCES / "tests/sim/buggy_site.sh", BUILD,
                        folder / "motetd", *name], check=True, timeout=120)
        return folder / "motet"

    def test_names_that_are_used_again(self):
        motet = self.program(("REUSE_UI", "nucleus/core"))
        path = pathlib.Path(self.lab.folder, "bug.yml")
        path.write_text(SCENARIO, encoding="utf-8")
        done = subprocess.run(
            [motet, "chaos", "run", path, "--on", "netns"], env=self.lab.env,
            capture_output=True, text=True, timeout=120, check=False)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 8, said)
        self.assertRegex(said, r"FAIL  P9  identity")
        self.assertRegex(said, r"P9 identity, at \S+ s: the UI \S+ was issued "
                         r"twice")
        folder = self.lab.state("chaos") / "chaos/latest"
        report = json.loads((folder / "report.json").read_text())
        self.assertEqual(report["verdict"], "UNSAFE")
        self.assertTrue(re.search("issued twice",
                                  (folder / "index.html").read_text()))


if __name__ == "__main__":
    lab.main()
