"""What all tests share: fixtures by plugin, and patience with a busy machine."""

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "support.control",
    "support.s3",  # before those that import it
    "support.flaky",
    "support.intake",
    "support.disks",
    "support.front",
    "support.ledger",
    "support.office",
    "support.plane",
    "support.postgres",
    "support.rabbitmq",
    "support.databases",
    "support.world",
    "support.shop",
]

# How fast an example runs says something of the machine, nothing of the code.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100
)
settings.load_profile("house")
