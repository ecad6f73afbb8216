"""The shells in which scripts/run-docs runs the blocks of a page."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time

from documents import ROOT, ci_step

LIMIT = 180  # Seconds of one block.
UP, UP_IS_READY = "cargo run -- up", "Ctrl-C"
# What was printed last for each placeholder, for grep -P.
PRINTED = {
    "ORDER-ID": r'"orderId": ?"\K[^"]+',
    "BROKER": r"^Kafka +\K\S+",
    "PORT": r"^Functions +http://127.0.0.1:\K\d+",
}
CURL_SETTINGS = 'silent\nshow-error\nmax-time = 60\nwrite-out = "%{stderr}\\nHTTP %{response_code}\\n"\n'
SHELL = "set -eo pipefail\nprinted() { grep -ohP \"$1\" \"$PRINTED\"/* | tail -n 1; }\n"


class Failure(Exception):
    """Why a block failed."""


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Shell:
    """A shell with what it starts. Its output goes to a file."""

    def __init__(self, page, arguments, stdin):
        self.log = page.folder / "printed" / str(time.monotonic_ns())
        environment = {**os.environ, "CURL_HOME": str(page.folder), "PRINTED": str(self.log.parent),
                       "PATH": f"{os.environ['PATH']}:{ROOT / 'target/tools/aws/bin'}"}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(["bash", *arguments], cwd=ROOT, env=environment, stdin=stdin, stdout=output,
                                            stderr=subprocess.STDOUT, start_new_session=True)

    def output(self, start=0):
        """What it has printed, from a position on."""
        return self.log.read_bytes()[start:].decode(errors="replace")

    def wait(self, done):
        """Waits until this is true. A shell that ends or takes too long is a failure."""
        deadline = time.monotonic() + LIMIT
        while not done():
            status = self.process.poll()
            if status is not None and not done():
                raise Failure(f"exit status {status}")
            if time.monotonic() > deadline:
                raise Failure(f"not done after {LIMIT} s")
            time.sleep(0.05)

    def stop(self):
        """Ends it and what it has started; returns when all of it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
            deadline = time.monotonic() + 20
            while True:
                self.process.poll()
                os.killpg(self.process.pid, 0 if time.monotonic() < deadline else signal.SIGKILL)
                time.sleep(0.05)


class Page:
    """The shells of one page."""

    def __init__(self, folder):
        self.folder, self.port, self.beside, self.up = folder, free_port(), [], None
        (folder / ".curlrc").write_text(CURL_SETTINGS)
        (folder / "printed").mkdir()
        self.shell = Shell(self, [], subprocess.PIPE)
        self.send(SHELL)

    def send(self, text):
        """Gives commands to the page's shell."""
        self.shell.process.stdin.write(text.encode())
        self.shell.process.stdin.flush()

    def script(self, text):
        """Writes commands as they run: on this page's port, and with what was printed for placeholders."""
        text = text.replace("127.0.0.1:3000", f"127.0.0.1:{self.port}").replace(UP, f"{UP} --port {self.port}")
        for name, pattern in PRINTED.items():
            text = re.sub(rf"(?<![\w-]){name}\b", lambda _: f"$(printed '{pattern}')", text)
        path = self.folder / f"{time.monotonic_ns()}.sh"
        path.write_text(f"{SHELL}{text}\n")
        return path

    def start(self, text, until):
        """Runs commands in a shell of their own until they have printed this."""
        if UP in text and self.up:
            self.up.stop()
        shell = Shell(self, [str(self.script(text))], subprocess.DEVNULL)
        self.beside.append(shell)
        self.up = shell if UP in text else self.up
        try:
            shell.wait(lambda: until in shell.output())
        except Failure as failure:
            raise Failure(f"{failure}, without {until!r}:\n{shell.output()}") from None
        return shell.output()

    def run(self, block):
        """Runs a block and returns its output."""
        if block.mark["up"] and not self.up:
            self.start(UP, UP_IS_READY)
        text = "\n".join(":" if ci_step(line) else line for line in block.text.split("\n"))
        if block.mark["until"]:
            return self.start(text, block.mark["until"])
        script, start = self.script(text), len(self.shell.log.read_bytes())
        done = script.with_suffix(".done")
        self.send(f"source {script} </dev/null\n: >{done}\n")
        try:
            self.shell.wait(done.exists)
        except Failure as failure:
            raise Failure(f"{failure}:\n{self.shell.output(start)}") from None
        output = self.shell.output(start)
        for status in re.findall(r"^HTTP ([45]\d\d)$", output, re.MULTILINE):
            if status not in block.text:
                raise Failure(f"a request was answered with {status}:\n{output}")
        return output

    def stop(self):
        """Ends all shells."""
        for shell in [self.shell, *reversed(self.beside)]:
            shell.stop()
