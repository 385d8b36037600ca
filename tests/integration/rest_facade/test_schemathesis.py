"""schemathesis over the OpenAPI document with all its checks: a short run here, longer ones by hand."""

import asyncio
import sys
from pathlib import Path

from tests.integration.rest_facade.conftest import Start

EXAMPLES_MAX = 3


async def test_schemathesis_finds_nothing(start: Start, tmp_path: Path) -> None:
    api = await start(core_timeout_s=30)
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"http://127.0.0.1:{api.port}/openapi.json",
        "--checks=all",
        "--header=X-API-Key: key-of-a",
        "--phases=examples,coverage,fuzzing",
        f"--max-examples={EXAMPLES_MAX}",
        "--seed=1",
        "--no-color",
        "--generation-database=none",
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    assert not [line for line in api.log if line["status"] >= 500]
