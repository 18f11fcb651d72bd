"""Model artifacts: what they hold, packing them, and importing models trained elsewhere."""
