"""Wires what reads other sources, and fetches inputs, for a worker."""

from collections.abc import Callable
from pathlib import Path

from burnish.adapters.gathering import Gathering
from burnish.adapters.objects_s3 import Credentials
from burnish.adapters.payloads.collector import PayloadCollector
from burnish.adapters.payloads.fetch import Bucketry, PayloadFetcher
from burnish.adapters.payloads.pictures import Pictures
from burnish.adapters.payloads.web import Web
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.sources.collector import SourceCollector
from burnish.adapters.sources.places import Places
from burnish.adapters.sql.payloads import SqlPayloads
from burnish.adapters.sql.sources import SqlSources
from burnish.adapters.system import utc_now
from burnish.bootstrap.house import House
from burnish.datasets.model import Dataset
from burnish.settings import PayloadsSettings


def gathering(house: House, raw_log: RawLogReader, project: Callable[[], object]) -> Gathering:
    """Return what brings a model's other sources and inputs up to now."""
    settings = house.settings
    payloads = SqlPayloads(house.engine)

    def newest(model: str) -> Dataset | None:
        with house.view() as view:
            return view.datasets.newest(model)

    return Gathering(
        sources=SourceCollector(
            objects=house.objects,
            sources=SqlSources(house.engine),
            places=Places(Path(settings.worker.sources_file)),
            clock=utc_now,
        ),
        payloads=PayloadCollector(
            views=house.view,
            payloads=payloads,
            objects=house.objects,
            fetcher=fetcher(settings.payloads),
            pictures=Pictures(payloads, house.objects),
            clock=utc_now,
            parallel=settings.payloads.parallel,
        ),
        raw_log=raw_log,
        project=project,
        newest=newest,
        every_s=settings.worker.sources_seconds,
    )


def fetcher(payloads: PayloadsSettings) -> PayloadFetcher:
    """Return what fetches inputs as the settings say."""
    file = payloads.s3_credentials_file
    private = (host.strip() for host in payloads.private_hosts.split(","))
    return PayloadFetcher(
        Web(
            max_bytes=payloads.max_bytes,
            timeout_s=payloads.timeout_seconds,
            private_hosts=frozenset(host for host in private if host),
        ),
        Bucketry(
            endpoint=payloads.s3_endpoint,
            region=payloads.s3_region,
            credentials=Credentials.read(Path(file)) if file else None,
            allow_http=payloads.s3_allow_http,
        ),
        max_bytes=payloads.max_bytes,
        timeout_s=payloads.timeout_seconds,
    )
