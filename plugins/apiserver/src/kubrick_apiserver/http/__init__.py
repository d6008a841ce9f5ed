"""HTTP/1.1: a pure parser, a pure writer, a connection that joins them to a stream, and the streams."""
