"""The tests. A package, so that a dependency which installs one of this name does not take its place."""
