"""A wire between two network namespaces that loses and delays IP packets.

Real kernels, real TCP: each namespace has a TUN device, and a thread here
carries packets from one to the other. Needs root and /dev/net/tun. Both
namespaces end with the processes that hold them.

    namespace 0             this process             namespace 1
    10.77.0.1  [tun] ------- delay, loss ------- [tun]  10.77.0.2
"""

import contextlib
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time

import lab

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
TCP = 6
UDP = 17
ADDRESSES = ["10.77.0.1", "10.77.0.2"]


def possible():
    """None, or why there can be no such wire here."""
    if os.geteuid() != 0:
        return "needs root"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun: {error}"
    done = subprocess.run(["unshare", "-n", "true"], check=False,
                          capture_output=True)
    return None if done.returncode == 0 else "no network namespaces"


class Wire:
    """`loss` is a share of packets, `delay` seconds one way; `cut_udp` may be
    a set of directions (0: from namespace 0) in which UDP is swallowed."""

    def __init__(self, seed):
        self.loss = 0.0
        self.delay = 0.0
        self.cut_udp = set()
        self.carried = {UDP: 0, TCP: 0}
        self.payloads = []  # of UDP, while `keep`
        self.keep = False
        self.chance = random.Random(seed)
        self.holders = []
        self.fds = []
        self.stop_read, self.stop_write = os.pipe()
        for side in (0, 1):
            self.add_side(side)
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    def add_side(self, side):
        name = f"mw{os.getpid() % 100000}{side}"
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH14x", name.encode(),
                                               IFF_TUN | IFF_NO_PI))
        self.fds.append(fd)
        holder = subprocess.Popen(
            ["unshare", "-n", "--kill-child", "sleep", "600"],
            stdin=subprocess.DEVNULL)
        self.holders.append(holder)
        own = os.readlink("/proc/self/ns/net")
        lab.wait_until(
            lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != own, 5,
            "the namespace")
        subprocess.run(["ip", "link", "set", name, "netns", str(holder.pid)],
                       check=True)
        self.inside(side, "ip", "link", "set", "lo", "up")
        self.inside(side, "ip", "addr", "add", f"{ADDRESSES[side]}/24", "dev",
                    name)
        self.inside(side, "ip", "link", "set", name, "up", "mtu", "1500")

    def command(self, side, *args):
        """The words that run `args` in a namespace."""
        return ["nsenter", "-t", str(self.holders[side].pid), "-n",
                *[str(a) for a in args]]

    def use_tcp(self, *names):
        """The first of these congestion controls that may be set.
        Returns its name, or None."""
        for name in names:
            done = [subprocess.run(
                self.command(side, "sysctl", "-qw",
                             f"net.ipv4.tcp_congestion_control={name}"),
                check=False, capture_output=True) for side in (0, 1)]
            if all(d.returncode == 0 and not d.stderr for d in done):
                return name
        return None

    def inside(self, side, *args):
        subprocess.run(self.command(side, *args), check=True)

    def accepts(self, side, packet):
        if len(packet) < 20 or packet[0] >> 4 != 4:
            return False
        protocol = packet[9]
        self.carried[protocol] = self.carried.get(protocol, 0) + 1
        if protocol == UDP:
            if self.keep:
                self.payloads.append(packet[28:])
            if side in self.cut_udp:
                return False
        return self.chance.random() >= self.loss

    def carry(self):
        queue, order = [], 0
        while True:
            now = time.monotonic()
            while queue and queue[0][0] <= now:
                _, _, to, packet = heapq.heappop(queue)
                with contextlib.suppress(OSError):
                    os.write(self.fds[to], packet)
            wait = max(0.0, queue[0][0] - now) if queue else 1.0
            ready, _, _ = select.select([*self.fds, self.stop_read], [], [],
                                        wait)
            if self.stop_read in ready:
                return
            now = time.monotonic()
            for side in (0, 1):
                for _ in range(64 if self.fds[side] in ready else 0):
                    try:
                        packet = os.read(self.fds[side], 65536)
                    except OSError:
                        break
                    if self.accepts(side, packet):
                        order += 1
                        heapq.heappush(queue, (now + self.delay, order,
                                               1 - side, packet))

    def close(self):
        os.write(self.stop_write, b"x")
        self.thread.join()
        for fd in [*self.fds, self.stop_read, self.stop_write]:
            os.close(fd)
        for holder in self.holders:
            holder.kill()
            holder.wait()
