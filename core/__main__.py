"""`python -m core`: the core in the foreground. All else is in `infinireach`."""

from core.cli.roles import serve

if __name__ == "__main__":
    serve("core")
