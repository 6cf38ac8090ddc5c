"""The parts of an explanation report: what is computed (by a worker), and what a page shows of it."""
