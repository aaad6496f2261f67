"""The inference front: predict and the Open Inference Protocol over one data plane (raw ASGI)."""
