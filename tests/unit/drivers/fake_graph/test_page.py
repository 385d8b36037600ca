"""docs/fake-graph.md names what there is, all of it, and every order on it is carried out."""

import json
import re

import pytest
import typer.main
from typer.core import TyperGroup

from drivers.whatsapp_cloud.fake_graph import FAULTS, FakeGraph, FaultKind
from drivers.whatsapp_cloud.fake_graph.command_line import app as command_line
from drivers.whatsapp_cloud.fake_graph.orders import Orders
from tests import repository

TEXT = (repository.ROOT / "docs/fake-graph.md").read_text(encoding="utf-8")
ORDERS = [line for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]


def row(kind: FaultKind) -> str:
    """A fault as the page's table has it."""
    told = "<br>".join(
        f"`{each.name}` ({json.dumps(each.default)}): {each.sentence}" for each in kind.parameters
    )
    return f"| `{kind.name}` | {kind.when.value} | {kind.sentence} | {told} |"


def test_the_table_of_faults_is_that_of_the_fake() -> None:
    assert re.findall(r"^\| `\w+` \| a .*$", TEXT, re.MULTILINE) == [row(kind) for kind in FAULTS.values()]


def test_the_page_names_every_command_and_option() -> None:
    group = typer.main.get_command(command_line)
    assert isinstance(group, TyperGroup)
    named = set(re.findall(r"`(?:infinireach fake graph )?([a-z-]+)`", TEXT))
    assert set(group.commands) <= named
    own = "\n".join(line for line in TEXT.splitlines() if not line.startswith("infinireach message"))
    assert set(re.findall(r"--[a-z][a-z-]+", own)) <= {
        option
        for command in [group, *group.commands.values()]
        for parameter in command.params
        for option in parameter.opts
    }


@pytest.mark.parametrize("order", ORDERS)
async def test_every_order_on_the_page_is_carried_out(order: str) -> None:
    async with FakeGraph() as graph:
        await Orders(graph, token_changed=lambda _: None).carry_out(json.loads(order))
