"""The committed protocol code is what the pinned generator writes from the protos."""

import subprocess
import sys

from tests import repository


def test_generated_code_is_in_step_with_the_protos() -> None:
    ran = subprocess.run(
        [sys.executable, "proto/generate.py", "--check"],
        cwd=repository.ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
