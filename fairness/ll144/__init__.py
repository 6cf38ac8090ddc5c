"""The calculations of a New York City bias audit (Local Law 144 of 2021; 6 RCNY § 5-300 ff.)."""
