"""What holds for every file: readable sizes, telling names, and nothing of the machine it was written on."""

import ast
import re
from pathlib import Path

from tests import repository

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
NAMELESS = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

# Joined from parts, so that this file keeps the rule too.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("npmmirror", "com"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("rubygems", "org"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
        ("deb", "debian", "org"),
    )
]
WORKSPACES = ["/" + folder + "/" for folder in ("work", "farm")]
FOREIGN = re.compile(
    "|".join([
        *(rf"(?<![\w-]){re.escape(host)}(?![\w-])" for host in REGISTRY_HOSTS),
        *(rf"(?<![\w.$}})-]){re.escape(folder)}" for folder in WORKSPACES),
    ])
)


def is_migration(path: Path) -> bool:
    """Whether a file is one step of the database's history, which is written once and never tidied."""
    return path.is_relative_to(repository.ROOT / "core/store/migrations")


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """A function's length without its docstring, which is its contract and not its path."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is None:
        return lines
    docstring = node.body[0]
    return lines - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def test_modules_are_at_most_400_lines() -> None:
    too_long = [
        f"{repository.shown(path)}: {lines} lines, at most {MODULE_LINES_MAX}"
        for path in repository.python_files()
        if not is_migration(path)
        and (lines := len(path.read_text(encoding="utf-8").splitlines())) > MODULE_LINES_MAX
    ]
    assert not too_long, "\n" + "\n".join(too_long)


def test_functions_are_at_most_60_lines() -> None:
    too_long = [
        f"{repository.shown(path)}:{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"
        for path in repository.python_files()
        if not is_migration(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := function_lines(node)) > FUNCTION_LINES_MAX
    ]
    assert not too_long, "\n" + "\n".join(too_long)


def test_every_module_is_named_for_what_it_owns() -> None:
    nameless = [
        repository.shown(path)
        for path in repository.python_files()
        if NAMELESS & set(path.relative_to(repository.ROOT).with_suffix("").parts)
    ]
    assert not nameless, f"a name that says nothing: {nameless}"


def test_no_file_names_a_package_registry_or_a_developers_folder() -> None:
    found = []
    for path in repository.files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [
            f"{repository.shown(path)}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
            for match in FOREIGN.finditer(text)
        ]
    assert not found, "\n" + "\n".join(found)


def test_the_rule_on_foreign_addresses_finds_them() -> None:
    for host in REGISTRY_HOSTS:
        assert FOREIGN.search(f"index https://{host}/simple")
    for folder in WORKSPACES:
        assert FOREIGN.search(f'path = "{folder}main"')
        assert not FOREIGN.search(f"https://example.com{folder}main")
        assert not FOREIGN.search(f"./docs{folder}main")
