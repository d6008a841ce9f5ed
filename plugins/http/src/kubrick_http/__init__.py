"""HTTP/1.1 as the API server and the node agent speak it, and what a connection may become afterwards.

A pure parser and writer, the connection that joins them to a stream, a listener; a client for proxying;
WebSockets, SPDY/3.1, and the streams of a running container over either. A library: it answers no hooks.
"""

from kubrick_http.response import ByteStream, Response, Stream, Upgrade

__all__ = ["ByteStream", "Response", "Stream", "Upgrade"]
