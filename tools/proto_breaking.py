"""Fails when the protos break a caller that was built against an earlier state of them.

Owns the choice of the earlier states: the last release tag (`v*`), and where this branch left `origin/main`
or, on main itself, the commit before this one. Knows nothing of what a break is: buf does.

A deliberate break before the first release is declared with its reason, by a trailer `Proto-Break: <reason>`
in a commit since the earlier state, or by the environment variable PROTO_BREAK for work not yet committed.
It is then printed and let through. Nothing excuses a break with a release.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUF = Path(sys.executable).with_name("buf")
COMPARE_TIMEOUT_S = 120


class NoBaseline(Exception):
    """The history that a comparison needs is absent, so silence would prove nothing."""


def git(*arguments: str, root: Path) -> bytes | None:
    """What git prints, or None when it refuses."""
    ran = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    return ran.stdout if ran.returncode == 0 else None


def commit_of(revision: str, *, root: Path) -> str | None:
    """The commit that a revision names, or None when there is none."""
    found = git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", root=root)
    return found.decode().strip() if found else None


def release_baseline(root: Path) -> str | None:
    """The last release before this commit."""
    tag = git("describe", "--tags", "--abbrev=0", "--match", "v*", root=root)
    return commit_of(tag.decode().strip(), root=root) if tag else None


def branch_baseline(root: Path) -> str | None:
    """The state that this branch builds on; None only when this is the first commit of the history."""
    if shutil.which("git") is None or git("rev-parse", "--git-dir", root=root) is None:
        raise NoBaseline("comparing with earlier protos needs git and a checkout that git trusts")
    head = commit_of("HEAD", root=root)
    if head is None:
        return None
    fork = git("merge-base", "HEAD", "origin/main", root=root)
    if fork and fork.decode().strip() != head:
        return fork.decode().strip()
    parent = commit_of("HEAD~1", root=root)
    if parent is None and git("rev-parse", "--is-shallow-repository", root=root) == b"true\n":
        raise NoBaseline("this clone is too shallow to compare the protos with: fetch at least two commits")
    return parent


def declared_break(baseline: str, *, root: Path) -> str | None:
    """The reason given for breaking callers since `baseline`, if one was given."""
    trailers = git(
        "log", "--format=%(trailers:key=Proto-Break,valueonly,separator=%x0A)", f"{baseline}..HEAD", root=root
    )
    reasons = [line for line in (trailers or b"").decode().splitlines() if line.strip()]
    reasons.append(os.environ.get("PROTO_BREAK", ""))
    return next((reason for reason in reasons if reason.strip()), None)


def breaks_since(baseline: str, *, root: Path) -> str | None:
    """What buf says of the working tree's protos; empty when nothing broke, None when there were none."""
    listed = git("ls-tree", "-r", "--name-only", baseline, "--", "proto", root=root)
    if listed is None:
        raise NoBaseline(f"git cannot read the commit {baseline}")
    if not any(name.endswith(".proto") for name in listed.decode().splitlines()):
        return None
    archive = git("archive", "--format=tar", baseline, "proto", root=root)
    if archive is None:
        raise NoBaseline(f"git cannot read the protos of the commit {baseline}")
    with tempfile.TemporaryDirectory() as earlier:
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(earlier, filter="data")
        shutil.copy(root / "buf.yaml", earlier)
        ran = subprocess.run(
            [BUF, "breaking", "--against", earlier],
            cwd=root,
            capture_output=True,
            check=False,
            text=True,
            timeout=COMPARE_TIMEOUT_S,
        )
    if ran.returncode != 0 and not ran.stdout:
        raise NoBaseline(f"buf could not compare with {baseline}: {ran.stderr.strip()}")
    return ran.stdout


def passes(baseline: str, *, root: Path, name: str, excusable: bool) -> bool:
    """Compare with one earlier state and print the outcome."""
    found = breaks_since(baseline, root=root)
    if found is None:
        print(f"protos: {name} {baseline[:12]} has none, nothing to compare with")
        return True
    if not found:
        print(f"protos: compatible with {name} {baseline[:12]}")
        return True
    print(f"protos: broken against {name} {baseline[:12]}:\n{found}", end="")
    reason = declared_break(baseline, root=root) if excusable else None
    if reason:
        print(f"protos: let through, declared: {reason}")
    return reason is not None


def main(root: Path = ROOT) -> int:
    """Command line: 0 when every earlier state is kept or there is none, 1 otherwise."""
    try:
        branch, release = branch_baseline(root), release_baseline(root)
        if release is None and branch is None:
            print("protos: no earlier commit, nothing to compare with")
        kept = [
            passes(baseline, root=root, name=name, excusable=excusable)
            for baseline, name, excusable in (
                (release, "the last release", False),
                (branch, "the earlier commit", release is None),
            )
            if baseline is not None
        ]
    except NoBaseline as reason:
        print(f"protos: {reason}", file=sys.stderr)
        return 1
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
