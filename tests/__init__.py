"""The tests. A package, so that no library that installs one of the same name is taken for it."""
