"""Which datasets a version was trained on, so that reports can say which rows it has seen."""
