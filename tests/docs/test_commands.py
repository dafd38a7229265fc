"""Every command is named in the documents, and what they show can be parsed."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cyclopts import App

from tailorbird.cli import app
from tests.conftest import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def commands(of: App, before: str = "") -> Iterator[str]:
    """Every command as it is typed, with those inside groups."""
    for name in of:
        if name.startswith("-"):
            continue
        inner = of[name]
        below = list(commands(inner, f"{before}{name} "))
        yield from below or [f"{before}{name}"]


COMMANDS = sorted(commands(app))


def text_of_documents() -> str:
    return "\n".join(document.read_text() for document in DOCUMENTS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_documents(command: str) -> None:
    assert f"tailorbird {command}" in text_of_documents()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    inner = app
    for word in command.split():
        inner = inner[word]
    assert inner.help.strip()


def test_no_document_names_a_command_that_is_not_there() -> None:
    known = {command.split()[0] for command in COMMANDS}
    named = set(re.findall(r"(?:`|/bin/|^\s*)tailorbird ([a-z-]+)", text_of_documents(), re.M))
    assert named <= known


def code_blocks() -> list[tuple[str, str, str]]:
    return [
        (f"{document.name}:{number}", language, code)
        for document in DOCUMENTS
        for number, (language, code) in enumerate(BLOCK.findall(document.read_text()))
    ]


@pytest.mark.parametrize(("place", "language", "code"), code_blocks())
def test_code_blocks_can_be_parsed(place: str, language: str, code: str) -> None:
    if language == "python":
        ast.parse(code)
    elif language == "json":
        json.loads(code)
    elif language in ("sh", "shell", "bash"):
        subprocess.run(["bash", "-n"], input=code, text=True, check=True)
    else:
        assert language in ("text", "toml", "http", "html", "sql", "javascript"), place


def test_help_imports_no_room() -> None:
    code = (
        "import sys, tailorbird.cli; print([m for m in sys.modules if m.startswith('tailorbird.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    imported = set(ast.literal_eval(done.stdout))
    files = (
        "cli",
        "cli_campaigns",
        "cli_functions",
        "cli_learn",
        "cli_logs",
        "cli_measuring",
        "cli_policy",
        "cli_prepare",
        "cli_roles",
        "cli_segment",
        "cli_warehouses",
        "terminal",
    )
    commands_only = {f"tailorbird.{file}" for file in files}
    assert imported == commands_only | {"tailorbird.errors"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["source", "list", "--data", "/nowhere"], "/nowhere holds no api_token"),
        (["demo", "--exit", "--interactions", "/nowhere.csv"], "There is no file /nowhere.csv"),
        (["ledger", "c", "--data", "/nowhere"], "/nowhere holds no api_token"),
        (["invoke", "f", "{not json"], "payload is not valid JSON"),
        (["role", "list", "--data", "/nowhere"], "/nowhere holds no credentials"),
        (["role", "create", "r"], "--trust says who may take the role on"),
        (["role", "create", "r", "--trust", "nobody"], "nobody is not who can be trusted"),
        (["role", "allow", "r"], "name the actions"),
        (["explain", "s3:GetObject", "*", "--as", "r", "--context", "x"], "is not key=value"),
    ],
)
def test_a_refusal_is_one_clear_line_without_a_traceback(words: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tailorbird", *words], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
