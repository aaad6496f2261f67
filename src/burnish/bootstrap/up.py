"""`burnish up`: all four roles on this machine, each its own process, supervised."""

import sys
from typing import Final

from burnish import config
from burnish.adapters.role_process import Role, role_of_ours
from burnish.adapters.secrets import TOKEN_FILE, ensure_secrets
from burnish.adapters.sql.engine import make_engine, reach
from burnish.adapters.supervisor import Pace, supervise
from burnish.settings import Settings

GRACE_S: Final = 5.0  # beyond a role's own deadline, before it is killed


def run(settings: Settings) -> int:
    """Run everything until SIGTERM or Ctrl-C; return the exit code."""
    secrets = ensure_secrets(settings.data)
    if secrets.token_is_new:
        _say("The administrator's token, shown this once and kept in the file beside it:")
        _say(f"  {secrets.admin_token}   {settings.data / TOKEN_FILE}")
    engine = make_engine(settings.database.url)
    reach(engine)  # better said once, here, than by four roles
    engine.dispose()
    process = settings.process
    pace = Pace(ready=process.ready_seconds, drain=process.drain_seconds + GRACE_S)
    return supervise(_roles(settings), settings.data, say=_say, pace=pace)


def _roles(settings: Settings) -> list[Role]:
    """Return the roles in the order in which they drain: who depends on others goes first."""
    worker, ingest, control, serve = (
        settings.worker,
        settings.ingest,
        settings.control,
        settings.serve,
    )
    places = {
        "worker": (worker.host, worker.port, "health only"),
        "ingest": (ingest.host, ingest.port, "feedback"),
        "control": (control.host, control.port, "API and events"),
        "serve": (serve.host, serve.port, "predictions"),
    }
    return [
        role_of_ours(
            name,
            data_dir=settings.data,
            host=host,
            port=port,
            url=f"http://{config.reachable(host)}:{port}",
            says=says,
            environment=config.environment(settings),
        )
        for name, (host, port, says) in places.items()
    ]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
