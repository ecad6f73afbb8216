"""The patches of tests/mutations, and the tests that docs/guarantees.md names."""

import functools
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from command_checks import selection
from documents import ROOT, files

FUNCTION = re.compile(r"\bfn\s+(\w+)\s*\(")
NAME = re.compile(r"`(\w+)`")


@dataclass
class Patch:
    """A change that takes out one safeguard, and the tests that fail with it."""

    path: Path
    title: str
    red: list
    suites: list
    command: list

    @property
    def name(self):
        return self.path.stem

    def applies(self):
        """Whether the files are still what the patch changes."""
        command = ["git", "apply", "--check", str(self.path)]
        return subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


def patches():
    """All patches by name."""
    return {path.stem: read(path) for path in sorted((ROOT / "tests/mutations").rglob("*.patch"))}


def read(path):
    """A patch with the lines before its first file."""
    header = path.read_text(encoding="utf-8").split("\ndiff --git ")[0].split("\n--- ")[0]
    fields = dict(re.findall(r"^(Red|Suites|Command): (.+(?:\n .+)*)", header, re.MULTILINE))
    red = re.split(r",\s*", fields.get("Red", "").strip())
    if not all(red):
        raise SystemExit(f"{path}: a line `Red: TEST, TEST…` must name the tests that fail with it")
    suites = fields["Suites"].split() if "Suites" in fields else selections(red)
    command = fields.get("Command", "cargo test --workspace").split()
    return Patch(path, header.strip().split("\n")[0], red, suites, command)


@functools.lru_cache(maxsize=None)
def targets():
    """The options of cargo test for the targets that have a function of each name."""
    options = {}
    for path in files("*.rs"):
        for name in FUNCTION.findall(path.read_text(encoding="utf-8")):
            options.setdefault(name, set()).add(selection(path))
    return options


def selections(names):
    """The options of cargo test for the targets that have these tests."""
    options = set().union(*(targets().get(name, set()) for name in names))
    return [word for option in sorted(options) for word in option.split()]


def guaranteed_tests():
    """The tests in the tables of docs/guarantees.md, in their order."""
    rows = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8").split("\n")
    cells = [row.rstrip().rstrip("|").rpartition("|")[2] for row in rows if row.startswith("|")]
    return list(dict.fromkeys(name for cell in cells for name in NAME.findall(cell) if name.count("_") > 2))


def without_patch(known):
    """The tests of docs/guarantees.md that no patch makes fail."""
    red = {name for patch in known.values() for name in patch.red}
    return [name for name in guaranteed_tests() if name not in red]


def mutation_errors(functions):
    """One text for each patch that is out of date, and for each guarantee without one."""
    known = patches()
    yield from (f"docs/guarantees.md: no patch of tests/mutations makes {name} fail" for name in without_patch(known))
    for patch in known.values():
        place = patch.path.relative_to(ROOT)
        yield from (f"{place}: no test is called {name}" for name in patch.red if name not in functions)
        if not patch.applies():
            yield f"{place}: cannot be applied: bring it up to date"
