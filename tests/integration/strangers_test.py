#!/usr/bin/env python3
"""Garbage, slow strangers and wrong certificates at the port of a site change
nothing for the others: calls go on meanwhile."""

import os
import random
import socket
import ssl
import subprocess
import time

import lab

GARBAGE = 60
IDLE = 100  # more than the 64 that may wait


class Strangers(lab.LabTest):
    def setUp(self):
        self.load = self.lab.start("call", "echo.site2", "--rate", "200/s",
                                   "--for", "5s", "--verify", "order", "-s",
                                   "site1", "--json")
        self.pids = self.running()
        time.sleep(0.3)

    def tearDown(self):
        result = self.lab.finish(self.load)
        self.assertEqual(result.code, 0, result)
        doc = result.json()
        self.assertEqual(doc["answered"], 1000, doc)
        self.assertEqual(self.running(), self.pids, "a site was restarted")
        states = self.lab.states()
        self.assertEqual(set(states.values()), {"alive"}, states)
        # and newcomers are still let in
        self.assertEqual(self.ok("call", "echo.site2", "x", "-s",
                                 "site3").out, "x")

    def running(self):
        return {i["name"]: i["pid"] for i in
                self.ok("site", "list", "--json").json()["items"]}

    def connect(self, site="site2"):
        return socket.create_connection(self.lab.address(site), timeout=5)

    @staticmethod
    def drained(sock):
        """Reads until the site hangs up. True when it did."""
        sock.settimeout(8)
        try:
            while sock.recv(65536):
                pass
        except ConnectionError:
            return True
        except socket.timeout:
            return False
        return True

    def test_garbage(self):
        chance = random.Random(7)
        for i in range(GARBAGE):
            with self.connect() as sock:
                try:
                    sock.sendall(chance.randbytes(chance.randrange(1, 70000)))
                except ConnectionError:
                    continue
                if i % 10 == 0:
                    self.assertTrue(self.drained(sock), "garbage was kept")

    def test_begins_like_tls(self):
        for head in (b"\x16\x03\x01\x40\x00", b"\x16\x03\x01\xff\xff",
                     b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
                     b"\x17\x03\x03\x00\x10" + b"x" * 16,
                     b"GET / HTTP/1.1\r\n\r\n"):
            with self.connect() as sock:
                sock.sendall(head)
                self.assertTrue(self.drained(sock), head)

    def test_silent_strangers(self):
        """They are let go after 3 s, and no more than 64 wait (4 from one
        address): the others are turned away."""
        socks = []
        try:
            for _ in range(IDLE):
                socks.append(self.connect())
            start = time.monotonic()
            for sock in socks:
                self.assertTrue(self.drained(sock))
            self.assertLess(time.monotonic() - start, 8)
        finally:
            for sock in socks:
                sock.close()

    def handshake(self, cert=None):
        """A TLS handshake with the port of site2. Returns what came of it."""
        context = ssl.create_default_context(
            cafile=self.lab.pki() / "ca.pem")
        context.check_hostname = False
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["motet/1"])
        if cert is not None:
            context.load_cert_chain(*cert)
        try:
            with context.wrap_socket(self.connect()) as tls:
                tls.settimeout(5)
                # TLS 1.3: the refusal of a client comes with the first read
                data = tls.recv(16)
                return "accepted" if data else "closed"
        except (ssl.SSLError, ConnectionError) as why:
            return f"refused: {why}"

    def test_no_certificate(self):
        self.assertNotEqual(self.handshake(), "accepted")

    def make_foreign(self):
        """A site of the same names, of another authority."""
        other = lab.Lab()
        try:
            other.up(1)
            other.motet("down")
            pki = other.pki()
            to = f"{self.lab.folder}/foreign"
            os.makedirs(to, exist_ok=True)
            for name in ("site1.pem", "site1.key", "ca.pem"):
                with open(pki / name, "rb") as source, \
                        open(f"{to}/{name}", "wb") as copy:
                    copy.write(source.read())
            return to
        finally:
            other.close()

    def test_a_certificate_of_another_authority(self):
        to = self.make_foreign()
        got = self.handshake((f"{to}/site1.pem", f"{to}/site1.key"))
        self.assertNotEqual(got, "accepted")

    def test_a_site_of_another_authority(self):
        to = self.make_foreign()
        host, port = self.lab.address("site2")
        process = subprocess.Popen(
            [str(lab.MOTETD), "--name", "mallory", "--cluster", "lab",
             "--listen", "127.0.0.1:0", "--state-dir", f"{to}/state",
             "--ca", f"{to}/ca.pem", "--cert", f"{to}/site1.pem",
             "--key", f"{to}/site1.key", "--join", f"{host}:{port}",
             "--socket", f"{to}/m.sock"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        time.sleep(2)
        process.kill()
        process.communicate()
        self.assertNotIn("mallory", self.lab.states())


if __name__ == "__main__":
    lab.main()
