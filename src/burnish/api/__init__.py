"""The control plane's REST API and live events."""
