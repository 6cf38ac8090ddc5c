"""What a model takes from other models, and from sources elsewhere: its feeders, and what depends on it in turn."""
