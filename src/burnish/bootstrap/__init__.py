"""The only place where parts are wired: one module a role, and what they share."""

from burnish.bootstrap.control import run_control
from burnish.bootstrap.ingest import run_ingest
from burnish.bootstrap.serve import run_serve
from burnish.bootstrap.up import up
from burnish.bootstrap.worker import run_worker

__all__ = ["run_control", "run_ingest", "run_serve", "run_worker", "up"]
