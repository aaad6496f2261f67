"""Models in memory: loaded aside, swapped in one move, drained."""
