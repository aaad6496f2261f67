"""The named things that improve, and the policy of each."""
