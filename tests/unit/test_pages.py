"""What the pages name is there: settings, metrics, commands, routes, log lines, units."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import yaml
from typer.core import TyperGroup

from core.cli.main import app
from core.config import load
from core.events import EVENT_TYPES
from drivers.runtime.main import runtime_settings
from rest_facade.config import Settings as FacadeSettings
from rest_facade.route_table import ROUTES
from tests import repository
from tools import docs

PRODUCTION = repository.ROOT / "docs/production.md"
PAGES = [repository.ROOT / "README.md", *sorted((repository.ROOT / "docs").glob("*.md"))]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in PAGES}

COUNTER, GAUGE, HISTOGRAM = "Counter", "Gauge", "Histogram"
SUFFIXES = {COUNTER: ("_total",), GAUGE: ("",), HISTOGRAM: ("_bucket", "_count", "_sum")}
FILE_ENDINGS = {"credential", "db", "env", "json", "key", "log", "md", "pem", "service", "toml", "yaml"}
INSTALLED = re.compile(r"/opt/infinireach/bin/|/usr/local/bin/")
HANDED_ON = docs.handed_on()
HERE = f"{Path(sys.executable).parent}/"


def calls() -> Iterator[tuple[str, str]]:
    """Of every call in the product: the last part of the function's name, and its first argument if that is a text."""
    for path in repository.python_files():
        if path.relative_to(repository.ROOT).parts[0] in {"core", "rest_facade", "drivers"}:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    if isinstance(node.args[0].value, str):
                        yield name, node.args[0].value


CALLS = list(calls())
METRICS = {name + suffix for kind, name in CALLS if kind in SUFFIXES for suffix in SUFFIXES[kind]}
LOG_LINES = {text for name, text in CALLS if name in {"debug", "info", "warning", "error", "exception"}}


def settings_in(text: str) -> set[str]:
    """Settings by their full names; what ends in an underscore is the beginning of several."""
    return {name for name in re.findall(r"INFINIREACH_[A-Z0-9_]+", text) if not name.endswith("_")}


SETTINGS = settings_in(docs.pages()[docs.DOCS / "configuration.md"]) | {"INFINIREACH_DRIVER_CRASH_AT"}
"""With that of the test kit for drivers, which nobody sets in operation."""


@pytest.mark.parametrize("page", TEXTS)
def test_settings_that_a_page_names_exist(page: str) -> None:
    assert settings_in(TEXTS[page]) <= SETTINGS


@pytest.mark.parametrize("page", TEXTS)
def test_metrics_that_a_page_names_exist(page: str) -> None:
    named = set(re.findall(r"\binfinireach_(?:relay|kafka|webhook|rest|removed)_\w+", TEXTS[page]))
    assert named <= METRICS


def test_the_page_for_production_names_every_metric() -> None:
    kinds = {name: kind for kind, name in CALLS if kind in SUFFIXES and name.startswith("infinireach_")}
    text = TEXTS["production.md"] + TEXTS["kafka.md"]
    assert [name for name in kinds if name not in text] == []


def commands(text: str) -> set[tuple[str, ...]]:
    """The words after `infinireach`, up to the first that is none, in code only; that is no user (`-u`) there."""
    code = re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
    lines = re.findall(
        r"(?<![\w/.-])(?<!-u )(?:\.venv/bin/)?infinireach((?: [a-z][a-z-]*)+)", "\n".join(code)
    )
    return {tuple(line.split()) for line in lines}


@pytest.mark.parametrize("page", TEXTS)
def test_commands_that_a_page_names_exist(page: str) -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    for words in commands(TEXTS[page]):
        group = root
        for at, word in enumerate(words):
            command = HANDED_ON.get(words[: at + 1]) or group.commands.get(word)
            assert command is not None, f"infinireach {' '.join(words)}"
            if isinstance(command, TyperGroup):
                group = command
            elif words[: at + 2] not in HANDED_ON:
                assert word != "fake" or at + 1 == len(words), f"infinireach {' '.join(words)}"
                break


@pytest.mark.parametrize("page", TEXTS)
def test_modules_that_a_page_has_run_exist(page: str) -> None:
    for module in re.findall(
        r"python -m ((?:tests|tools|bench|core|rest_facade|drivers)[\w.]*)", TEXTS[page]
    ):
        path = repository.ROOT / module.rstrip(".").replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_routes_that_the_page_for_production_names_exist() -> None:
    there = {(route.method, route.path) for route in ROUTES}
    named = re.findall(r"`(GET|POST|PATCH|DELETE) (/[^`]*)`", TEXTS["production.md"])
    named.remove(("GET", "/ready"))  # Envoy's
    assert set(named) <= there


@pytest.mark.parametrize("page", ["production.md", "kafka.md"])
def test_log_lines_that_a_page_names_are_written(page: str) -> None:
    named = set(re.findall(r"`([a-z]+\.[a-z_]+)`", TEXTS[page])) - set(EVENT_TYPES)
    named = {name for name in named if name.rpartition(".")[2] not in FILE_ENDINGS} - {"infinireach.events"}
    assert named <= LOG_LINES


def files(language: str, pattern: str) -> dict[str, str]:
    """The files that the page for production shows, by name: each is named in the line above its block."""
    found = re.findall(rf"^`{pattern}`[^\n]*\n```{language}\n(.*?)```", TEXTS["production.md"], re.M | re.S)
    assert found
    return dict(found)


UNITS = files("ini", r"/etc/systemd/system/([\w-]+\.service)")
ENVIRONMENTS = {
    name: dict(line.split("=", 1) for line in text.splitlines())
    for name, text in files("sh", r"/etc/infinireach/(\w+)\.env").items()
}


def test_there_is_a_unit_for_each_role_and_it_runs_what_exists() -> None:
    assert set(UNITS) == {
        f"infinireach-{role}.service" for role in ("core", "rest", "deliver", "driver", "edge")
    }
    for name, text in UNITS.items():
        unit = configparser.ConfigParser(strict=False, interpolation=None)
        unit.read_string(text)
        program, *arguments = unit["Service"]["ExecStart"].split()
        assert Path(sys.executable).with_name(Path(program).name).exists(), program
        if program.endswith("/infinireach"):
            assert f"infinireach-{arguments[0]}.service" == name
        assert set(re.findall(r"/etc/infinireach/(\w+)\.env", text)) <= set(ENVIRONMENTS)


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """Where there is no systemd, the test above has looked at what can be looked at."""
    program = shutil.which("systemd-analyze")
    for name, text in UNITS.items():
        (tmp_path / name).write_text(INSTALLED.sub(HERE, text), encoding="utf-8")
    if program:
        done = subprocess.run(
            [program, "verify", *map(str, tmp_path.iterdir())], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("role", ["core", "deliver"])
def test_the_settings_of_a_role_can_be_used(role: str) -> None:
    settings = load({**ENVIRONMENTS["shared"], **ENVIRONMENTS[role]})
    assert settings.profile == "production"
    assert settings.kafka_servers


def test_the_settings_of_the_facade_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some_file = tmp_path / "file"
    some_file.touch()
    for name, value in ENVIRONMENTS["rest"].items():
        monkeypatch.setenv(name, str(some_file) if name.endswith("_FILE") else value)
    assert FacadeSettings().rate_limit_storage.startswith("redis://")


def test_the_settings_of_a_driver_are_a_drivers() -> None:
    assert set(ENVIRONMENTS["driver"]) <= {setting.name for setting in runtime_settings("any")}


def test_the_alarms_are_rules_of_prometheus() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", TEXTS["production.md"], re.DOTALL)
    (group,) = yaml.safe_load(text)["groups"]
    assert all({"alert", "expr"} <= set(rule) <= {"alert", "expr", "for"} for rule in group["rules"])
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])
