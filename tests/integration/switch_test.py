#!/usr/bin/env python3
"""The switch by itself: it learns, it breaks what it is told to, it ends."""

import os
import signal
import socket
import struct
import time
import unittest

import lab
import net


class SwitchTest(unittest.TestCase):
    seed = 1

    def setUp(self):
        self.switch = net.Switch(seed=self.seed)
        self.addCleanup(self.switch.close)

    def guests(self, names):
        made = [self.switch.guest(name) for name in names]
        for guest in made:
            self.addCleanup(guest.close)
        for guest in made:
            guest.say(None, b"here")
        for guest in made:
            guest.hear_all(0.05)
        return made

    def refuses(self, line, why):
        answer = self.switch.ask(line)
        self.assertEqual(answer, {"ok": False, "error": why})


class Frames(SwitchTest):
    def test_learns_and_floods(self):
        a, b, c = self.guests("abc")
        a.say(b, b"for b")
        self.assertEqual(b.hear(), (a.mac, b"for b"))
        self.assertIsNone(c.hear(0.05), "c is not meant")
        a.say(None, b"for all")
        self.assertEqual(b.hear(), (a.mac, b"for all"))
        self.assertEqual(c.hear(), (a.mac, b"for all"))
        self.assertIsNone(a.hear(0.05), "nothing comes back")
        port = self.switch.port("a")
        self.assertEqual((port["kind"], port["rx"], port["lost"]),
                         ("dgram", 3, 0))

    def test_a_guest_that_moved_to_another_port_is_found(self):
        a, b, c = self.guests("abc")
        c.mac = b.mac
        c.say(a, b"it is me")
        self.assertEqual(a.hear(), (b.mac, b"it is me"))
        a.say(b, b"where?")
        self.assertEqual(c.hear(), (a.mac, b"where?"))
        self.assertIsNone(b.hear(0.05))

    def test_a_guest_that_is_down_is_lost_and_comes_back(self):
        a, b = self.guests("ab")
        path = b.socket.getsockname()
        b.close()
        os.unlink(path)
        a.say(b, b"nobody")
        lab.wait_until(lambda: self.switch.port("b")["lost"] == 1, 5)
        b.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        b.socket.bind(path)
        a.say(b, b"again")
        self.assertEqual(b.hear(), (a.mac, b"again"))

    def test_a_burst_waits_for_a_slow_guest(self):
        """The queue of such a socket is 10 frames: none may be lost."""
        a, b = self.guests("ab")
        for i in range(500):
            a.say(b, struct.pack(">I", i))
        heard = b.hear_all(0.3)
        self.assertEqual(heard, [struct.pack(">I", i) for i in range(500)])
        self.assertEqual(self.switch.port("b")["lost"], 0)

    def test_stream_guests(self):
        a, = self.guests("a")
        path = self.switch.folder / "stream"
        self.switch.ok(f"port s stream {path}")
        for _ in range(2):  # it is started twice
            guest = socket.socket(socket.AF_UNIX)
            guest.connect(str(path))
            frame = a.mac + bytes([2, 0, 0, 0, 0, 99]) + b"\x88\xb5hello"
            packed = struct.pack(">I", len(frame)) + frame
            guest.sendall(packed[:3])  # in parts
            time.sleep(0.02)
            guest.sendall(packed[3:] + packed)
            self.assertEqual(a.hear()[1], b"hello")
            self.assertEqual(a.hear()[1], b"hello")
            a.socket.send(frame[6:12] + a.mac + b"\x88\xb5back")
            guest.settimeout(5)
            size, = struct.unpack(">I", guest.recv(4, socket.MSG_WAITALL))
            self.assertEqual(guest.recv(size, socket.MSG_WAITALL)[14:],
                             b"back")
            guest.close()

    def test_nonsense_from_a_stream_ends_it(self):
        a, = self.guests("a")
        path = self.switch.folder / "stream"
        self.switch.ok(f"port s stream {path}")
        guest = socket.socket(socket.AF_UNIX)
        guest.connect(str(path))
        guest.sendall(b"\xff" * 64)
        guest.settimeout(5)
        with self.assertRaises((ConnectionError, StopIteration)):
            if not guest.recv(1):
                raise StopIteration
        guest.close()
        a.say(None, b"x")

    def test_short_and_odd_frames_hurt_nobody(self):
        a, b = self.guests("ab")
        for size in (0, 1, 13):
            a.socket.send(b"\x01" * size)
        a.say(b, b"")
        self.assertEqual(b.hear(), (a.mac, b""))


class Faults(SwitchTest):
    def test_a_cut_has_a_direction_and_an_end(self):
        a, b = self.guests("ab")
        self.switch.ok("fault cut-1 a -> b for=300ms cut")
        start = time.monotonic()
        a.say(b, b"lost")
        b.say(a, b"passes")
        self.assertEqual(a.hear(), (b.mac, b"passes"))
        self.assertIsNone(b.hear(0.05))
        fault, = self.switch.ok("faults")["items"]
        self.assertEqual((fault["name"], fault["from"], fault["to"],
                          fault["both"], fault["words"]),
                         ("cut-1", "a", "b", False, "cut"))
        self.assertTrue(0 < fault["left_ns"] < 300e6)
        lab.wait_until(lambda: not self.switch.ok("faults")["items"], 5)
        self.assertGreaterEqual(time.monotonic() - start, 0.29)
        a.say(b, b"heals")
        self.assertEqual(b.hear(), (a.mac, b"heals"))
        self.assertEqual(self.switch.link("a", "b")["cut"], 1)

    def test_delay_is_kept_to_the_millisecond(self):
        a, b = self.guests("ab")
        self.switch.ok("set a b delay=50ms")
        for _ in range(3):
            a.say(b, b"late")
            seconds, got = net.took(b.hear)
            self.assertEqual(got[1], b"late")
            self.assertGreaterEqual(seconds, 0.049)
            self.assertLess(seconds, 0.25)
        b.say(a, b"the other way is not")
        self.assertLess(net.took(a.hear)[0], 0.04)

    def test_set_changes_only_what_it_names_and_faults_go_over_it(self):
        self.guests("ab")
        self.switch.ok("set a b delay=5ms loss=1%")
        self.switch.ok("set a b loss=2% rate=10mbit")
        self.assertEqual(self.switch.link("a", "b")["words"],
                         "delay=5ms loss=2% rate=10mbit")
        self.switch.ok("fault f * -> b loss=9% cut")
        self.assertEqual(self.switch.link("a", "b")["words"],
                         "delay=5ms loss=9% rate=10mbit cut")
        self.assertEqual(self.switch.link("b", "a")["words"], "")
        self.switch.ok("fault f b -> a corrupt=1%")  # replaced
        self.assertEqual(self.switch.link("a", "b")["words"],
                         "delay=5ms loss=2% rate=10mbit")
        self.switch.ok("heal f")
        self.assertEqual(self.switch.link("b", "a")["words"], "")

    def test_heal_between(self):
        self.guests("abc")
        self.switch.ok("fault ab a <-> b cut")
        self.switch.ok("fault bc b -> c cut")
        self.switch.ok("fault all * <-> * loss=1%")
        self.assertEqual(self.switch.ok("heal c b")["healed"], 2)
        names = [f["name"] for f in self.switch.ok("faults")["items"]]
        self.assertEqual(names, ["ab"])
        self.assertEqual(self.switch.ok("heal")["healed"], 1)
        self.refuses("heal ab", "no such fault")

    def test_a_partition_of_groups(self):
        a, b, c = self.guests("abc")
        self.switch.ok("fault p a,b <-> c cut")
        a.say(None, b"1")
        self.assertEqual(b.hear()[1], b"1")
        self.assertIsNone(c.hear(0.05))
        c.say(None, b"2")
        self.assertIsNone(b.hear(0.05))

    def test_a_clog_keeps_all_and_their_order(self):
        a, b = self.guests("ab")
        self.switch.ok("fault clog a -> b clog")
        for i in range(5):
            a.say(b, bytes([i]))
        self.assertIsNone(b.hear(0.1))
        self.switch.ok("heal")
        self.assertEqual(b.hear_all(), [bytes([i]) for i in range(5)])

    def test_duplicate_corrupt_reorder(self):
        a, b = self.guests("ab")
        self.switch.ok("set a b duplicate=100%")
        a.say(b, b"twice")
        self.assertEqual(b.hear_all(), [b"twice", b"twice"])
        self.switch.ok("set a b duplicate=0% corrupt=100%")
        a.say(b, b"\0" * 32)
        bad, = b.hear_all()
        self.assertEqual(sum(bin(x).count("1") for x in bad), 1)
        self.switch.ok("set a b corrupt=0% reorder=50% reorder-by=50ms")
        for i in range(50):
            a.say(b, bytes([i]))
        heard = b.hear_all(0.2)
        self.assertNotEqual(heard, sorted(heard))
        self.assertEqual(sorted(heard), [bytes([i]) for i in range(50)])

    def test_rate_and_queue(self):
        a, b = self.guests("ab")
        self.switch.ok("set a b rate=100KiB/s queue=10KiB")
        for i in range(40):
            a.say(b, bytes([i]) * 1010)
        seconds, heard = net.took(b.hear_all)
        link = self.switch.link("a", "b")
        self.assertEqual(len(heard) + link["queue"], 40)
        self.assertTrue(9 <= len(heard) <= 20, len(heard))
        self.assertGreater(seconds, 0.08)

    def fate(self, seed, extra=""):
        """Which of 400 frames arrive."""
        switch = net.Switch(seed=seed)
        try:
            a, b = switch.guest("a"), switch.guest("b")
            b.say(a, b"here")
            a.hear()
            switch.ok(f"set a b loss=30% {extra}")
            for i in range(400):
                if i % 7 == 0:  # what the kernel asks of its own accord
                    a.say(b, b"arp", kind=0x0806)
                a.say(b, struct.pack(">H", i))
            heard = [x for x in b.hear_all(0.2) if x != b"arp"]
            a.close()
            b.close()
            return [struct.unpack(">H", x)[0] for x in heard]
        finally:
            switch.close()

    def test_the_same_seed_is_the_same_fate(self):
        first = self.fate(5)
        self.assertTrue(230 < len(first) < 330, len(first))
        self.assertEqual(self.fate(5), first)
        self.assertEqual(self.fate(5, "delay=2ms"), first)
        self.assertNotEqual(self.fate(6), first)


class Asking(SwitchTest):
    def test_refusals(self):
        self.guests("ab")
        for line, why in [
                ("", "no such question; there are port, unport, ports, set, "
                     "links, fault, heal, faults, seed, capture, keep, quit"),
                ("port x", "say: port NAME KIND WORDS"),
                ("port a tap x", "there is a port a"),
                ("port x/y tap x", '"x/y" is no name for a port'),
                ("port x radio 1", 'no kind of port "radio"; there are dgram, '
                                   "stream, tap, namespace and relay"),
                ("port x dgram one", "say: port NAME dgram LOCAL REMOTE"),
                (f"port x stream /{'y' * 120}",
                 "the path of a socket has at most 107 bytes"),
                ("port x namespace 10.0.0.1",
                 "say: port NAME namespace ADDRESS/BITS [MAC]"),
                ("port x namespace 10.0.0.1/24 01:00:00:00:00:00",
                 "say: port NAME namespace ADDRESS/BITS [MAC]"),
                ("port x relay 127.0.0.1 127.7.0.1",
                 "say: port NAME relay HOST:PORT VIA"),
                ("unport x", "no such port"),
                ("set a x loss=1%", "no port x"),
                ("set a b", "say what: delay=20ms, loss=1%, cut, ..."),
                ("set a b los=1%", 'no fault "los"'),
                ("fault f a b cut", "say: fault NAME FROM -> TO [for=TIME] "
                                    "WORDS, or <-> for both ways"),
                ("fault f a -> b for=never cut",
                 "for: that is not a time like 10s"),
                ("fault f a -> b for=1s",
                 "say what: delay=20ms, loss=1%, cut, ..."),
                ("fault /f a -> b cut", '"/f" is no name for a fault'),
                ("links a x", "no port x"),
                ("heal a x", "no port x"),
                ("seed x", "say: seed NUMBER"),
                ("capture /nowhere/x", "/nowhere/x: No such file or "
                                       "directory"),
                ("capture x y", "no such port"),
        ]:
            with self.subTest(line=line):
                self.refuses(line, why)
        self.assertEqual(len(self.switch.ok("ports")["items"]), 2)

    def test_a_line_that_never_ends(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.switch.control))
            s.settimeout(5)
            try:
                s.sendall(b"x" * 100000)
                self.assertEqual(s.recv(1), b"")
            except ConnectionError:
                pass
        self.switch.ok("ports")

    def test_ports_have_a_limit_and_go(self):
        folder = self.switch.folder
        for i in range(65):
            self.switch.ok(f"port p{i} dgram {folder}/l{i} {folder}/r{i}")
        self.refuses(f"port more dgram {folder}/l {folder}/r",
                     "65 ports are the most")
        self.switch.ok("unport p7")
        self.assertFalse((folder / "l7").exists())
        self.switch.ok(f"port more dgram {folder}/l {folder}/r")

    def test_links_wait_for_a_port_that_is_away(self):
        self.guests("ab")
        self.switch.ok("set a b loss=1%")
        self.switch.ok("unport b")
        self.switch.ok("fault f a -> b cut")
        self.switch.ok("set a b delay=1ms")
        self.assertEqual(self.switch.ok("links a b")["items"], [])
        folder = self.switch.folder
        self.switch.ok(f"port c dgram {folder}/lc {folder}/rc")
        self.switch.ok(f"port b dgram {folder}/lb {folder}/rb")
        self.assertEqual(self.switch.link("a", "b")["words"],
                         "delay=1ms loss=1% cut")
        self.assertEqual(self.switch.link("a", "c")["words"], "")

    def test_faults_have_a_limit(self):
        self.guests("ab")
        for i in range(256):
            self.switch.ok(f"fault f{i} a -> b for=1h loss=1%")
        self.refuses("fault more a -> b cut", "256 faults are the most")
        self.switch.ok("fault f7 a -> b cut")

    def test_a_second_switch_keeps_away(self):
        again = net.subprocess.run(
            [net.SWITCH, "--control", self.switch.control], check=False,
            capture_output=True, timeout=10)
        self.assertEqual(again.returncode, 75)
        self.assertIn(b"another switch answers there", again.stderr)
        self.switch.ok("ports")


class Captures(SwitchTest):
    @staticmethod
    def blocks(file):
        data, at, found = file.read_bytes(), 0, []
        while at < len(data):
            kind, size = struct.unpack_from("<II", data, at)
            assert size % 4 == 0 and size >= 12
            assert struct.unpack_from("<I", data, at + size - 4)[0] == size
            found.append((kind, data[at + 8:at + size - 4]))
            at += size
        return found

    def frames(self, file):
        """(interface, payload, options) of each frame."""
        found = []
        for kind, body in self.blocks(file):
            if kind == 6:
                place, _, _, size, full = struct.unpack_from("<IIIII", body)
                self.assertEqual(size, full)
                found.append((place, body[34:20 + size],
                              body[20 + (size + 3) // 4 * 4:]))
        return found

    def test_all_ports(self):
        a, b = self.guests("ab")
        file = self.switch.folder / "x.pcapng"
        self.switch.ok(f"capture {file}")
        a.say(b, b"one")
        b.hear()
        self.switch.ok("fault f a -> b cut")
        a.say(b, b"two")
        lab.wait_until(lambda: self.switch.link("a", "b")["cut"] == 1, 5)
        self.switch.ok("capture off")
        kinds = [kind for kind, _ in self.blocks(file)]
        self.assertEqual(kinds[0], 0x0a0d0d0a)
        self.assertIn(b"b\0", self.blocks(file)[2][1])
        one, two = self.frames(file)
        self.assertEqual((one[0], one[1]), (0, b"one"))
        self.assertEqual(two[1], b"two")
        self.assertNotIn(b"lost", one[2])
        self.assertIn(b"b: lost (cut)", two[2])

    def test_one_port_is_what_it_sent_and_got(self):
        a, b, c = self.guests("abc")
        file = self.switch.folder / "x.pcapng"
        self.switch.ok("set a b loss=100%")
        self.switch.ok(f"capture {file} b")
        a.say(b, b"lost")
        c.say(b, b"got")
        b.hear()
        b.say(c, b"sent")
        c.hear()
        a.say(c, b"not its own")
        c.hear()
        self.switch.ok("capture off")
        self.assertEqual([(f[0], f[1]) for f in self.frames(file)],
                         [(1, b"got"), (1, b"sent")])


class Ends(unittest.TestCase):
    def test_signals_and_quit(self):
        for how in (signal.SIGTERM, signal.SIGINT, None):
            with self.subTest(how=how):
                switch = net.Switch()
                guest = switch.guest("a")
                if how is None:
                    switch.ok("quit")
                    self.assertEqual(switch.process.wait(10), 0)
                else:
                    self.assertEqual(switch.end(how), 0)
                self.assertFalse(switch.control.exists())
                self.assertFalse((switch.folder / "s.a").exists())
                guest.close()
                switch.close()

    def test_it_ends_with_its_starter(self):
        switch = net.Switch(lifeline=True)
        switch.hang_up()
        self.assertEqual(switch.process.wait(10), 0)
        self.assertFalse(switch.control.exists())
        switch.close()

    def test_it_is_kept(self):
        switch = net.Switch(lifeline=True)
        switch.ok("keep")
        switch.hang_up()
        time.sleep(0.2)
        switch.ok("ports")
        switch.close()

    def test_it_sleeps(self):
        """A clogged link, a guest that does not read: no reason to spin."""
        switch = net.Switch()
        a, b = switch.guest("a"), switch.guest("b")
        switch.ok("set a b delay=1h")
        for _ in range(100):
            a.say(b, b"x")
            b.say(a, b"x")
        path = f"/proc/{switch.process.pid}/stat"

        def ticks():
            with open(path, encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])

        time.sleep(0.1)
        before = ticks()
        time.sleep(0.5)
        self.assertLessEqual(ticks() - before, 2)
        a.close()
        b.close()
        switch.close()


if __name__ == "__main__":
    lab.main()
