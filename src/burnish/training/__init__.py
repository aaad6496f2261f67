"""Training jobs: their states, their callbacks, their retries."""
