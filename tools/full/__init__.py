"""A gateway of many processes on this machine: two of each role, on the engines, behind the edge."""
