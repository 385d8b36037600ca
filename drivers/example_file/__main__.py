"""`python -m drivers.example_file` runs the example driver."""

from drivers.example_file.driver import FileDriver
from drivers.runtime import run

if __name__ == "__main__":
    run(FileDriver)
