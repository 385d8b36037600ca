"""The import rules, as a table, and the test that quotes the broken one with its place."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import repository

SOURCE_ROOTS = {"core": "", "rest_facade": "", "drivers": "", "infinireach": "proto"}
ADAPTERS = ("core.eventlog.embedded", "core.eventlog.kafka")


def inside(module: str, *packages: str) -> bool:
    """Whether a module is one of the packages or lies in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def is_or_holds(module: str, package: str) -> bool:
    """Whether a module lies in a package, or is one around it, of which something in it may be imported."""
    return inside(module, package) or inside(package, module)


def of_every_command_line(module: str) -> bool:
    """Whether a module is what all command lines of drivers and fakes share, or a package around it."""
    return any(
        is_or_holds(module, f"drivers.runtime.{part}")
        for part in ("command_line", "control_socket", "output")
    )


def is_use_case(module: str) -> bool:
    """Whether a module holds rules of the domain: those directly in core, but for wiring and settings."""
    return module.startswith("core.") and module.count(".") == 1 and module not in WIRING


WIRING = {"core.__main__", "core.app", "core.config"} | {
    f"core.{package}" for package in ("api", "cli", "delivery", "eventlog", "sessions", "store")
}


@dataclass(frozen=True)
class Rule:
    """Modules for which `applies` holds import nothing for which `forbids(importer, imported)` holds."""

    sentence: str
    applies: Callable[[str], bool]
    forbids: Callable[[str, str], bool]


def rule(sentence: str, *, applies: Callable[[str], bool], forbidden: tuple[str, ...]) -> Rule:
    """A rule whose forbidden imports are the same for every importer."""
    return Rule(sentence, applies, lambda _, imported: inside(imported, *forbidden))


NEVER_EACH_OTHER = "core, rest_facade and drivers never import each other"
RULES = (
    Rule(
        NEVER_EACH_OTHER,
        applies=lambda module: inside(module, "core", "rest_facade", "drivers"),
        forbids=lambda importer, imported: (
            inside(imported, "core", "rest_facade", "drivers")
            and imported.partition(".")[0] != importer.partition(".")[0]
        ),
    ),
    rule(
        "the protocol imports nothing of ours",
        applies=lambda module: inside(module, "infinireach"),
        forbidden=("core", "rest_facade", "drivers"),
    ),
    rule(
        "the store knows neither the protocol nor gRPC",
        applies=lambda module: inside(module, "core.store"),
        forbidden=("infinireach", "grpc"),
    ),
    rule(
        "use cases know neither the protocol nor gRPC",
        applies=is_use_case,
        forbidden=("infinireach", "grpc", "grpc_status", "google"),
    ),
    rule(
        "use cases do not know asyncio",
        applies=lambda module: is_use_case(module) and module != "core.clock",
        forbidden=("asyncio",),
    ),
    rule(
        "use cases know nothing of what calls them",
        applies=is_use_case,
        forbidden=("core.api", "core.app", "core.cli", "core.sessions"),
    ),
    rule(
        "the session protocol does no I/O: neither asyncio nor the store",
        applies=lambda module: inside(module, "core.sessions.protocol"),
        forbidden=("asyncio", "core.store"),
    ),
    Rule(
        "the driver runtime knows no driver",
        applies=lambda module: inside(module, "drivers.runtime"),
        forbids=lambda _, imported: (
            inside(imported, "drivers") and imported != "drivers" and not inside(imported, "drivers.runtime")
        ),
    ),
    Rule(
        "the modem's codec imports nothing of ours",
        applies=lambda module: inside(module, "drivers.modem.codec"),
        forbids=lambda _, imported: (
            inside(imported, "core", "drivers", "rest_facade", "infinireach", "asyncio")
            and not is_or_holds(imported, "drivers.modem.codec")
        ),
    ),
    Rule(
        "the AT dialogue knows neither drivers nor tasks, only the reasons of failures",
        applies=lambda module: inside(module, "drivers.modem.at"),
        forbids=lambda _, imported: (
            inside(imported, "asyncio", "drivers", "serial") and not is_or_holds(imported, "drivers.modem.at")
        ),
    ),
    Rule(
        "the kit of the fakes knows no fake and no driver",
        applies=lambda module: inside(module, "drivers.fake_kit"),
        forbids=lambda _, imported: (
            inside(imported, "drivers", "infinireach")
            and not is_or_holds(imported, "drivers.fake_kit")
            and not of_every_command_line(imported)
        ),
    ),
    Rule(
        "the emulated modem knows the codec, the kit of the fakes and nothing of the driver",
        applies=lambda module: inside(module, "drivers.modem.emulator"),
        forbids=lambda _, imported: (
            inside(imported, "drivers", "infinireach")
            and not is_or_holds(imported, "drivers.modem.codec")
            and not is_or_holds(imported, "drivers.modem.emulator")
            and not is_or_holds(imported, "drivers.fake_kit")
            and not of_every_command_line(imported)
        ),
    ),
    rule(
        "only the adapter of the WhatsApp Web driver knows its library",
        applies=lambda module: not inside(module, "drivers.whatsapp_web.adapter"),
        forbidden=("neonize",),
    ),
    Rule(
        "the fake Graph knows the kit of the fakes and nothing of the driver",
        applies=lambda module: inside(module, "drivers.whatsapp_cloud.fake_graph"),
        forbids=lambda _, imported: (
            inside(imported, "drivers", "infinireach")
            and not is_or_holds(imported, "drivers.whatsapp_cloud.fake_graph")
            and not is_or_holds(imported, "drivers.fake_kit")
            and not of_every_command_line(imported)
        ),
    ),
    Rule(
        "the fake phone knows the codec, the kit of the fakes and nothing of the driver",
        applies=lambda module: inside(module, "drivers.android.fake_smsgate"),
        forbids=lambda _, imported: (
            inside(imported, "drivers", "infinireach")
            and not is_or_holds(imported, "drivers.modem.codec")
            and not is_or_holds(imported, "drivers.android.fake_smsgate")
            and not is_or_holds(imported, "drivers.fake_kit")
            and not of_every_command_line(imported)
        ),
    ),
    Rule(
        "only core.app and core.cli name adapters",
        applies=lambda module: inside(module, "core") and not inside(module, "core.app", "core.cli"),
        forbids=lambda importer, imported: any(
            inside(imported, adapter) and not inside(importer, adapter) for adapter in ADAPTERS
        ),
    ),
    rule(
        "only core.eventlog.kafka knows Kafka's client",
        applies=lambda module: not inside(module, "core.eventlog.kafka"),
        forbidden=("aiokafka",),
    ),
)


def module_name(path: Path) -> str | None:
    """The dotted name that a file is imported by, or None outside the product's packages."""
    parts = path.relative_to(repository.ROOT).with_suffix("").parts
    for package, source_root in SOURCE_ROOTS.items():
        prefix = (source_root, package) if source_root else (package,)
        if parts[: len(prefix)] == prefix:
            named = parts[1:] if source_root else parts
            return ".".join(named[:-1] if named[-1] == "__init__" else named)
    return None


def imports(source: str) -> Iterator[tuple[int, list[str]]]:
    """Each import's line, and the modules that one imported name may stand for."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, [name.name]) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            package = node.module or ""
            yield from ((node.lineno, [package, f"{package}.{name.name}"]) for name in node.names)


def broken_rules(module: str, source: str) -> list[tuple[int, str, str]]:
    """Line, imported module and the rule's sentence, for every import that breaks a rule."""
    return [
        (line, candidates[-1], rule.sentence)
        for line, candidates in imports(source)
        for rule in RULES
        if rule.applies(module) and any(rule.forbids(module, imported) for imported in candidates)
    ]


def test_every_module_keeps_the_import_rules() -> None:
    modules = [
        (path, name)
        for path in repository.files()
        if path.suffix == ".py" and (name := module_name(path)) is not None
    ]
    assert modules, "no module was found, so no rule was tried"
    broken = [
        f"{repository.shown(path)}:{line}: imports {imported}, but {sentence}"
        for path, name in modules
        for line, imported, sentence in broken_rules(name, path.read_text(encoding="utf-8"))
    ]
    assert not broken, "\n" + "\n".join(broken)


@pytest.mark.parametrize(
    ("module", "statement", "sentence"),
    [
        ("core.messages", "import rest_facade", NEVER_EACH_OTHER),
        (
            "rest_facade.app",
            "from core import errors",
            NEVER_EACH_OTHER,
        ),
        ("drivers.modem.driver", "import core.ids", NEVER_EACH_OTHER),
        ("infinireach.v1.message_pb2", "import core", "the protocol imports nothing of ours"),
        (
            "core.store.rows",
            "from infinireach.v1 import message_pb2",
            "the store knows neither the protocol nor gRPC",
        ),
        ("core.store.engine", "import grpc.aio", "the store knows neither the protocol nor gRPC"),
        ("core.errors", "from grpc import StatusCode", "use cases know neither the protocol nor gRPC"),
        ("core.messages", "def f():\n    import asyncio", "use cases do not know asyncio"),
        ("core.messages", "from core.api import convert", "use cases know nothing of what calls them"),
        (
            "core.sessions.protocol",
            "from core import store",
            "the session protocol does no I/O: neither asyncio nor the store",
        ),
        (
            "drivers.runtime.client",
            "from drivers import modem",
            "the driver runtime knows no driver",
        ),
        (
            "drivers.modem.codec.submit",
            "from infinireach.v1 import message_pb2",
            "the modem's codec imports nothing of ours",
        ),
        (
            "drivers.modem.at.engine",
            "import asyncio",
            "the AT dialogue knows neither drivers nor tasks, only the reasons of failures",
        ),
        (
            "drivers.modem.emulator.modem",
            "from drivers.modem.at import results",
            "the emulated modem knows the codec, the kit of the fakes and nothing of the driver",
        ),
        (
            "drivers.fake_kit.faults",
            "from drivers.modem.emulator.fault_table import FAULTS",
            "the kit of the fakes knows no fake and no driver",
        ),
        (
            "drivers.whatsapp_cloud.fake_graph.graph",
            "from drivers.whatsapp_cloud import errors",
            "the fake Graph knows the kit of the fakes and nothing of the driver",
        ),
        (
            "drivers.android.fake_smsgate.gate",
            "from drivers.android import states",
            "the fake phone knows the codec, the kit of the fakes and nothing of the driver",
        ),
        (
            "core.eventlog.relay",
            "from core.eventlog import kafka",
            "only core.app and core.cli name adapters",
        ),
        ("core.app", "import aiokafka", "only core.eventlog.kafka knows Kafka's client"),
        (
            "drivers.whatsapp_web.driver",
            "def f():\n    from neonize.aioze.client import NewAClient",
            "only the adapter of the WhatsApp Web driver knows its library",
        ),
    ],
)
def test_a_broken_rule_is_quoted(module: str, statement: str, sentence: str) -> None:
    assert [quoted for _, _, quoted in broken_rules(module, statement)] == [sentence]


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("core.api.messages_service", "import grpc\nfrom infinireach.v1 import message_pb2"),
        ("core.app", "from core.eventlog import embedded, kafka"),
        ("core.clock", "import asyncio"),
        ("core.eventlog.kafka", "import aiokafka"),
        ("core.messages", "from core import ids, store"),
        ("core.sessions.session", "import asyncio\nfrom core import store"),
        ("drivers.modem.driver", "from drivers import runtime"),
        ("drivers.fake_kit.telling", "from drivers.runtime import control_socket"),
        ("drivers.modem.emulator.command", "from drivers.fake_kit.serving import listen"),
        ("drivers.modem.emulator.modem", "from drivers.modem.codec import decode_submit"),
        ("drivers.runtime.client", "import drivers.runtime.journal"),
        ("drivers.whatsapp_web.adapter.client", "from neonize.exc import NeonizeError"),
        (
            "drivers.whatsapp_cloud.fake_graph.orders",
            "from drivers.runtime.control_socket import RequestRefused",
        ),
        ("rest_facade.core_client", "from infinireach.v1 import messages_service_pb2_grpc"),
    ],
)
def test_a_kept_rule_is_not_quoted(module: str, statement: str) -> None:
    assert broken_rules(module, statement) == []
