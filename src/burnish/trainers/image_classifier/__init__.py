"""The fast path: frozen EfficientNet-Lite0 features and a cross-validated linear head."""
