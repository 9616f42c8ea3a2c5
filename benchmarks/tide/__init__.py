"""The tide from a gauge's record: `causeway fit tide`, `causeway eval tide`."""
