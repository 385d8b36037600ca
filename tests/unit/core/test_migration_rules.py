"""Every migration after the first says its phase; one that expands does nothing that an older version would notice."""

import ast
from pathlib import Path

import pytest

from core.store import migrate

EXPANDING = {
    "op.create_table", "op.add_column", "online.create_index", "online.backfill", "online.set_storage",
}  # fmt: skip
"""What may happen to tables while the version before uses them."""

MIGRATIONS = sorted((migrate.MIGRATIONS / "versions").glob("[0-9]*.py"))[1:]


def assigned(tree: ast.Module) -> dict[str, object]:
    """The constants of a migration."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def faults(source: str) -> list[str]:
    """What is wrong with a migration."""
    tree = ast.parse(source)
    values = assigned(tree)
    phase = values.get("phase")
    if phase == "contract":
        needs = values.get("needs")
        return (
            [] if isinstance(needs, str) and needs < str(values["revision"]) else ["says not what it needs"]
        )
    if phase != "expand":
        return ["has no phase"]
    found: list[str] = []
    made: set[object] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name, arguments = ast.unparse(node.func), [ast.unparse(each) for each in node.args[:2]]
        if name == "op.create_table":
            made.add(arguments[0])
        if name == "op.create_index" and arguments[1] in made:
            continue  # of a table that nobody uses yet
        if name.partition(".")[0] in {"op", "online"} and name not in EXPANDING | {"op.f"}:
            found.append(f"calls {name}")
        if name == "op.add_column" and not any(
            harmless in ast.unparse(node) for harmless in ("nullable=True", "server_default=")
        ):
            found.append("adds a column that older versions would not fill in")
    return found


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_a_migration_keeps_the_rules(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("op.drop_column('message', 'body')", "calls op.drop_column"),
        ("op.alter_column('message', 'body', nullable=False)", "calls op.alter_column"),
        ("op.execute('DELETE FROM message')", "calls op.execute"),
        ("op.create_index('i', 'message', ['body'])", "calls op.create_index"),
        ("op.create_foreign_key('f', 'message', 'device', [], [])", "calls op.create_foreign_key"),
        (
            "op.add_column('message', sa.Column('a', sa.Integer(), nullable=False))",
            "adds a column that older versions would not fill in",
        ),
    ],
)
def test_what_would_be_noticed_is_found(body: str, fault: str) -> None:
    assert faults(f"revision = '0009'\nphase = 'expand'\ndef upgrade():\n    {body}\n") == [fault]


def test_a_phase_must_be_said_and_a_contraction_must_say_what_it_needs() -> None:
    assert faults("revision = '0009'\n") == ["has no phase"]
    assert faults("revision = '0009'\nphase = 'contract'\n") == ["says not what it needs"]
    assert faults("revision = '0009'\nphase = 'contract'\nneeds = '0008'\n") == []
