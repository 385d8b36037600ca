"""Draws a pairing code for whoever sits at the terminal."""

import sys

import segno


def draw(payload: str) -> None:
    """Draw the code on standard error, if that is a terminal; it is a credential, so nowhere else."""
    if sys.stderr.isatty():
        segno.make_qr(payload).terminal(out=sys.stderr, compact=True)
