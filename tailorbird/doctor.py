"""What this machine has for Tailorbird, what is degraded without it, and how to get it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tailorbird.errors import TailorbirdError
from tailorbird.settings import Settings

PYTHON_LEAST = (3, 11)
NODE_LEAST = 18  # major version
ASK_SECONDS = 10


@dataclass(frozen=True)
class Finding:
    what: str
    found: str  # a version, a place, or why not
    good: bool
    use: str
    remedy: str = ""  # shown when it is not good
    needed: bool = False


def findings(settings: Settings) -> list[Finding]:
    """Everything `tailorbird doctor` looks at, the needed things first."""
    return [
        python(),
        data_folder(settings),
        database(settings),
        port(settings),
        bubblewrap(),
        memory_limits(),
        python_functions(),
        python_templates(settings),
        legacy_bundle(),
        node(),
        postgres(),
        *compiled(),
    ]


def python() -> Finding:
    here = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= PYTHON_LEAST
    return Finding(
        "Python", here, good, "runs everything", "Python 3.11 or newer is needed", needed=True
    )


def data_folder(settings: Settings) -> Finding:
    folder = Path(settings.data)
    nearest = next(
        place for place in (folder.absolute(), *folder.absolute().parents) if place.exists()
    )
    good = os.access(nearest, os.W_OK)
    remedy = "" if good else f"{nearest} cannot be written to; setting `data` names another folder"
    return Finding(
        "data folder",
        str(folder),
        good,
        "database, objects, inbox and secrets",
        remedy,
        needed=True,
    )


def database(settings: Settings) -> Finding:
    import sqlalchemy

    address = settings.database()
    shown = sqlalchemy.engine.make_url(address).render_as_string(hide_password=True)
    if address.startswith("sqlite"):
        import sqlite3

        return Finding("database", shown, True, f"SQLite {sqlite3.sqlite_version}", needed=True)
    try:
        from tailorbird.store import Database

        with Database(address).read() as connection:
            version = connection.exec_driver_sql("SHOW server_version").scalar()
        return Finding("database", shown, True, f"PostgreSQL {version}", needed=True)
    except (sqlalchemy.exc.SQLAlchemyError, TailorbirdError, ImportError) as error:
        why = str(error).splitlines()[0]
        return Finding("database", shown, False, "", f"cannot be opened: {why}", needed=True)


def port(settings: Settings) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            remedy = f"{error.strerror}; is a server running already? --port takes another one"
            return Finding("port", f"{settings.host}:{settings.port}", False, "", remedy)
    return Finding("port", f"{settings.host}:{settings.port}", True, "free")


def bubblewrap() -> Finding:
    from tailorbird.functions import seccomp

    found = shutil.which("bwrap")
    use = "sandbox of customers' functions"
    if not found:
        return Finding(
            "bubblewrap",
            "none",
            False,
            use,
            "functions run without a sandbox: apt-get install bubblewrap",
        )
    works = answer([found, "--unshare-all", "--ro-bind", "/", "/", "true"]) is not None
    if works and seccomp.program() is not None:
        use += ", with a filter of system calls"
    remedy = "it cannot make namespaces here; functions run without a sandbox"
    return Finding(
        "bubblewrap", answer([found, "--version"]) or found, works, use, "" if works else remedy
    )


def memory_limits() -> Finding:
    from tailorbird.functions import cgroups

    found = cgroups.find()
    found.close()
    use = "functions end when they take more than their MemorySize"
    if found.limits_memory:
        return Finding("control groups", f"version {found.version}", True, use)
    remedy = "functions may take any memory: root, or a delegated control group, is needed"
    if found.why:
        remedy += f" ({found.why})"
    return Finding("control groups", "none", False, use, remedy)


def python_functions() -> Finding:
    from tailorbird.functions.runtimes import python as runtime

    use = "Python functions: the interpreter behind each runtime's name"
    return Finding("Python runtimes", runtime.describe(), True, use)


def python_templates(settings: Settings) -> Finding:
    most, use = settings.functions_templates, "Python functions start as forks with boto3 loaded"
    if most and shutil.which("bwrap"):
        return Finding("loaded Pythons", f"at most {most}", True, use)
    remedy = "each environment imports boto3 anew: bubblewrap and functions_templates above 0"
    return Finding("loaded Pythons", "none", False, use, remedy)


def legacy_bundle() -> Finding:
    from tailorbird.functions.runtimes import python as runtime

    use = "Python functions of 2019 that bring their own urllib3"
    if runtime.has_legacy():
        return Finding("legacy bundle", "boto3 of 2021", True, use)
    remedy = f"only such functions need it: {runtime.LEGACY_COMMAND}"
    return Finding("legacy bundle", "none", False, use, remedy)


def node() -> Finding:
    from tailorbird.functions.runtimes import node as runtime

    found, use = runtime.binary(), "Node.js functions, among them campaign hooks"
    version = answer([str(found), "--version"]) if found else None
    if not version:
        remedy = f"no Node.js functions: make setup, or install Node.js {NODE_LEAST}"
        return Finding("Node.js", "none", False, use, remedy)
    if int(version.lstrip("v").split(".")[0]) < NODE_LEAST:
        return Finding("Node.js", version, False, use, f"Node.js {NODE_LEAST} or newer is needed")
    client = (runtime.folder() / runtime.RIC).is_dir()
    remedy = "aws-lambda-ric is missing, so no Node.js functions: make setup fetches it"
    return Finding("Node.js", version, client, use, "" if client else remedy)


def postgres() -> Finding:
    good = importlib.util.find_spec("psycopg") is not None
    use = "PostgreSQL as database"
    return Finding(
        "psycopg",
        "installed" if good else "none",
        good,
        use,
        "SQLite only: pip install 'tailorbird[postgres]'",
    )


def compiled() -> list[Finding]:
    """The libraries in C."""
    from tailorbird.learn.models import native as blend
    from tailorbird.prepare import native as scan

    compiler = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    how = "pip install -e . builds it" if compiler else "apt-get install gcc, pip install -e ."
    return [
        Finding(what, "built" if found else "none", found is not None, use, f"{without}: {how}")
        for what, found, use, without in (
            (
                "scanner",
                scan.library(),
                "prepare reads usual lines of archives in C",
                "prepare reads archives in Python, several times slower",
            ),
            (
                "blend",
                blend.library(),
                "recommendations are added up in C",
                "recommendations are added up in Python, a third slower",
            ),
        )
    ]


def answer(command: list[str]) -> str | None:
    """What a program prints, or None when it cannot run."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ASK_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
