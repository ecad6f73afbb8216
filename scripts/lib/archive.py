"""The archive of events in DuckDB: the views and queries of analytics/."""

import gzip
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SQL = ROOT / "analytics"
TOOLS = ROOT / "target/tools/analytics"
PACKAGES = ["duckdb==2.0.1"]

# In this order, because each reads the ones before it.
VIEWS = ("records", "stages", "decoded", "events", "lines")


def queries():
    """The names of the saved queries."""
    names = (path.stem for path in SQL.glob("*.sql"))
    return sorted(name for name in names if name.split(".")[0] not in VIEWS)


def text(name):
    """The statement of a file, without the semicolon that some shells want."""
    return (SQL / f"{name}.sql").read_text(encoding="utf-8").strip().removesuffix(";")


def views(dialect):
    """The statements that create the views in a dialect. In Athena, `records` is a table."""
    for name in VIEWS:
        if (SQL / f"{name}.{dialect}.sql").exists():
            yield text(f"{name}.{dialect}")
        elif (SQL / f"{name}.sql").exists():
            yield text(name)


def lines(folder):
    """Every line of an archive with its topic and day, malformed ones too."""
    for path in sorted(Path(folder).glob("order.*/date=*/*.gz")):
        topic, day = path.parts[-3], path.parts[-2].removeprefix("date=")
        for line in gzip.decompress(path.read_bytes()).split(b"\n")[:-1]:
            yield topic, day, line.decode(errors="replace")


def in_environment():
    """Installs DuckDB to target/tools/analytics, and runs the program there."""
    python, marker = TOOLS / "bin/python", TOOLS / "installed"
    if not marker.exists() or marker.read_text() != " ".join(PACKAGES):
        print(f"installing {' '.join(PACKAGES)} to {TOOLS}", file=sys.stderr)
        steps = ([sys.executable, "-m", "venv", TOOLS],
                 [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES])
        for step in steps:
            if subprocess.run(step).returncode:
                sys.exit(f"cannot install {' '.join(PACKAGES)}: see the output above (venv is Debian's python3-venv)")
        # This file marks the installation as complete, so it is written last.
        marker.write_text(" ".join(PACKAGES))
    if Path(sys.prefix).resolve() != TOOLS.resolve():
        sys.exit(subprocess.run([python, *sys.argv]).returncode)


def connect(folder):
    """A connection to an archive."""
    import duckdb

    if not any(Path(folder).glob("order.*/date=*/*.gz")):
        sys.exit(f"no archive in {folder} (write one: cargo run -- demo --archive {folder})")
    connection = duckdb.connect()
    connection.execute("SET VARIABLE archive = $folder", {"folder": str(folder)})
    for statement in views("duckdb"):
        connection.execute(statement)
    return connection
