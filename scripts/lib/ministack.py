"""MiniStack, an emulator of AWS, installed to target/tools/ministack the first time."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "target/tools/ministack"
# The translator is for templates of SAM; awscli is not used by the emulator, but against it.
PACKAGES = ("ministack==1.5.33", "aws-sam-translator==1.115.0", "awscli==1.46.3")
START_TIMEOUT_SECONDS = 60


def install():
    if not (TOOLS / "bin/ministack").exists():
        subprocess.run([sys.executable, "-m", "venv", TOOLS], check=True)
    pip = [TOOLS / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
    subprocess.run(pip, check=True)


@contextlib.contextmanager
def emulator():
    """Runs the emulator; gives its address."""
    install()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = TOOLS / "log"
    with log.open("w") as output:
        environment = {**os.environ, "GATEWAY_PORT": str(port)}
        server = subprocess.Popen([TOOLS / "bin/ministack"], env=environment, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError as error:
                # An answer of any kind is one.
                if isinstance(error, urllib.error.HTTPError):
                    break
                if server.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"the emulator does not start:\n{log.read_text()}")
                time.sleep(0.2)
        yield url
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
