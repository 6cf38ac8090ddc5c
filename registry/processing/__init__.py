"""On what ground a dataset is kept, how long, and who opens its rows; and the deletion when its time is over."""
