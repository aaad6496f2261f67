"""Programs that run inside a training job."""
