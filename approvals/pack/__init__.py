"""The evidence pack: all that one review request rests on, as a zip that verifies itself anywhere."""
