"""/metrics: the state of the service, for Prometheus."""

from __future__ import annotations

from ..web.request import Request, Text
from .routing import Routes

routes = Routes("service")
_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


@routes.route("GET", "/metrics", produces="text/plain")
def read_metrics(request: Request) -> Text:
    """Get metrics of mailings, messages, queues and gateway for Prometheus.

    Each request reads them from the tables and queues, with a limited number of reads. Counters and the histogram
    count all gateway calls since the tables were created.
    """
    from .exposition import exposition  # imported here because its library is slow to import

    return Text(exposition(request.services.gauges.read()), _EXPOSITION)
