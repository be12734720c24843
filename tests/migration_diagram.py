#!/usr/bin/env python3
"""Draws the rules of a move (sites/core/migration_rules.h) for the manual.

    migration_diagram.py              prints the block: a diagram, and all rules
    migration_diagram.py --write      puts it into docs/MIGRATION.md
    migration_diagram.py --check      fails when the block there is another one
    migration_diagram.py --self-test  proves that it reads all, and that an old
                                      block is found
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RULES = ROOT / "sites/core/migration_rules.h"
MANUAL = ROOT / "docs/MIGRATION.md"
BEGIN = "<!-- rules: made by tests/migration_diagram.py --write -->\n"
END = "<!-- end of rules -->\n"


def rows(text, name):
    """The rows of an X-macro, as tuples of their columns."""
    macro = re.search(rf"#define {name}\(X\)((?:.*\\\n)*.*)\n", text)
    if macro is None:
        sys.exit(f"{RULES.name}: no {name}")
    found = []
    for row in re.findall(r'\bX\(((?:[^()"]|"[^"]*")*)\)', macro.group(1)):
        cells = re.findall(r'"[^"]*"|\w+', row)
        found.append(tuple(c.strip('"') for c in cells))
    if len(found) != len(re.findall(r"\bX\(", macro.group(1))):
        sys.exit(f"{RULES.name}: {name}: a row cannot be read")
    return found


def check_names(states, events, rules):
    """Every name in a rule is in its list, every state and event in a rule."""
    for state, event, then, _, _ in rules:
        for name, names in ((state, states), (event, events), (then, states)):
            if name not in names:
                sys.exit(f"{RULES.name}: no such state or event: {name}")
    for event in events:
        if event not in {r[1] for r in rules}:
            sys.exit(f"{RULES.name}: no rule for {event}")


def diagram(states, rules):
    edges = {}
    for state, event, then, frame, _ in rules:
        if state != then:
            label = event if frame == "NOTHING" else f"{event} / {frame}"
            edges.setdefault((state, then), []).append(label)
    yield "```mermaid"
    yield "stateDiagram-v2"
    for name in states:
        yield f"    {name}"
    for (state, then), labels in edges.items():
        yield f"    {state} --> {then} : {'<br/>'.join(labels)}"
    yield "```"


def table(head, body):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in body:
        yield "| " + " | ".join(row) + " |"


def block(text):
    states = dict(rows(text, "MIG_STATES"))
    events = dict(rows(text, "MIG_EVENTS"))
    rules = rows(text, "MIG_RULES")
    check_names(states, events, rules)
    lines = [*diagram(states, rules), ""]
    lines += [*table(("state", "means"), states.items()), ""]
    lines += table(
        ("state", "when", "next", "sends", "that is"),
        [
            (s, events[e], t, "-" if f == "NOTHING" else f, what)
            for s, e, t, f, what in rules
        ],
    )
    return "\n".join(lines) + "\n"


def replaced(manual, new):
    """The manual with its block replaced."""
    before, begin, rest = manual.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{MANUAL.name}: the marks of the block are missing")
    return before + begin + new + end + after


def self_test(text, manual):
    new = block(text)
    for rule in rows(text, "MIG_RULES"):
        assert rule[4] in new, rule
    assert replaced(manual, "old\n") != replaced(manual, new)
    changed = text.replace("X(FRZ,  PREPARED,    FWD,", "X(FRZ, PREPARED, OWN,")
    assert changed != text and block(changed) != new
    for wrong in ("X(FRZ,  PREPARED,", "X(ACKED,"):
        try:
            block(text.replace(wrong, wrong.replace("ED,", "Y,"), 1))
        except SystemExit:
            continue
        raise AssertionError(wrong)
    print("self-test: all found")


def main():
    mode = sys.argv[1:]
    text = RULES.read_text(encoding="utf-8")
    if not mode:
        print(block(text), end="")
        return
    manual = MANUAL.read_text(encoding="utf-8")
    if mode == ["--self-test"]:
        self_test(text, manual)
        return
    new = replaced(manual, block(text))
    if mode == ["--write"]:
        MANUAL.write_text(new, encoding="utf-8")
    elif mode == ["--check"]:
        if new != manual:
            sys.exit(
                "docs/MIGRATION.md is not what the rules say: run "
                "tests/migration_diagram.py --write"
            )
        print("docs/MIGRATION.md: the rules are current")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
