"""`checkrein serve`: the gateway in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from checkrein.config.values import Config
    from checkrein.core.spec import ProtocolSpec

GC_THRESHOLDS = (50_000, 20, 50)
"""Cycles are rare on the data path; a collection every 700 allocations costs every statement a little."""


@click.command()
@click.option("--config", "file", type=click.Path(), default=None, help="Configuration file [checkrein.yaml].")
def command(file: str | None) -> None:
    """Run the gateway in the foreground: logs go to stderr as JSON lines, SIGTERM ends it, SIGHUP reloads."""
    from checkrein.cli.client import config_file
    from checkrein.cli.version import version
    from checkrein.config.load import read_config
    from checkrein.protocols import PROTOCOLS

    log_as_json()
    specs = {spec.name: spec for spec in PROTOCOLS}
    config = read_config(config_file(file), {name: spec.default_port for name, spec in specs.items()})
    for warning in config.warnings:
        click.echo(str(warning), err=True)
    run(serve(config, specs, version()))


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the fastest loop there is."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def log_as_json() -> None:
    """Send the gateway's log to stderr as JSON lines; third parties' warnings too."""
    import structlog

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    logging.root.handlers[0].setFormatter(_JsonLines())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


class _JsonLines(logging.Formatter):
    """Third parties' log records, one JSON object a line, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        found = {"level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found)


async def serve(config: Config, specs: Mapping[str, ProtocolSpec], version: str) -> None:
    """Start an application, wait for a signal, stop it."""
    import structlog

    from checkrein.app.application import Application

    application = Application(config, specs, version)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await application.start()
    gc.collect()
    gc.freeze()  # what start made lives as long as the process
    gc.set_threshold(*GC_THRESHOLDS)
    loop.add_signal_handler(signal.SIGHUP, application.reloading.reload)
    log = structlog.get_logger("checkrein")
    log.info(
        "serving",
        control=application.control_url,
        listen={k: f"{h}:{p}" for k, (h, p) in application.addresses.items()},
    )
    await stopping.wait()
    log.info("stopping", open_sessions=len(application.sessions.by_id))
    await application.stop()
    log.info("stopped")
