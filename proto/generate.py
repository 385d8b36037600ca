"""Writes the Python code of every .proto file beside it; `--check` only tells whether it is in step.

Owns which generated files exist: `*_pb2.py` and `*_pb2.pyi` for every proto, `*_pb2_grpc.py` for those that
declare a service, and none whose proto is gone. The compiler is the one that grpcio-tools carries, pinned in
requirements-dev.lock. Knows nothing of what the protos say.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

SOURCE_ROOT = Path(__file__).resolve().parent
GENERATED_PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


class GenerationFailed(Exception):
    """The compiler refused the protos; its own words are already on standard error."""


def compile_protos(arguments: Sequence[str], *, source_root: Path) -> None:
    """Run the compiler with `source_root` and the well-known types as import roots."""
    well_known_types = files("grpc_tools") / "_proto"
    status = protoc.main(["protoc", f"-I{source_root}", f"-I{well_known_types}", *arguments])
    if status != 0:
        raise GenerationFailed(f"the protocol compiler ended with status {status}")


def generate(source_root: Path, target_root: Path) -> None:
    """Write the code of all protos under `source_root` to the same relative places under `target_root`."""
    protos = sorted(path.relative_to(source_root).as_posix() for path in source_root.rglob("*.proto"))
    if not protos:
        raise GenerationFailed(f"no .proto file under {source_root}")
    with tempfile.TemporaryDirectory() as scratch:
        descriptors_path = Path(scratch, "descriptors.binpb")
        compile_protos(
            [
                f"--descriptor_set_out={descriptors_path}",
                f"--python_out={target_root}",
                f"--pyi_out={target_root}",
                *protos,
            ],
            source_root=source_root,
        )
        descriptors = FileDescriptorSet.FromString(descriptors_path.read_bytes())
    with_services = sorted(file.name for file in descriptors.file if file.service)
    if with_services:
        compile_protos([f"--grpc_python_out={target_root}", *with_services], source_root=source_root)


def generated_files(root: Path) -> dict[str, bytes]:
    """The generated files under `root`, by path relative to it."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for pattern in GENERATED_PATTERNS
        for path in root.rglob(pattern)
    }


def drift(source_root: Path) -> list[str]:
    """One line per generated file that is missing, stale or left over; empty when all are in step."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(source_root, Path(scratch))
        wanted = generated_files(Path(scratch))
    present = generated_files(source_root)
    problems = {
        **dict.fromkeys(wanted.keys() - present.keys(), "missing"),
        **dict.fromkeys(present.keys() - wanted.keys(), "left over: no proto asks for it"),
        **{
            path: "differs from what the generator writes"
            for path in wanted.keys() & present.keys()
            if wanted[path] != present[path]
        },
    }
    return [f"{path}: {problem}" for path, problem in sorted(problems.items())]


def rewrite(source_root: Path) -> int:
    """Bring the generated files under `source_root` in step; answers how many there are."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(source_root, Path(scratch))
        wanted = generated_files(Path(scratch))
    present = generated_files(source_root)
    for path in present.keys() - wanted.keys():
        (source_root / path).unlink()
    for path, content in wanted.items():
        if present.get(path) != content:
            (source_root / path).write_bytes(content)
    return len(wanted)


def main() -> int:
    """Command line: 0 when the files are in step (or now are), 1 on drift or a faulty proto."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of step")
    arguments = parser.parse_args()
    try:
        if not arguments.check:
            print(f"{rewrite(SOURCE_ROOT)} generated files are in step with the protos")
            return 0
        problems = drift(SOURCE_ROOT)
    except GenerationFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    for problem in problems:
        print(f"proto/{problem}", file=sys.stderr)
    if problems:
        print("run `make proto` and commit what it writes", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
