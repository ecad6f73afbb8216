"""Checks the commands and paths of a document."""

import functools
import json
import re
import subprocess
from pathlib import Path

from documents import ROOT, SPAN, document_commands, files, programs

OUTPUT_OR_RESOURCE = re.compile(r"\b(?:output|resource) ([A-Z]\w+)|\bparameter-overrides ([A-Z]\w+)=")
PARAMETER = re.compile(r"\"([A-Z]\w+)=")
LANGUAGES = {"mermaid", "json", "toml", "text", "text output", "text output, other numbers"}
PATH = re.compile(r"^[\w.-]+(?:/[\w.-]+)+/?$")
PLACEHOLDER = re.compile(r"[A-Z]{2}|…|\.\.\.|[<>*$]")
EXTENSION = re.compile(r"\.(?:rs|toml|yaml|yml|json|jsonl|md|py|mjs|js|png)$")
ELSEWHERE = ("target/", ".aws-sam/", "./")
PROGRAMS = {"aws", "cargo", "curl", "docker", "python3", "redrive", "sam", "sudo", "pip"}


@functools.lru_cache(maxsize=None)
def workspace():
    """The workspace's packages, binaries, test targets and features, by these words."""
    command = ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    names = {"package": set(), "bin": set(), "test": set(), "feature": set(), "source": {}, "needs": set()}
    for package in metadata["packages"]:
        names["package"].add(package["name"])
        names["feature"].update(f"{package['name']}/{feature}" for feature in package["features"])
        for target in package["targets"]:
            kind, source = target["kind"][0], Path(target["src_path"])
            names.setdefault(kind, set()).add(target["name"])
            names["needs"].update([target["name"]] if target.get("required-features") else [])
            option = {"lib": "--lib", "bin": "--bins"}.get(kind, f"--test {target['name']}")
            names["source"][source] = option
            # Beside a lib.rs, main.rs is a binary of one file.
            if source.stem == "lib" or source.stem == "main" and not source.with_name("lib.rs").exists():
                names["source"][source.parent] = option
    return names


def selection(path):
    """The option of cargo test for the target to which a file in Rust belongs."""
    sources = workspace()["source"]
    return next((sources[folder] for folder in (path, *path.parents) if folder in sources), "")


@functools.lru_cache(maxsize=None)
def tracked():
    """The files of the repository and their folders, relative to its root."""
    names = {path.relative_to(ROOT) for path in files()}
    return {str(name) for name in names} | {str(folder) for name in names for folder in name.parents}


def exists(name):
    """Whether a path leads somewhere, from the root or from a folder that the text has named."""
    name = name.rstrip("/")
    return name in tracked() or any(known.endswith(f"/{name}") for known in tracked())


def cargo_errors(arguments, known):
    """One text for each name in the arguments of cargo that is none."""
    names, kind, filters = workspace(), {"-p": "package", "--package": "package", "--bin": "bin",
                                         "--test": "test", "--features": "feature"}, []
    own = arguments.index("--") if "--" in arguments else len(arguments)
    options = iter(arguments[1:own])
    for option in options:
        name, _, value = option.partition("=")
        if name in kind:
            value = value or next(options, "")
            if value not in names[kind[name]] and not PLACEHOLDER.search(value):
                yield f"no {kind[name]} of the workspace is called {value}"
            if name == "--test" and value in names["needs"] and "--features" not in arguments:
                yield f"the test target {value} needs --features"
        elif name in ("--profile", "--target", "--data-file", "--env-file", "--root"):
            next(options, None)
        elif not name.startswith("-"):
            filters.append(name)
    if arguments[:1] == ["test"]:
        for name in filters:
            if not PLACEHOLDER.search(name) and not any(name in test for test in known):
                yield f"the name of no test and no module has {name} in it"


def path_errors(found):
    """One text for each path among the words of a command that leads nowhere."""
    for word in found:
        word = word.lstrip("@").removeprefix("file://")
        if PATH.match(word) and not PLACEHOLDER.search(word) and not word.startswith(ELSEWHERE):
            inside = word.split("/")[0] in tracked()
            if (inside or EXTENSION.search(word)) and not exists(word):
                yield f"{word}: no such file"


@functools.lru_cache(maxsize=None)
def in_template():
    """The keys of the sections of template.yaml: parameters, resources, outputs and so on."""
    return set(re.findall(r"^  (\w+):", (ROOT / "template.yaml").read_text(encoding="utf-8"), re.MULTILINE))


def block_errors(block):
    """One text for each mistake in the info string or the text of a block."""
    for match in (PARAMETER if block.info == "toml" else OUTPUT_OR_RESOURCE).finditer(block.text):
        if not set(filter(None, match.groups())) <= in_template():
            yield f"template.yaml has no parameter, resource or output for {match[0]}"
    if not block.info.startswith("sh"):
        first = re.match(r"\s*(\S*)", block.text)[1]
        if block.info not in LANGUAGES:
            yield f"the block does not say what it is: sh run; sh not run: REASON; {'; '.join(sorted(LANGUAGES))}"
        elif first in PROGRAMS or first.startswith("scripts/"):
            yield "a block of commands says sh run, or sh not run: REASON"
    elif not block.mark:
        yield "a block of commands says sh run, sh run on up, sh run until TEXT, or sh not run: REASON"
    else:
        parsed = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
        if parsed.returncode:
            yield f"bash does not take the block: {parsed.stderr.strip()}"


def group_errors(outside, blocks, known):
    """Lines and texts of tests in a table that the cargo test commands under the same heading do not run."""
    starts = [line for line, text in enumerate(outside, 1) if text.startswith("## ")] + [len(outside) + 1]
    for start, end in zip(starts, starts[1:]):
        commands = [" ".join(found) for block in blocks if start < block.line < end
                    for _, line in block.commands() for found in programs(line) if found[:2] == ["cargo", "test"]]
        selected = set(re.findall(r"--lib|--bins|--test \S+", " ".join(commands)))
        for line in range(start, end):
            row = outside[line - 1].rstrip(" |").rpartition("|")[2]
            for name in re.findall(r"`(\w+)`", row) if selected else []:
                if name in known and not known[name] & selected:
                    yield line, f"{name}: no command under this heading has {' or '.join(sorted(known[name]))}"


def command_errors(outside, blocks, known):
    """Lines and texts of what is wrong with the blocks, commands and paths of a document."""
    known = known | {path.stem for path in files("*.rs")} | {path.parent.name for path in files("*.rs")}
    errors = [(block.line, text) for block in blocks for text in block_errors(block)]
    for line, found in document_commands(outside, blocks):
        if found[0] == "cargo":
            errors += [(line, text) for text in cargo_errors(found[1:], known)]
        errors += [(line, text) for text in path_errors(found)]
    for line, text in enumerate(outside, 1):
        errors += [(line, error) for span in SPAN.findall(text) for error in path_errors([span])]
    return list(dict.fromkeys(errors))


def own_program(found):
    """The binary of this workspace that a command starts, and its arguments."""
    if found[:2] == ["cargo", "run"]:
        own = found.index("--") if "--" in found else len(found)
        named = [found[index + 1] for index in range(2, own - 1) if found[index] in ("--bin", "-p")]
        return (named or ["local"])[0], found[own + 1:]
    return ("redrive", found[1:]) if found[0] in ("redrive", "./redrive") else (None, [])


def option_errors(path, outside, blocks, helps={}):
    """One text for each option that a document passes to our programs and their --help lacks."""
    for line, found in document_commands(outside, blocks):
        binary, arguments = own_program(found)
        options = [word.split("=")[0] for word in arguments if word.startswith("--") and word != "--help"]
        if not binary or not (options or binary in ("local", "redrive")):
            continue
        command = next((word for word in arguments[:1] if re.fullmatch(r"[a-z-]+", word) and word[0] != "-"), "")
        key = " ".join(filter(None, (binary, command)))
        if key not in helps:
            shown = subprocess.run(["cargo", "run", "--quiet", "--bin", binary, "--", *key.split()[1:], "--help"],
                                   cwd=ROOT, capture_output=True, text=True)
            helps[key] = set(re.findall(r"--[a-z][a-z-]*", shown.stdout)) if shown.returncode == 0 else None
        if helps[key] is None:
            yield f"{path.relative_to(ROOT)}:{line}: {key} --help fails"
        else:
            for option in set(options) - helps[key]:
                yield f"{path.relative_to(ROOT)}:{line}: {key} has no option {option}"
