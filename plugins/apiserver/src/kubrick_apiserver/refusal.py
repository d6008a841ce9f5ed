"""Refusals in the representation that the client reads: a Status as JSON, YAML or protobuf."""

from collections.abc import Callable, Mapping

from kubrick_api.errors import StatusError
from kubrick_api.protobuf import Protobuf
from kubrick_apiserver.negotiation import JSON, PROTOBUF, YAML, dump, representation
from kubrick_apiserver.web import Response
from kubrick_http.writer import status_response

Refuse = Callable[[StatusError, Mapping[str, str]], Response]
"""The response to a request with these headers (lower case names)."""


class Refusals:
    """`Refuse` for all representations. A client that reads none of them gets JSON."""

    def __init__(self, protobuf: Protobuf) -> None:
        self._protobuf = protobuf

    def __call__(self, error: StatusError, headers: Mapping[str, str]) -> Response:
        accept = headers.get("accept", "")
        if accept in ("", "*/*", JSON) or (PROTOBUF not in accept and YAML not in accept):
            return status_response(error)
        try:
            # What is asked for "as" a Table is refused as what it is.
            form = representation({"accept": accept.replace(";as=", ";not-as=")}, {}, transforms=False)
        except StatusError:
            return status_response(error)
        if form.media == JSON:
            return status_response(error)
        status = error.status()
        body = self._protobuf.encode(status) if form.media == PROTOBUF else dump(status, form)
        return Response(error.code, form.media, body, list(error.headers))
