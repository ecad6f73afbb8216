"""The Markdown files of the repository: their lines, their fenced blocks and the commands in them.

The info string of a block says what becomes of it; a rendered page does not show it:

    ```sh run                        scripts/run-docs runs it, in one shell for all blocks of the page
    ```sh run on up                  the same, beside a running `cargo run -- up`
    ```sh run until TEXT             in the background, until its output has TEXT (also: run on up until)
    ```sh not run: REASON
    ```text output                   lines that the block before it prints; see scripts/run-docs

A command of a `run` block that is a step of scripts/ci is run there and nowhere else.
"""

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FENCE = re.compile(r"^(\s*)(```+|~~~+)\s*(.*)$")
MARK = re.compile(r"^sh (?:(?P<run>run)(?P<up> on up)?(?: until (?P<until>.+))?|not run: (?P<reason>.+))$")
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
# Not a parser of the shell: enough to find the programs that the documents start.
SEPARATOR = re.compile(r"&&|\|\||[;|()]|\s&\s")
SUBSTITUTION = re.compile(r"\$\(([^()]*)\)")
PREFIX = re.compile(r"^(?:[A-Za-z_]\w*=\S*|time|env|sudo|then|do|if|until|while|!|\{|scripts/with-\S+)$")


def files(*patterns):
    """The files of the repository with these patterns, whether they are committed or not."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = (ROOT / name for name in sorted(set(listed.split("\0"))) if name)
    return [path for path in paths if path.is_file()]


@dataclass
class Block:
    """A fenced block, without the fence's indentation."""

    line: int
    info: str
    text: str

    @property
    def mark(self):
        """The match of MARK; None where the block is not for a shell, or not marked."""
        return MARK.match(self.info)

    def commands(self):
        """Each logical line with its number."""
        number, parts = self.line, []
        for number, line in enumerate(self.text.split("\n"), self.line + 1):
            parts.append(line.removesuffix("\\"))
            if not line.endswith("\\"):
                yield number - len(parts) + 1, " ".join(parts)
                parts = []


def split(text):
    """The lines outside of fenced blocks (those inside are empty), and the blocks."""
    outside, blocks, fence, indent, inside = [], [], None, 0, []
    for number, line in enumerate(text.split("\n"), 1):
        mark = FENCE.match(line)
        if fence is None and mark:
            indent, fence, inside = len(mark[1]), mark[2], []
            blocks.append(Block(number, mark[3].strip(), ""))
        elif fence is not None and mark and mark[2].startswith(fence) and not mark[3]:
            blocks[-1].text, fence = "\n".join(inside), None
        elif fence is not None:
            inside.append(line[indent:] if not line[:indent].strip() else line)
        else:
            outside.append(line)
            continue
        outside.append("")
    return outside, blocks


def words(command):
    """The words of a command, without its comment."""
    try:
        return shlex.split(command, comments=True)
    except ValueError:
        return command.split()


def programs(line):
    """Each command of a line as words, without what precedes its program."""
    for inner in SUBSTITUTION.findall(line):
        yield from programs(inner)
    for part in SEPARATOR.split(re.sub(r"\s#.*", "", SUBSTITUTION.sub("SUBSTITUTION", line))):
        found = words(part)
        while found and PREFIX.match(found[0]):
            if found[0].startswith("scripts/"):
                yield found[:1]
            found = found[1:]
        if found:
            yield found


def document_commands(outside, blocks):
    """All commands of a document with their lines: of blocks for a shell, and in code spans."""
    for block in blocks:
        if block.info.startswith("sh "):
            for number, line in block.commands():
                yield from ((number, found) for found in programs(line))
    for number, line in enumerate(outside, 1):
        for span in SPAN.findall(line):
            if re.match(r"(?:cargo|redrive|scripts/\S+|bench/\S+) ?", span):
                yield from ((number, found) for found in programs(span))


def ci_step(command):
    """The name of the step of scripts/ci that runs this command, or all tests of which it selects some."""
    text = re.sub(r"\s*\\\n\s*", " ", (ROOT / "scripts/ci").read_text(encoding="utf-8"))
    command = " ".join(re.sub(r"\s#.*", "", command).split())
    if not command:
        return None
    if re.fullmatch(r"cargo test( --workspace| (-p|--test) [\w-]+| --lib| --bins| \w+)*( -- --nocapture)?", command):
        command = "cargo test --workspace"
    function = None
    for line in text.split("\n"):
        function = line.split("(")[0] if re.match(r"\w+\(\) \{", line) else function
        if re.search(rf"(?:^|[\s\"]){re.escape(command)}(?:$| &&| \|\|)", line) and line.lstrip()[0] != "#":
            step = re.search(r"step \"([^\"]+)\"", line)
            step = step or re.search(rf"step \"([^\"]+)\" {re.escape(function or '-')}$", text, re.MULTILINE)
            return step and step[1]
    return None
