#!/usr/bin/env python3
"""Checks the schemas: protobuf-c has no limit of depth, so that a message that
contains itself would let a peer overflow the stack.

    check_proto.py PROTOC FILE.proto...   proto2; no message that contains
                                          itself; no map, group, extension
    check_proto.py PROTOC --self-test     proves that each breach is found

Works on the descriptors as the compiler (protoc-c or protoc) writes them.
"""

import pathlib
import subprocess
import sys
import tempfile

GROUP, MESSAGE = 10, 11


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """The fields of a protobuf message, as (number, value)."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"unexpected wire type {tag & 7}")
        yield tag >> 3, value


def pick(data, number):
    return [value for n, value in fields(data) if n == number]


def text(data, number):
    return b"".join(pick(data, number)).decode()


def messages(descriptor, scope):
    """Yields (full name, DescriptorProto), the nested ones too."""
    name = f"{scope}.{text(descriptor, 1)}"
    yield name, descriptor
    for nested in pick(descriptor, 3):
        yield from messages(nested, name)


def judge_field(name, field, contains):
    kind = pick(field, 5)[0]
    if kind == GROUP:
        yield f"{name}.{text(field, 1)}: a group"
    if kind == MESSAGE:
        contains[name].append(text(field, 6))


def judge_message(name, descriptor, contains):
    contains[name] = []
    if pick(descriptor, 5) or pick(descriptor, 6):
        yield f"{name}: extensions"
    for options in pick(descriptor, 7):
        if pick(options, 7) == [1]:
            yield f"{name}: a map"
    for field in pick(descriptor, 2):
        yield from judge_field(name, field, contains)


def judge(descriptor_set):
    """Yields what is wrong; the last item is the number of messages."""
    contains = {}
    for file in pick(descriptor_set, 1):
        package = text(file, 2)
        scope = f".{package}" if package else ""
        if text(file, 12) not in ("", "proto2"):
            yield f"{text(file, 1)}: not proto2"
        if pick(file, 7):
            yield f"{text(file, 1)}: extensions"
        for descriptor in pick(file, 4):
            for name, message in messages(descriptor, scope):
                yield from judge_message(name, message, contains)
    for name in contains:
        reached, todo = set(), list(contains[name])
        while todo:
            inner = todo.pop()
            if inner not in reached:
                reached.add(inner)
                todo += contains[inner]
        if name in reached:
            yield f"{name}: contains itself"
    yield len(contains)


def check(protoc, root, files):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "set"
        subprocess.run(
            [
                protoc,
                f"--proto_path={root}",
                "--include_imports",
                f"--descriptor_set_out={out}",
                *files,
            ],
            check=True,
        )
        *found, count = judge(out.read_bytes())
    return found, count


TWO = 'syntax = "proto2"; '
CASES = [
    (True, TWO + "message A { optional B b = 1; } message B {}"),
    (True, TWO + "message A { repeated B b = 1; optional B c = 2; } message B {}"),
    (True, TWO + "package x; message A { message B {} optional B b = 1; }"),
    (False, TWO + "message A { optional A a = 1; }"),
    (False, TWO + "package x.y; message A { repeated A a = 1; }"),
    (False, TWO + "message A { optional B b = 1; } message B { repeated A a = 1; }"),
    (False, TWO + "message A { message B { optional A a = 1; } optional B b = 1; }"),
    (False, TWO + "message A { oneof o { A a = 1; int32 b = 2; } }"),
    (False, TWO + "message A { map<int32, int32> m = 1; }"),
    (False, TWO + "message A { optional group G = 1 {} }"),
    (False, TWO + "message A { extensions 100 to 199; }"),
    (False, 'syntax = "proto3"; message A { int32 a = 1; }'),
]


def self_test(protoc):
    wrong = 0
    for good, schema in CASES:
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "a.proto"
            file.write_text(schema, encoding="utf-8")
            found, _ = check(protoc, folder, [file])
        if good != (not found):
            print(f"wrongly judged: {schema}: {found}")
            wrong += 1
    print(f"{len(CASES)} cases, {wrong} wrongly judged")
    return wrong == 0


def main():
    protoc, *files = sys.argv[1:]
    if files == ["--self-test"]:
        return 0 if self_test(protoc) else 1
    root = pathlib.Path(__file__).resolve().parent.parent
    found, count = check(protoc, root, files)
    for line in found:
        print(line)
    print(f"{count} messages, {len(found)} breaches")
    return 1 if found or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
