"""docs/fake-smsgate.md names what there is, all of it."""

import json
import re

import typer.main
from typer.core import TyperGroup

from drivers.android.fake_smsgate import FAULTS, FakeSmsGate, FaultKind
from drivers.android.fake_smsgate.command_line import app
from drivers.android.fake_smsgate.orders import Orders
from tests import repository

TEXT = (repository.ROOT / "docs/fake-smsgate.md").read_text(encoding="utf-8")


def row(kind: FaultKind) -> str:
    """A fault as the page's table has it."""
    told = "<br>".join(
        f"`{each.name}` ({json.dumps(each.default)}): {each.sentence}" for each in kind.parameters
    )
    return f"| `{kind.name}` | {kind.when.value} | {kind.sentence} | {told} |"


def test_the_table_of_faults_is_that_of_the_phone() -> None:
    written = re.findall(r"^\| `\w+` \| (?:next time|lasts|at once) \|.*$", TEXT, re.MULTILINE)
    assert written == [row(kind) for kind in FAULTS.values()]


def test_every_command_and_option_on_the_page_is_one() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    named = set(re.findall(r"infinireach fake smsgate ([a-z]+)", TEXT)) | {"faults"}
    assert named == set(group.commands)
    known = {
        option
        for command in [group, *group.commands.values()]
        for each in command.params
        for option in each.opts
    }
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) <= known


async def test_every_order_on_the_page_is_one() -> None:
    [block] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    async with FakeSmsGate() as phone:
        phone.deliver_inbound("Before")
        orders = Orders(phone)
        for line in block.splitlines():
            order = json.loads(line)
            if "inbound" in order:
                order["inbound"]["sim"] = 1
            await orders.answer(order)
