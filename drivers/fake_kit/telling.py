"""What the commands of the fakes share: how one that runs is told something, and how faults are named and listed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.fake_kit.fault_table import FaultKind, Value
from drivers.runtime import control_socket
from drivers.runtime.command_line import var_folder
from drivers.runtime.output import CommandFailed

ASK_TIMEOUT_S = 10.0


@dataclass(slots=True, frozen=True)
class Listener:
    """A fake that runs beside the command."""

    name: str
    """As in "No NAME runs at …"."""
    start: str
    """The command that starts one."""
    place: str
    """Of its control socket in the data folder, unless an option says otherwise."""

    def socket_path(self, given: Path | None) -> Path:
        """Where its control socket is."""
        return given or var_folder() / self.place

    def tell(self, socket: Path | None, order: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Give it an order; its answer. Raises CommandFailed, with its own sentence if it refuses."""
        path = self.socket_path(socket)
        try:
            answer = control_socket.ask(path, {order: dict(fields)}, timeout_s=ASK_TIMEOUT_S)
        except control_socket.NobodyListens:
            raise CommandFailed(f"No {self.name} runs at {path}. Start one: {self.start}") from None
        except PermissionError:
            raise CommandFailed(f"The {self.name} at {path} is another user's.") from None
        except control_socket.AnswerMissing as missing:
            raise CommandFailed(f"The {self.name} at {path} {missing}") from None
        if not answer.get("ok"):
            raise CommandFailed(str(answer.get("error") or f"The {self.name} refused it."))
        return answer


def kind_named(table: Mapping[str, FaultKind], name: str) -> FaultKind:
    """A fault by its name. Raises CommandFailed."""
    kind = table.get(name)
    if kind is None:
        raise CommandFailed(f"There is no fault {name}. There are: {', '.join(table)}")
    return kind


def values(kind: FaultKind, given: Sequence[str]) -> dict[str, Value]:
    """What KEY=VALUE means, by the kinds of the parameters. Raises CommandFailed."""
    known = {parameter.name: parameter.default for parameter in kind.parameters}
    read: dict[str, Value] = {}
    for each in given:
        key, _, text = each.partition("=")
        if key not in known:
            raise CommandFailed(f"{kind.name} takes {', '.join(known) or 'no parameters'}, not {key}.")
        try:
            read[key] = _value(text, known[key])
        except (ValueError, KeyError):
            raise CommandFailed(f"{key} must be like {_text(known[key])}, not {text!r}.") from None
    return read


def parameters_shown(kind: FaultKind) -> list[str]:
    """What a fault may be told, each as NAME=DEFAULT and its sentence."""
    return [f"{each.name}={_text(each.default)}: {each.sentence}" for each in kind.parameters]


def _value(text: str, like: Value) -> Value:
    match like:
        case bool():
            return {"yes": True, "true": True, "no": False, "false": False}[text]
        case int():
            return int(text, 0)
        case float():
            return float(text)
        case str():
            return text


def _text(value: Value) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
