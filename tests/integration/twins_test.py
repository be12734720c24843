#!/usr/bin/env python3
"""A second copy of a site, and a second site of the same name, are refused,
and both are named."""

import shutil

import lab


class Twins(lab.LabTest):
    def copy_conf(self, site, to, **changes):
        """A configuration as that of `site`, with other values."""
        conf = self.lab.conf(site)
        folder = self.lab.folder
        values = {"listen": "127.0.0.1:0", "socket": f"{folder}/r/{to}.sock",
                  "state_dir": f"{folder}/{to}", **changes}
        for key, value in values.items():
            conf[key.replace("_", "-")] = [value]
        path = f"{folder}/{to}.conf"
        with open(path, "w", encoding="ascii") as file:
            for key, values in conf.items():
                for value in values:
                    file.write(f"{key} = {value}\n")
        return path

    def all_is_well(self):
        states = self.lab.states()
        self.assertEqual({states[f"site{i}"] for i in (1, 2, 3)}, {"alive"})
        for to in ("site1", "site2", "site3"):
            self.assertEqual(self.ok("call", f"echo.{to}", "x", "-s",
                                     "site1").out, "x")

    def refused_naming_both(self, site, result):
        """It says where the first copy runs, and which one it is."""
        self.assertEqual(result.code, 78, result)
        host, port = self.lab.address(site)
        self.assertRegex(result.err, rf"(?m)^motetd: .*{site} runs at "
                                     rf"{host}:{port}, and at 127\.0\.0\.1:\d+ "
                                     rf".*second copy")

    def test_the_same_state_folder(self):
        path = self.copy_conf("site2", "copy",
                              state_dir=self.lab.conf("site2")["state-dir"][0])
        result = self.lab.motetd("--config", path)
        self.assertEqual(result.code, 78, result)
        self.assertRegex(result.err, r"is in use by process \d+: a second copy "
                                     r"of this site was not started")
        self.all_is_well()

    def test_a_new_state_folder(self):
        result = self.lab.motetd("--config", self.copy_conf("site2", "fresh"))
        self.refused_naming_both("site2", result)
        self.all_is_well()

    def test_a_copy_of_the_folder(self):
        shutil.copytree(self.lab.conf("site2")["state-dir"][0],
                        f"{self.lab.folder}/clone",
                        ignore=shutil.ignore_patterns("*lock*"))
        result = self.lab.motetd("--config", self.copy_conf("site2", "clone"))
        self.refused_naming_both("site2", result)
        # and so does the log of one that refused it
        text = "".join(self.lab.log(f"site{i}") for i in (1, 2, 3))
        self.assertRegex(text, r"refused site .*site2 runs at .*, and at ")
        self.all_is_well()

    def test_a_name_already_taken(self):
        # a certificate of its own, but the name of another
        self.ok("site", "add", "site4")
        self.ok("site", "kill", "site4")
        path = self.copy_conf("site4", "thief", name="site2")
        result = self.lab.motetd("--config", path)
        self.assertEqual(result.code, 78, result)
        host, port = self.lab.address("site2")
        self.assertRegex(result.err, rf"(?m)^motetd: .*site2 is at {host}:"
                                     rf"{port}, not at .*the name is taken")
        self.all_is_well()


if __name__ == "__main__":
    lab.main()
