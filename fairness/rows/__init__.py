"""Single rows of an explanation report: what counted for and against somebody, for those who may read rows."""
