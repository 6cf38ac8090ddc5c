"""The inventory of models: every floor's word on each, as page, CSV and API."""
