"""`burnish up`: all four roles on this machine, each its own process, supervised."""

import sys

from burnish import config
from burnish.adapters.role_process import Role
from burnish.adapters.secrets import TOKEN_FILE, ensure_secrets
from burnish.adapters.supervisor import supervise
from burnish.settings import Settings


def run(settings: Settings) -> int:
    """Run everything until SIGTERM or Ctrl-C; return the exit code."""
    secrets = ensure_secrets(settings.data)
    if secrets.token_is_new:
        _say("Administrator's token, shown this once; it is kept in the file beside:")
        _say(f"  {secrets.admin_token}   {settings.data / TOKEN_FILE}")
    return supervise(_roles(settings), settings.data, say=_say)


def _roles(settings: Settings) -> list[Role]:
    environment = config.environment(settings)
    worker = f"http://{config.reachable(settings.worker.host)}:{settings.worker.port}"
    says = {
        "control": (settings.control.url, "API and live events"),
        "ingest": (settings.ingest.url, "feedback"),
        "worker": (worker, "health and metrics only"),
        "serve": (settings.serve.url, "predictions"),
    }
    return [
        Role(
            name=name,
            command=[sys.executable, "-m", "burnish", name, "--data", str(settings.data)],
            ready_url=f"{url}/readyz",
            says=f"{url}   {what}",
            environment=environment,
        )
        for name, (url, what) in says.items()
    ]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
