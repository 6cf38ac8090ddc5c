"""Where people decided otherwise than a model said: recorded one by one or in bulk, counted by month and reason."""
