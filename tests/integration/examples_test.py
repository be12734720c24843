#!/usr/bin/env python3
"""The examples of the documentation work between sites."""

import subprocess

import lab

EXAMPLES = lab.BIN.parent / "examples"


class Examples(lab.LabTest):
    def begin(self, name, site):
        """Starts an example attached to a site; it dies with the lab."""
        child = subprocess.Popen(
            [EXAMPLES / name], env={**self.lab.env, "MOTET_SITE": site},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.lab.children.append(child)
        return child

    def client(self, site):
        child = self.begin("hello_client", site)
        out, err = child.communicate(timeout=30)
        return child.returncode, out, err

    def test_hello(self):
        code, _, err = self.client("site1")
        self.assertEqual(code, 4, "nobody serves yet: certainly not executed")
        self.assertIn("hello_client: ", err)
        server = self.begin("hello_server", "site2")
        lab.wait_until(lambda: self.client("site1")[0] == 0,
                       what="the server")
        self.assertEqual(self.client("site3")[1], "hello back\n")
        self.assertIsNone(server.poll())

    def test_foreign_loop(self):
        here = self.begin("foreign_loop", "site1")
        here.stdin.write("a line\n")
        here.stdin.flush()
        self.assertEqual(here.stdout.readline(), "> a line\n")
        self.ok("send", "lines", "from afar", "-s", "site3", "--wait")
        self.assertEqual(here.stdout.readline(), "> from afar\n")


if __name__ == "__main__":
    lab.main()
