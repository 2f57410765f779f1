# One module or package per server protocol. They share one HTTP client, and its few connections.
#
#   client = connect(settings, watchdog.feed, settings.allow_plain_http)
#   server = Mender(settings, identity, client, feed=watchdog.feed)
# SPDX-License-Identifier: MIT

from micropython import const

from ..http import Client
from ..http.message import split_url

_MAX_ANSWER = const(16384)  # offers and tokens have some kilobytes


def connect(settings, feed, allow_plain):
    """The http.Client for servers of `settings`. allow_plain: the setting that says so for them.
    The board's certificate is for those servers alone: where they send it for a download sees
    none. Raises Rejected for certificates or a key that are none."""
    cert, key = settings.client_certificate()
    client = Client(
        ca=settings.ca_certificates,
        cert=cert,
        key=key,
        allow_plain=allow_plain,
        timeout=settings.http_timeout,
        max_connections=settings.max_connections,
        max_body=_MAX_ANSWER,
        feed=feed,
    )
    if cert:
        urls = settings.mender_url, settings.murano_url, settings.magistrala_url
        client.own = [split_url(url)[0] for url in urls + (settings.bootstrap_url,) if url]
    client.prepare()
    return client
