"""When to retrain, and why."""
