"""Which worlds the suite runs."""

SUITE_SEEDS = range(200)
