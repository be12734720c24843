#!/usr/bin/env python3
"""Writes the corpus of wire_fuzz: frames as a second hand would make them from
the description in proto/wire.h.

    make_wire_corpus.py     writes tests/fuzz/corpus/wire_fuzz/
"""

import pathlib
import struct

STRANGER, KNOWN, CTL = 0, 1, 2
HELLO, REFUSE, BIND, UNBOUND, DATA, ACK, MOVED, CTL_FRAME = range(1, 9)
PING, PONG, BYE = range(9, 12)
PORT = 1 << 28


def frame(kind, body=b"", flags=0):
    return struct.pack("<BBHI", kind, flags, 0, len(body)) + body


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def fixed(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def piece(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def data(flags, kind, seq, total, offset, body, annex=0, extension=b""):
    head = struct.pack("<IHBBQII", 7, 1, annex, kind, seq, total, offset)
    return frame(DATA, head + extension + body, flags)


def extension(call, status=0):
    return struct.pack("<QQQQQIHH", call, 1, PORT | 1, 9, 9, 250, status, 0)


def hello():
    return frame(
        HELLO,
        number(1, 1) + number(2, 1) + fixed(3, 11) + number(4, 1700000000)
        + fixed(5, 12) + number(6, 3) + number(7, 1) + number(8, 1)
        + number(9, 1) + number(10, 4) + fixed(11, 11) + number(12, 1 << 24)
        + number(13, 5) + piece(14, b"paris") + piece(15, b"demo")
        + piece(16, b"127.0.0.1:7400"),
    )


def bind(flags):
    ends = struct.pack("<QQQQ", 11, 1 << 32 | PORT | 1, 12, 1 << 32 | PORT | 2)
    return frame(
        BIND,
        struct.pack("<I", 7) + ends + struct.pack("<IIIQQQQQ", 1000, 1000, 0, 1, 1, 1, 11, 1),
        flags,
    )


def update(site, state, name):
    return (
        fixed(1, site) + number(2, 3) + number(3, 1) + number(4, state)
        + piece(5, name) + piece(6, b"h:1")
    )


def member(kind, updates):
    body = number(1, kind) + number(2, 9) + fixed(3, 12) + number(4, 1)
    return piece(1, body + b"".join(piece(5, u) for u in updates))


def record(kind, version, group=b""):
    return (
        number(1, kind) + number(2, 1) + number(3, version) + fixed(4, 11)
        + fixed(5, 1 << 32 | PORT | version) + group
    )


def delta(records):
    body = (
        number(1, 1) + fixed(2, 11) + number(3, 3) + number(4, 1) + number(5, 9)
        + number(6, 1) + number(7, 1)
    )
    return piece(2, body + b"".join(piece(8, r) for r in records))


def digest(entries):
    body = number(1, 2) + number(9, 1)
    for author, version in entries:
        body += piece(10, fixed(1, author) + number(2, 3) + number(3, version))
    return piece(2, body)


GROUP = fixed(6, 11) + fixed(7, 1 << 32 | 2 << 28 | 5)
FILES = {
    "hello": (STRANGER, hello()),
    "refuse": (STRANGER, frame(REFUSE, number(1, 22) + number(2, 9) + piece(3, b"paris"))),
    "bind": (KNOWN, bind(0) + bind(3)),
    "unbound": (KNOWN, frame(UNBOUND, struct.pack("<I", 7))),
    "send": (KNOWN, data(4, 1, 1, 5, 0, b"hello", annex=2)),
    "request": (KNOWN, data(0x80, 2, 2, 4, 0, b"ping", 0, extension(3))),
    "fragments": (
        KNOWN,
        data(0x81, 4, 3, 6, 0, b"rep", 1, extension(3))
        + data(0x80, 4, 3, 6, 3, b"ly.", 1, extension(3)),
    ),
    "news": (KNOWN, data(0x80, 3, 4, 0, 0, b"", 0, extension(1, 1))),
    "void": (KNOWN, data(2, 0, 5, 0, 0, b"")),
    "ack": (KNOWN, frame(ACK, struct.pack("<IHHQQI", 7, 1, 0, 4, 20, 65536), 3)),
    "moved": (KNOWN, frame(MOVED, struct.pack("<IIQQQ", 7, 3, 12, 2, 4))),
    "ping": (
        KNOWN,
        frame(PING, bytes(8)) + frame(PONG, bytes(range(8))) + frame(BYE),
    ),
    "ctl": (KNOWN, frame(CTL_FRAME, member(1, []))),
    "member": (CTL, member(5, [update(11, 1, b"paris"), update(12, 3, b"")])),
    "delta": (CTL, delta([record(2, 2), record(1, 3, GROUP), record(1, 4, GROUP)])),
    "digest": (CTL, digest([(11, 4), (12, 900)])),
    "parts": (CTL, member(1, [update(11, 1, b"a")]) + member(1, [update(12, 2, b"b")])),
}


def main():
    folder = pathlib.Path(__file__).resolve().parent / "corpus" / "wire_fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (mode, content) in FILES.items():
        (folder / name).write_bytes(bytes([mode]) + content)
    print(f"{len(FILES)} files")


if __name__ == "__main__":
    main()
