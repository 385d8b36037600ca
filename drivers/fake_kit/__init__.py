"""What the fakes of the outside world have in common: faults, orders, and the command line that gives them.

The emulated modem, the fake Graph and the fake phone are made of it. It knows none of them and no driver.
"""
