#!/usr/bin/env python3
"""Writes the corpus of attach_fuzz: packets as a second hand would make them
from the description in proto/attach.h. The first byte says who sent it.

    make_attach_corpus.py     writes tests/fuzz/corpus/attach_fuzz/
"""

import pathlib
import struct

CLIENT, SITE = b"\0", b"\1"
MORE, CONT, VOID = 1, 2, 4
(HELLO, BYE, PORT_NEW, PORT_END, PORT_SET, PORT_INFO, GROUP_NEW, GROUP_INSERT,
 GROUP_REMOVE, GROUP_LIST, SEND, CALL, RECEIVE, RECEIVE_STOP, REPLY, FORWARD,
 CANCEL, WATCH, UNWATCH, ACTOR_FIND, ADOPTS) = range(1, 22)
(RESULT, SENT, CALL_DONE, DELIVER, RECEIVE_END, ROOM, CANCELLED, PORT_GONE,
 GONE, PORT_ADOPTED, PORT_MOVED, FROZEN) = range(64, 76)
FOREVER = 0xFFFFFFFF
MAGIC = 0x7474616D


def frame(op, ident, fields=b"", payload=b"", flags=0):
    size = len(fields) + len(payload)
    return struct.pack("<BBHIQ", op, flags, 0, size, ident) + fields + payload


def ui(number):
    return struct.pack("<QQ", 0x5F0C2E81, number)


def name(text):
    return bytes([len(text)]) + text


def cap(number):
    return ui(number) + struct.pack("<Q", 99)


def dest(number, mode=0):
    return ui(number) + ui(0) + bytes([mode, 0])


def attr(enabled=1, priority=5):
    return bytes([enabled, priority]) + struct.pack("<II", 10, 1000)


def u16(value):
    return struct.pack("<H", value)


def u32(value):
    return struct.pack("<I", value)


def u64(value):
    return struct.pack("<Q", value)


def payload(annex, body, total=None):
    whole = annex + body
    count = len(whole) if total is None else total
    return bytes([len(annex)]) + u32(count), whole


def with_payload(op, ident, fields, annex, body):
    head, whole = payload(annex, body)
    return frame(op, ident, fields + head, whole)


def delivery(held, news):
    fields = ui(1) + ui(2) + ui(0) + u32(1000) + u32(1000) + u32(0)
    fields += u64(held) + u64(7) + u32(500) + u32(news) + u64(3) + ui(4)
    return with_payload(DELIVER, 12, fields, b"", b"" if news else b"hello")


def requests():
    return b"".join([
        frame(PORT_NEW, 2, attr()),
        frame(PORT_SET, 3, ui(1) + attr(0, 9)),
        frame(PORT_INFO, 4, ui(1)),
        frame(GROUP_NEW, 5, name(b"echo")),
        frame(GROUP_INSERT, 6, cap(1) + ui(2)),
        frame(GROUP_LIST, 7, ui(1) + u32(3)),
        frame(RECEIVE, 8, ui(0) + u32(FOREVER)),
        frame(RECEIVE_STOP, 8),
        frame(FORWARD, 9, u64(5) + dest(6)),
        frame(CANCEL, 10, u64(8)),
        frame(WATCH, 11, ui(1) + ui(2)),
        frame(UNWATCH, 12, u64(3)),
        frame(ACTOR_FIND, 13, name(b"paris/echo")),
        frame(ADOPTS, 17, b"\1"),
        frame(GROUP_REMOVE, 14, cap(1) + ui(2)),
        frame(PORT_END, 15, ui(1)),
        frame(BYE, 16),
    ])


def large():
    body = bytes(range(256)) * 80  # 20,480: more than the least chunk
    head, _ = payload(b"", b"", total=2 * len(body))
    begin = frame(CALL, 9, ui(1) + dest(2) + u32(1000) + head, body, MORE)
    return begin + frame(CALL, 9, b"", body, CONT)


def taken_back():
    body = bytes(20000)
    head, _ = payload(b"", b"", total=99999)
    fields = ui(1) + dest(2) + u32(0) + b"\1" + head
    return frame(SEND, 9, fields, body, MORE) + frame(SEND, 9, b"", b"",
                                                      CONT | VOID)


def results():
    members = bytes([2]) + (ui(1) + u64(2)) + (ui(3) + u64(4))
    info = ui(1) + name(b"bench") + attr() + u32(1) + u32(2) + u32(3) + u64(4)
    good = [
        (HELLO, ui(1) + ui(2) + u32(1 << 24) + name(b"paris")),
        (PORT_NEW, cap(3)),
        (PORT_INFO, info + u64(9)),
        (GROUP_LIST, members),
        (WATCH, u64(4)),
        (ACTOR_FIND, ui(5)),
        (PORT_END, b""),
    ]
    out = [frame(RESULT, 3 + i, bytes([op]) + u16(0) + more)
           for i, (op, more) in enumerate(good)]
    return b"".join(out) + frame(RESULT, 99, bytes([PORT_NEW]) + u16(16))


def events():
    return b"".join([
        frame(SENT, 3, u16(1)),
        frame(RECEIVE_END, 4, u16(2)),
        frame(ROOM, 0, ui(1) + ui(2)),
        frame(CANCELLED, 0, u64(3) + ui(1)),
        frame(PORT_GONE, 0, ui(1)),
        frame(GONE, 0, u16(29)),
    ])


def moves():
    return b"".join([
        frame(FROZEN, 0, b"\1"),
        frame(SENT, 3, u16(39)),
        frame(PORT_MOVED, 0, ui(1)),
        frame(FROZEN, 0, b"\0"),
        frame(PORT_ADOPTED, 0, cap(1) + attr() + u64(12)),
        frame(RESULT, 5, bytes([ADOPTS]) + u16(0)),
    ])


FILES = {
    "hello": CLIENT + frame(HELLO, 1, u32(MAGIC) + u32(2) + name(b"")),
    "named": CLIENT + frame(HELLO, 1, u32(MAGIC) + u32(2) + name(b"web")),
    "requests": CLIENT + requests(),
    "send": CLIENT + with_payload(SEND, 9, ui(1) + dest(2, 4) + u32(50) +
                                  b"\0", b"annex", b"body"),
    "reply": CLIENT + with_payload(REPLY, 9, u16(0), b"", b"body"),
    "large": CLIENT + large(),
    "taken_back": CLIENT + taken_back(),
    "results": SITE + results(),
    "delivery": SITE + delivery(5, 0) + delivery(0, 1),
    "call_done": SITE + with_payload(CALL_DONE, 8, u16(0) + ui(1), b"a", b"b"),
    "events": SITE + events(),
    "moves": SITE + moves(),
    "adopts": CLIENT + frame(ADOPTS, 2, b"\0"),
    "adopts_bad": CLIENT + frame(ADOPTS, 2, b"\2"),
}


def main():
    folder = pathlib.Path(__file__).resolve().parent / "corpus/attach_fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    for title, data in FILES.items():
        (folder / title).write_bytes(data)
    print(f"{len(FILES)} files")


if __name__ == "__main__":
    main()
