"""The validation report: a template as data, filled from what is on record, written by the second line, attached."""
