#!/usr/bin/env python3
"""Network namespaces on the switch: made, joined, and gone with it."""

import os
import pathlib
import signal
import socket
import subprocess
import time
import unittest

import lab
import net

MISSING = net.can_make_namespaces()


@unittest.skipIf(MISSING, f"needs namespaces: {MISSING}")
class Namespaces(unittest.TestCase):
    def setUp(self):
        self.switch = net.Switch()
        self.addCleanup(self.switch.close)
        self.netns = {
            name: self.switch.ok(f"port {name} namespace 10.77.0.{i}/24")
            ["netns"] for i, name in enumerate("ab", 1)}
        self.ua = net.socket_in(self.netns["a"], socket.SOCK_DGRAM)
        self.ub = net.socket_in(self.netns["b"], socket.SOCK_DGRAM)
        self.addCleanup(self.ua.close)
        self.addCleanup(self.ub.close)
        self.ub.bind(("10.77.0.2", 7))
        self.ub.settimeout(2)

    def say(self, text):
        self.ua.sendto(text, ("10.77.0.2", 7))

    def hear(self, seconds=2.0):
        self.ub.settimeout(seconds)
        try:
            return self.ub.recvfrom(65536)[0]
        except TimeoutError:
            return None

    def test_datagrams_pass_and_are_cut(self):
        self.say(b"hello")
        self.assertEqual(self.hear(), b"hello")
        self.switch.ok("fault f a -> b cut")
        self.say(b"lost")
        self.assertIsNone(self.hear(0.1))
        self.switch.ok("heal")
        self.say(b"well")
        self.assertEqual(self.hear(), b"well")

    def test_tcp_survives_a_bad_link(self):
        self.switch.ok("set * * loss=5% duplicate=2% reorder=5% corrupt=1% "
                       "delay=1ms")
        server = net.socket_in(self.netns["b"], socket.SOCK_STREAM)
        client = net.socket_in(self.netns["a"], socket.SOCK_STREAM)
        server.bind(("10.77.0.2", 80))
        server.listen()
        client.settimeout(30)
        client.connect(("10.77.0.2", 80))
        there, _ = server.accept()
        data = os.urandom(200_000)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        there.settimeout(30)
        got = b""
        while part := there.recv(65536):
            got += part
        self.assertEqual(got, data)
        for s in (server, client, there):
            s.close()

    def pair(self):
        """A connection from a to b."""
        server = net.socket_in(self.netns["b"], socket.SOCK_STREAM)
        client = net.socket_in(self.netns["a"], socket.SOCK_STREAM)
        self.addCleanup(server.close)
        self.addCleanup(client.close)
        server.bind(("10.77.0.2", 81))
        server.listen()
        client.settimeout(5)
        client.connect(("10.77.0.2", 81))
        there, _ = server.accept()
        self.addCleanup(there.close)
        there.settimeout(5)
        return client, there

    def test_connections_break_at_both_ends(self):
        client, there = self.pair()
        client.sendall(b"before")
        self.assertEqual(there.recv(100), b"before")
        self.switch.ok("fault f a -> b reset")
        client.sendall(b"never seen")
        with self.assertRaises(ConnectionResetError):
            there.recv(100)
        self.switch.ok("heal")
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            for _ in range(100):
                client.sendall(b"more")
                time.sleep(0.02)
        self.say(b"not of a connection")
        self.assertEqual(self.hear(), b"not of a connection")

    def test_a_guest_and_a_namespace_meet(self):
        guest = self.switch.guest("g", 9)
        self.addCleanup(guest.close)
        self.say(b"learn")  # a asks for b: the guest hears the question
        self.assertIn(socket.inet_aton("10.77.0.2"), guest.hear()[1])

    def test_inside_there_is_nothing_else(self):
        with net.inside(self.netns["a"]):
            links = subprocess.run(["ip", "-o", "link"], check=True,
                                   capture_output=True).stdout.decode()
            routes = subprocess.run(["ip", "route"], check=True,
                                    capture_output=True).stdout.decode()
        names = {line.split(": ")[1] for line in links.splitlines()}
        self.assertIn("eth0", names)
        self.assertNotIn("docker0", names)
        self.assertEqual(routes.split()[:3], ["10.77.0.0/24", "dev", "eth0"])

    def test_gone_with_the_switch_however_it_ends(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            switch = net.Switch()
            path = switch.ok("port x namespace 10.77.0.1/24")["netns"]
            inode = os.stat(path).st_ino
            self.assertIn(inode, self.inodes())
            switch.end(how)
            lab.wait_until(lambda: inode not in self.inodes(), 5,
                           "the namespace is gone")
            if how == signal.SIGTERM:
                switch.close()
            else:
                with self.assertRaises(AssertionError):
                    switch.close()

    @staticmethod
    def inodes():
        """Of all network namespaces that some process is in or holds."""
        found = set()
        for fd in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if os.readlink(fd).startswith("net:"):
                    found.add(os.stat(fd).st_ino)
            except OSError:
                pass
        return found


if __name__ == "__main__":
    lab.main()
