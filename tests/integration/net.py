"""motet-switch by itself: started, asked, and guests that speak Ethernet."""

import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import lab

SWITCH = lab.BIN / "motet-switch"
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def can_make_namespaces():
    """Root, network namespaces and TAP devices; else a word that says what is
    missing."""
    if os.geteuid() != 0:
        return "not root"
    if not os.access("/dev/net/tun", os.W_OK):
        return "no /dev/net/tun"
    done = subprocess.run(["unshare", "-n", "true"], check=False,
                          capture_output=True)
    return None if done.returncode == 0 else "no network namespaces"


@contextlib.contextmanager
def inside(netns):
    """This thread in another network namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(netns, os.O_RDONLY)
    try:
        if LIBC.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), netns)
        yield
    finally:
        if LIBC.setns(home, CLONE_NEWNET) != 0:
            os._exit(70)
        os.close(home)
        os.close(there)


def socket_in(netns, kind):
    """A socket of that network."""
    with inside(netns):
        return socket.socket(socket.AF_INET, kind)


class Switch:
    """The program, with a folder of its own. Ends with the test."""

    def __init__(self, seed=1, lifeline=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="msw-", dir="/tmp"))
        self.control = self.folder / "ctl"
        args = [SWITCH, "--control", self.control, "--seed", str(seed)]
        self.lifeline = None
        keep = []
        if lifeline:
            far, self.lifeline = os.pipe()
            os.set_inheritable(far, True)
            args += ["--starter", str(far)]
            keep = [far]
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(args, stderr=self.log, pass_fds=keep)
        for fd in keep:
            os.close(fd)
        lab.wait_until(self.connect, 10, "the switch answers")

    def connect(self):
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text())
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.connect(str(self.control))
        except OSError:
            self.socket.close()
            return False
        self.file = self.socket.makefile("rw")
        return True

    def ask(self, line):
        self.file.write(line + "\n")
        self.file.flush()
        return json.loads(self.file.readline())

    def ok(self, line):
        answer = self.ask(line)
        if answer["ok"] is not True:
            raise AssertionError(f"{line}: {answer}")
        return answer

    def link(self, a, b):
        return self.ok(f"links {a} {b}")["items"][0]

    def port(self, name):
        return {p["name"]: p for p in self.ok("ports")["items"]}[name]

    def hang_up(self):
        os.close(self.lifeline)
        self.lifeline = None

    def guest(self, name, number=None):
        return Guest(self, name, number or ord(name[-1]))

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(10)

    def close(self):
        """Whatever has happened to it, nothing of it stays."""
        for end in (self.file, self.socket):
            with contextlib.suppress(OSError):
                end.close()
        code = self.end()
        self.log.close()
        text = (self.folder / "log").read_text()
        if self.lifeline is not None:
            self.hang_up()
        shutil.rmtree(self.folder, ignore_errors=True)
        if code != 0 or lab.FAULT.search(text):
            raise AssertionError(f"the switch ended with {code}: {text}")


class Guest:
    """A virtual machine, as the switch sees it: frames over a unix socket."""

    def __init__(self, switch, name, number):
        self.name = name
        self.mac = bytes([2, 0, 0, 0, 0, number])
        here, there = switch.folder / f"g.{name}", switch.folder / f"s.{name}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(str(here))
        switch.ok(f"port {name} dgram {there} {here}")
        self.socket.connect(str(there))

    def say(self, to, text=b"", kind=0x88b5):
        """To a guest, or with None to all."""
        mac = b"\xff" * 6 if to is None else to.mac
        self.socket.send(mac + self.mac + struct.pack(">H", kind) + text)

    def hear(self, seconds=2.0):
        """The next frame: who sent it, and what; None if there is none."""
        self.socket.settimeout(seconds)
        try:
            frame = self.socket.recv(65536)
        except (TimeoutError, BlockingIOError):
            return None
        return frame[6:12], frame[14:]

    def hear_all(self, quiet=0.1):
        heard = []
        while (got := self.hear(quiet)) is not None:
            heard.append(got[1])
        return heard

    def close(self):
        self.socket.close()


class Echo:
    """A TCP server of the host, and its answers: what it gets."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.accepted = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                one, _ = self.server.accept()
                self.accepted.append(one)
                threading.Thread(target=self.echo, args=[one],
                                 daemon=True).start()

    @staticmethod
    def echo(one):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                one.sendall(data)
            one.shutdown(socket.SHUT_WR)

    def close(self):
        self.server.close()
        for one in self.accepted:
            one.close()


def took(function, *args):
    start = time.monotonic()
    result = function(*args)
    return time.monotonic() - start, result
