"""Trino's engine, which is Athena's: the same views and queries on the records of an archive.

The engine alone has no catalogue that keeps views, so each view becomes a table of its rows.
"""

import json
import shutil
import subprocess
from pathlib import Path

import archive

SOURCE = archive.ROOT / "scripts/trino"
OUT = archive.ROOT / "target/tools/trino"
ROWS_OF_ONE_INSERT = 200
LIMIT = 300  # Seconds.
EMPTY_TABLE = """CREATE TABLE records AS
SELECT CAST(topic AS varchar) AS topic, CAST(day AS varchar) AS day, CAST(line AS varchar) AS line
FROM (VALUES ('', '', '')) AS empty (topic, day, line) WHERE topic <> ''"""


def install():
    """Fetches Trino (some 150 files, 100 MB) with Maven, and compiles the program; nothing if it is there."""
    pom = SOURCE / "pom.xml"
    installed = OUT / "pom.xml"
    if installed.exists() and installed.read_bytes() == pom.read_bytes():
        return
    subprocess.run(["mvn", "--quiet", "--batch-mode", "--file", pom, "dependency:copy-dependencies",
                    f"-DoutputDirectory={OUT / 'lib'}"], check=True)
    # This file marks the installation as complete, so it is written last.
    shutil.copy(pom, installed)


def literal(text):
    """A text of SQL."""
    return "'" + text.replace("'", "''") + "'"


def statements(records):
    """The statements that create the tables."""
    yield EMPTY_TABLE
    for start in range(0, len(records), ROWS_OF_ONE_INSERT):
        rows = (f"({', '.join(map(literal, row))})" for row in records[start:start + ROWS_OF_ONE_INSERT])
        yield f"INSERT INTO records VALUES {', '.join(rows)}"
    for statement in archive.views("athena"):
        yield statement.replace("CREATE OR REPLACE VIEW", "CREATE TABLE", 1)


def ask(records, queries):
    """The rows of each query, values as texts."""
    install()
    command = ["java", "--add-opens", "java.base/java.nio=ALL-UNNAMED", "-cp", f"{OUT / 'lib'}/*",
               str(SOURCE / "Statements.java")]
    sent = json.dumps([*statements(records), *queries])
    ran = subprocess.run(command, input=sent.encode(), capture_output=True, timeout=LIMIT)
    if ran.returncode:
        raise SystemExit(f"Trino failed:\n{ran.stderr.decode(errors='replace')[-4000:]}")
    # Trino logs to standard output too.
    return json.loads(ran.stdout.splitlines()[-1])[-len(queries):]
