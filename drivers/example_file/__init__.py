"""The example of docs/writing-a-driver.md: a driver whose network is a file and a folder."""
