#!/usr/bin/env python3
"""The relay: connections and datagrams of this host, through links."""

import os
import select
import socket
import time
import unittest

import lab
import net


def hear_of_its_end(s):
    """Whether it breaks or is closed is the same to who waits."""
    s.settimeout(5)
    if s.recv(1) == b"":
        raise ConnectionError("the end")


class RelayTest(unittest.TestCase):
    """Two sites: a at 127.0.0.1, whose via is 127.7.0.1, and b."""

    def setUp(self):
        self.switch = net.Switch()
        self.addCleanup(self.switch.close)
        self.a, self.b = net.Echo(), net.Echo()
        self.addCleanup(self.a.close)
        self.addCleanup(self.b.close)
        self.switch.ok(f"port a relay 127.0.0.1:{self.a.port} 127.7.0.1")
        self.switch.ok(f"port b relay 127.0.0.1:{self.b.port} 127.7.0.2")
        self.sockets = []
        self.addCleanup(lambda: [s.close() for s in self.sockets])

    def dial(self, timeout=5):
        """As a dials b."""
        s = socket.create_connection(("127.7.0.1", self.b.port), timeout)
        self.sockets.append(s)
        return s

    @staticmethod
    def ask(s, text, timeout=5.0):
        s.settimeout(timeout)
        s.sendall(text)
        got = b""
        while len(got) < len(text):
            part = s.recv(65536)
            if not part:
                raise ConnectionError("the end")
            got += part
        return got

    def is_silent(self, s, seconds=0.15):
        return not select.select([s], [], [], seconds)[0]


class Streams(RelayTest):
    def test_bytes_pass_both_ways_and_so_does_the_end(self):
        s = self.dial()
        self.assertEqual(self.ask(s, b"hello"), b"hello")
        big = os.urandom(3_000_000)
        s.setblocking(False)
        sent, got = 0, bytearray()
        while len(got) < len(big):
            reads, writes, _ = select.select(
                [s], [s] if sent < len(big) else [], [], 10)
            self.assertTrue(reads or writes)
            if writes:
                sent += s.send(big[sent:sent + 65536])
            if reads:
                got += s.recv(65536)
        self.assertEqual(bytes(got), big)
        s.settimeout(5)
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(s.recv(1), b"")

    def test_delay_both_ways(self):
        s = self.dial()
        self.ask(s, b"x")
        self.switch.ok("set a b delay=40ms")
        self.switch.ok("set b a delay=20ms")
        seconds, _ = net.took(self.ask, s, b"x")
        self.assertGreaterEqual(seconds, 0.059)
        self.assertLess(seconds, 0.4)

    def test_rate(self):
        s = self.dial()
        self.switch.ok("set a b rate=1MiB/s")
        seconds, _ = net.took(self.ask, s, b"x" * 200_000)
        self.assertGreater(seconds, 0.15)
        self.assertLess(seconds, 1.5)

    def test_a_cut_holds_and_nothing_is_lost(self):
        s = self.dial()
        self.ask(s, b"before")
        self.switch.ok("fault cut a -> b cut")
        s.sendall(b"during")
        self.assertTrue(self.is_silent(s))
        self.switch.ok("heal")
        s.settimeout(5)
        self.assertEqual(s.recv(100), b"during")
        self.assertEqual(self.ask(s, b"after"), b"after")

    def test_a_cut_of_the_way_back(self):
        s = self.dial()
        self.ask(s, b"before")
        self.switch.ok("fault cut b -> a for=200ms cut")
        s.sendall(b"during")
        start = time.monotonic()
        s.settimeout(5)
        self.assertEqual(s.recv(100), b"during")
        self.assertGreater(time.monotonic() - start, 0.15)

    def test_who_dials_into_a_cut_waits(self):
        self.switch.ok("fault cut b -> a cut")
        s = self.dial()
        s.sendall(b"first")
        self.assertTrue(self.is_silent(s))
        self.assertEqual(self.b.accepted, [], "b has not heard of it")
        self.switch.ok("heal")
        s.settimeout(5)
        self.assertEqual(s.recv(100), b"first")

    def test_who_gives_up_in_a_cut_is_gone(self):
        self.switch.ok("fault cut a <-> b cut")
        s = self.dial()
        s.close()
        time.sleep(0.1)
        self.switch.ok("heal")
        time.sleep(0.1)
        self.assertEqual(self.b.accepted, [])

    def test_what_a_blackhole_took_breaks_the_connection(self):
        s, idle = self.dial(), self.dial()
        self.ask(s, b"before")
        self.ask(idle, b"before")
        self.switch.ok("fault hole a -> b blackhole")
        s.sendall(b"swallowed")
        self.assertTrue(self.is_silent(s))
        self.switch.ok("heal")
        self.assertRaises(ConnectionError, hear_of_its_end, s)
        self.assertEqual(self.ask(idle, b"well"), b"well")

    def test_a_reset_breaks_those_of_its_link(self):
        s = self.dial()
        self.ask(s, b"before")
        self.switch.ok("fault f a -> b for=50ms reset")
        self.assertRaises(ConnectionError, hear_of_its_end, s)
        lab.wait_until(lambda: not self.switch.ok("faults")["items"], 5,
                       "its end")
        self.assertEqual(self.ask(self.dial(), b"anew"), b"anew")

    def test_loss_is_delay(self):
        s = self.dial()
        self.switch.ok("set * * loss=20%")
        for i in range(10):
            text = b"%d" % i
            self.assertEqual(self.ask(s, text, 20), text)

    def test_a_wrong_bit(self):
        s = self.dial()
        self.switch.ok("set a b corrupt=100%")
        got = self.ask(s, b"\0" * 64)
        self.assertEqual(sum(bin(x).count("1") for x in got), 1)

    def test_nobody_listens(self):
        self.b.server.shutdown(socket.SHUT_RDWR)
        self.b.close()
        with self.assertRaises(ConnectionError):
            hear_of_its_end(self.dial())

    def test_a_port_that_goes_takes_its_connections(self):
        s = self.dial()
        self.ask(s, b"x")
        self.switch.ok("unport b")
        self.assertRaises(ConnectionError, hear_of_its_end, s)
        with self.assertRaises(ConnectionError):
            self.dial()

    def test_an_address_that_is_taken(self):
        with socket.create_server(("127.7.0.3", self.a.port)):
            answer = self.switch.ask("port c relay 127.0.0.1:1 127.7.0.3")
            self.assertEqual(answer["error"], f"127.7.0.3:{self.a.port}: "
                                              "address already in use")
        self.switch.ok("port c relay 127.0.0.1:9999 127.7.0.3")


class Many(unittest.TestCase):
    def test_as_many_sites_as_a_cluster_has(self):
        """More doors than a process may have open by default."""
        switch = net.Switch()
        self.addCleanup(switch.close)
        for i in range(1, 65):
            switch.ok(f"port s{i} relay 127.0.0.1:{9000 + i} 127.7.9.{i}")
        with self.assertRaises(ConnectionError):  # nobody listens
            with socket.create_connection(("127.7.9.64", 9001), 5) as s:
                hear_of_its_end(s)
        self.assertGreater(len(os.listdir(
            f"/proc/{switch.process.pid}/fd")), 8000)


class Datagrams(RelayTest):
    def setUp(self):
        super().setUp()
        self.ua = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ub = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.ua.bind(("127.0.0.1", self.a.port))
        self.ub.bind(("127.0.0.1", self.b.port))
        self.sockets += [self.ua, self.ub]

    def hear(self, s, seconds=2.0):
        s.settimeout(seconds)
        try:
            return s.recvfrom(65536)
        except TimeoutError:
            return None, None

    def test_the_sender_can_be_answered(self):
        self.ua.sendto(b"ask", ("127.7.0.1", self.b.port))
        text, sender = self.hear(self.ub)
        self.assertEqual(text, b"ask")
        self.assertEqual(sender, ("127.7.0.2", self.a.port))
        self.ub.sendto(b"answer", sender)
        text, sender = self.hear(self.ua)
        self.assertEqual(text, b"answer")
        self.assertEqual(sender, ("127.7.0.1", self.b.port))

    def test_they_are_lost_late_and_double(self):
        to = ("127.7.0.1", self.b.port)
        self.switch.ok("fault f a -> b for=1h loss=100%")
        self.ua.sendto(b"lost", to)
        self.assertIsNone(self.hear(self.ub, 0.1)[0])
        self.switch.ok("fault f a -> b for=1h delay=50ms duplicate=100%")
        self.ua.sendto(b"late", to)
        seconds, (text, _) = net.took(self.hear, self.ub)
        self.assertEqual(text, b"late")
        self.assertGreaterEqual(seconds, 0.049)
        self.assertEqual(self.hear(self.ub)[0], b"late")
        self.assertEqual(self.switch.link("a", "b")["loss"], 1)


if __name__ == "__main__":
    lab.main()
