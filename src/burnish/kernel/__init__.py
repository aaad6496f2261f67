"""What every room shares: errors, ids, time, digests, statistics, policy, audit, events."""
