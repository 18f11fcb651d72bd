"""A user's own code before and after the model, and what it needs installed."""
