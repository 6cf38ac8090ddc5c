"""What less disparity would cost in accuracy: shown, never applied."""
