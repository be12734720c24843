#!/usr/bin/env python3
"""Writes the corpus of image_fuzz: moves as a second hand would make them from
the description in proto/image.h.

    make_image_corpus.py     writes tests/fuzz/corpus/image_fuzz/
"""

import pathlib
import struct

FRAME, CONTENT, STAYS, GIVEN_UP = range(4)
(PREPARE, PREPARED, REFUSE, COMMIT, COMMIT_ACK, NEVER, ABORT,
 QUERY) = range(1, 9)
(ACTOR, TIMER, PORT_ITEM, MEMBER, HELD, QUEUED, CALL, WATCH, WATCHER, PARCEL,
 STALLED, WAITING, SFLOW, KEPT, RFLOW) = range(1, 16)
SEND, REQUEST, NEWS, REPLY = range(1, 5)
NEVER_NS = (1 << 64) - 1
PORT = 1 << 28
STATIC = 3 << 28


def ui(site, serial, incarnation=1):
    return struct.pack("<QQ", site, incarnation << 32 | PORT | serial)


MOVES = ui(7, 1)
FAR = ui(9, 2)
PI = struct.pack("<III", 1000, 1000, 0)


def frame(kind, part=b"", number=1, parts=1, err=0):
    return struct.pack("<BBHHHQQIIIIQ", 1, kind, err, 0, parts, 7, number, 3, 3,
                       10, 0, 1) + part


def item(kind, fields, data=b""):
    return struct.pack("<BBHII", kind, 0, 0, len(fields), len(data)) \
        + fields + data


def name(text):
    return struct.pack("<B", len(text)) + text


def msg(kind, annex=0, call=0, reply_to=bytes(16), status=0):
    return struct.pack("<BBHIQ", kind, annex, status, 0, call) + reply_to \
        + bytes(16) + PI


def place(site, incarnation=1):
    return struct.pack("<QI", site, incarnation)


def port(enabled=1):
    return item(PORT_ITEM, MOVES + PI + struct.pack("<QIIBB", 77, 10, 4096,
                                                    enabled, 2)
                + struct.pack("<Q", 5))


def held(number, flag, data=b"", annex=0):
    return item(HELD, place(9) + struct.pack("<QQ", 0, number)
                + msg(REQUEST, annex, number, FAR)
                + struct.pack("<QB", 10**9, flag) + place(7 if flag else 0, 3),
                data)


def queued(seq, number=0, data=b"hello", annex=2):
    kind = REQUEST if number else SEND
    return item(QUEUED, FAR + struct.pack("<QQ", seq, number)
                + msg(kind, annex, number, FAR if number else bytes(16))
                + struct.pack("<Q", 10**6), data)


def call(number, site=9, err=0):
    return item(CALL, FAR + place(site) + struct.pack("<QQQHHHB", 0, number,
                                                      10**9, err, 0, 0, 0))


def watch(kind, number, subject=FAR, site=9):
    return item(kind, subject + place(site) + struct.pack("<QQ", 0, number))


def sent(kind, ticket, role, what=SEND, number=0, dest=b"", data=b"",
         to=FAR):
    return item(kind, MOVES + to + struct.pack("<Q", number) + msg(what)
                + struct.pack("<QHHHB", 10**9, 0, 0, 0, 0)
                + struct.pack("<QQBBB", ticket, 42, role, 1, 1) + dest, data)


def flow(kind, base, high, end, returning=0):
    places = place(9) + struct.pack("<Q", 1)
    numbers = struct.pack("<BQQQQQ", returning, 7 if kind == SFLOW else 9, 1,
                          base, high, end)
    if kind == SFLOW:
        return item(kind, MOVES + FAR + places + numbers)
    return item(kind, MOVES + FAR + places + PI + numbers)


def kept(ticket, flag=1, data=b"abc", what=SEND):
    return item(KEPT, msg(what) + struct.pack("<QB", NEVER_NS, flag)
                + struct.pack("<QQBBB", ticket, 0, 0, 0, 0), data)


GROUP = struct.pack("<QQ", 0x1234, STATIC | 5)
MOST = (port() + held(5, 1) + held(6, 0) + queued(3) + queued(4, 6, b"ask", 1)
        + call(8) + call(9, 0) + watch(WATCH, 3)
        + watch(WATCH, 4, ui(9, 0)) + watch(WATCHER, 6))
FLOWS = (sent(PARCEL, 5, 1) + flow(SFLOW, 3, 4, 5) + kept(0, 0, b"")
         + kept(0) + flow(RFLOW, 9, 0, 0))
HEAD = struct.pack("<IBBH", 1, 0, 5, 0) + b"owner" + MOVES \
    + struct.pack("<Q", 1)
FILES = {
    "prepare": (FRAME, frame(PREPARE, b"content")),
    "parts": (FRAME, frame(PREPARE, b"part", parts=4096)),
    "refuse": (FRAME, frame(REFUSE, err=18)),
    "commit": (FRAME, frame(COMMIT, number=NEVER_NS)),
    "query": (FRAME, frame(QUERY)),
    "head": (CONTENT, HEAD),
    "actor": (CONTENT, struct.pack("<IBBH", 0, 1, 0, 0)
              + item(ACTOR, name(b"counter") + name(b"counter"), b"\7" * 8)
              + item(TIMER, struct.pack("<QQ", 1, 10**9))),
    "content": (CONTENT, HEAD + MOST + FLOWS),
    "port": (STAYS, port()),
    "port_given_up": (GIVEN_UP, port(0)),
    "most": (STAYS, MOST),
    "most_given_up": (GIVEN_UP, MOST),
    "flows": (STAYS, port() + flow(SFLOW, 3, 4, 5) + kept(0, 0, b"")
              + kept(0) + flow(RFLOW, 9, 0, 0)),
    "flows_given_up": (GIVEN_UP, port() + flow(SFLOW, 3, 4, 5)
                       + kept(0, 0, b"") + kept(0) + flow(RFLOW, 9, 0, 0)),
    "group": (STAYS, port() + item(MEMBER, GROUP + name(b""))),
    "stalled": (STAYS, port() + sent(STALLED, 5, 1, data=b"x")),
    "waiting": (STAYS, port() + sent(WAITING, 5, 1, dest=GROUP + bytes(16)
                                     + b"\0\1", data=b"x", to=bytes(16))),
    "waiting_given_up": (GIVEN_UP, port()
                         + sent(WAITING, 5, 1, dest=GROUP + bytes(16)
                                + b"\0\1", data=b"x", to=bytes(16))),
    "parcel": (GIVEN_UP, port() + sent(PARCEL, 5, 1) + flow(SFLOW, 3, 4, 4)
               + kept(0)),
    "call_leg": (GIVEN_UP, port() + call(8, 0)
                 + sent(PARCEL, 5, 3, REQUEST, 8)),
    "call_given_up": (STAYS, port() + call(8, 0, 3)
                      + sent(STALLED, 5, 3, REQUEST, 8)),
    "call_half": (STAYS, port() + call(8, 0, 3)),
    "held_half": (STAYS, port() + held(6, 0)),
    "void_with_bytes": (STAYS, port() + flow(SFLOW, 3, 4, 4) + kept(0, 0)),
    "watch_leg": (STAYS, port() + watch(WATCH, 3, FAR, 0)
                  + sent(PARCEL, 5, 5, 7, 3)),
    "parts_of_one": (GIVEN_UP, port() + sent(PARCEL, 5, 2, number=1)
                     + sent(PARCEL, 6, 2, number=1)),
}


def main():
    folder = pathlib.Path(__file__).resolve().parent / "corpus" / "image_fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    for label, (mode, content) in FILES.items():
        (folder / label).write_bytes(bytes([mode]) + content)
    print(f"{len(FILES)} files")


if __name__ == "__main__":
    main()
