"""The replaceable rim: each part named after its technology."""
