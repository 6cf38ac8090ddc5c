"""Tables as people send them: recognised, described and read in a confined process, never by the portal itself."""
