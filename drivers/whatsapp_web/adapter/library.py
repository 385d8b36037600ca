"""What is done to the library once it is loaded, for the whole process."""

import os

from neonize import _binder


def tame() -> None:
    """Keep it from writing numbers to standard output, and from reading a text where there is none."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    # It gives nothing back, and neonize 0.5.2 would take whatever lies in the register for the address of a text.
    _binder.gocode.Stop.restype = None
