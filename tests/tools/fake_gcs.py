"""A model of Google Cloud Storage, for two clients: obstore's and TensorFlow's own.

    python fake_gcs.py PORT PROXY_PORT CERTIFICATE KEY

At PORT it speaks the XML API (cloud.google.com/storage/docs/xml-api/reference-methods) over HTTP.
TensorFlow's client (tensorflow/tsl: platform/cloud/gcs_file_system.cc) has its hosts built in; with
`https_proxy` set to PROXY_PORT it is led here whatever it asks for, and reads by the JSON API over
TLS. Conditions on generations, pages of listings, copies and uploads in parts are as the public
documents say; everybody is let in, and nothing outlives the process.
"""

import contextlib
import datetime
import email.utils
import hashlib
import http.server
import itertools
import json
import re
import socket
import ssl
import sys
import threading
import urllib.parse
from xml.sax.saxutils import escape

PAGE = 1000
buckets: dict[str, dict[str, "Object"]] = {}
uploads: dict[str, dict[int, bytes]] = {}
generations = itertools.count(1_000)
lock = threading.RLock()


class Object:
    """One generation of an object; one made of parts has no MD5 sum, as in the real store."""

    def __init__(self, data: bytes, *, parts: bool = False):
        self.data, self.generation = data, next(generations)
        self.modified = datetime.datetime.now(datetime.timezone.utc)
        self.etag = f'"-{self.generation}"' if parts else f'"{hashlib.md5(data).hexdigest()}"'

    @property
    def updated(self):
        return self.modified.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def handle_one(self):
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        body = self._body()
        with lock:
            if url.path.startswith("/storage/v1/b/"):
                self._json(url.path.removeprefix("/storage/v1/b/"))
            else:
                bucket, _, key = url.path.lstrip("/").partition("/")
                self._xml(urllib.parse.unquote(bucket), urllib.parse.unquote(key), body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one  # noqa: N815

    def _json(self, path):
        bucket, _, key = path.partition("/o/")
        objects = buckets.get(bucket.removesuffix("/o"))
        if objects is None:
            return self._answer(404, json.dumps({"error": {"code": 404}}))
        if path.endswith("/o"):
            names, prefixes, token = page(objects, self.query, "pageToken", "maxResults")
            items = [resource(bucket.removesuffix("/o"), name, objects[name]) for name in names]
            found = {"kind": "storage#objects", "items": items, "prefixes": prefixes}
            return self._answer(
                200, json.dumps({**found, **({"nextPageToken": token} if token else {})})
            )
        if not key:
            return self._answer(200, json.dumps({"name": bucket, "location": "US"}))
        key = urllib.parse.unquote(key)
        if key not in objects:
            return self._answer(404, json.dumps({"error": {"code": 404}}))
        return self._answer(200, json.dumps(resource(bucket, key, objects[key])))

    def _xml(self, bucket, key, body):
        if not key and self.command == "PUT":
            buckets.setdefault(bucket, {})
            return self._answer(200)
        objects = buckets.get(bucket)
        if objects is None:
            return self._error(404, "NoSuchBucket", "The specified bucket does not exist.")
        if not key:
            return self._answer(200, listing(objects, self.query))
        if "uploads" in self.query:
            upload = str(next(generations))
            uploads[upload] = {}
            return self._answer(200, f"<R><UploadId>{upload}</UploadId></R>")
        if "partNumber" in self.query:
            uploads[self.query["uploadId"]][int(self.query["partNumber"])] = body
            return self._answer(200, headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})
        if "uploadId" in self.query:
            parts = uploads.pop(self.query["uploadId"])
            if self.command == "DELETE":
                return self._answer(204)
            return self._write(objects, key, b"".join(parts[part] for part in sorted(parts)), True)
        if self.command == "PUT":
            return self._put(objects, key, body)
        if key not in objects:
            return self._error(404, "NoSuchKey", "The specified key does not exist.")
        if self.command == "DELETE":
            del objects[key]
            return self._answer(204)
        return self._read(objects[key])

    def _put(self, objects, key, body):
        wanted = self.headers.get("x-goog-if-generation-match")
        there = objects[key].generation if key in objects else 0
        if wanted is not None and int(wanted) != there:
            return self._error(412, "PreconditionFailed", "A precondition did not hold.")
        source = self.headers.get("x-goog-copy-source")
        if source is None:
            return self._write(objects, key, body)
        bucket, _, name = urllib.parse.unquote(source).lstrip("/").partition("/")
        if name not in buckets.get(bucket, {}):
            return self._error(404, "NoSuchKey", "The specified key does not exist.")
        return self._write(objects, key, buckets[bucket][name].data)

    def _write(self, objects, key, data, parts=False):
        objects[key] = made = Object(data, parts=parts)
        self._answer(
            200,
            f"<R><ETag>{escape(made.etag)}</ETag><LastModified>{made.updated}</LastModified></R>",
            {"ETag": made.etag, "x-goog-generation": str(made.generation)},
        )

    def _read(self, found):
        data, status = found.data, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked:
            first, last = int(asked[1]), int(asked[2] or len(data))
            if first >= len(data):
                return self._error(416, "InvalidRange", "The range cannot be satisfied.")
            data, status = data[first : last + 1], 206
        headers = {
            "ETag": found.etag,
            "Last-Modified": email.utils.format_datetime(found.modified, usegmt=True),
            "x-goog-generation": str(found.generation),
        }
        if asked:
            end = first + len(data) - 1
            headers["Content-Range"] = f"bytes {first}-{end}/{len(found.data)}"
        self._answer(status, data, headers)

    def _error(self, status, code, text):
        self._answer(status, f"<Error><Code>{code}</Code><Message>{text}</Message></Error>")

    def _answer(self, status, body=b"", headers=None):
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _body(self):
        # TensorFlow sends both headers; the chunks are what is there.
        if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)


def resource(bucket, key, found):
    """What the JSON API says of an object."""
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": key,
        "size": str(len(found.data)),
        "generation": str(found.generation),
        "metageneration": "1",
        "updated": found.updated,
    }


def page(objects, query, token_name, size_name):
    """(keys, common prefixes, token of the next page or None) of one page of a listing."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after, size = query.get(token_name, ""), min(PAGE, int(query.get(size_name, PAGE)))
    names, prefixes = [], set()
    for name in sorted(objects):
        if not name.startswith(prefix) or name <= after:
            continue
        rest = name[len(prefix) :]
        common = prefix + rest.partition(delimiter)[0] + delimiter if delimiter else ""
        if delimiter and delimiter in rest:
            if common <= after or after.startswith(common):
                continue
            prefixes.add(common)
        else:
            names.append(name)
        if len(names) + len(prefixes) == size:
            return names, sorted(prefixes), name
    return names, sorted(prefixes), None


def listing(objects, query):
    """What the XML API says of a listing."""
    names, prefixes, token = page(objects, query, "continuation-token", "max-keys")
    parts = [f"<Name>b</Name><Prefix>{escape(query.get('prefix', ''))}</Prefix>"]
    parts.append(
        f"<KeyCount>{len(names)}</KeyCount><IsTruncated>{str(bool(token)).lower()}</IsTruncated>"
    )
    if token:
        parts.append(f"<NextContinuationToken>{escape(token)}</NextContinuationToken>")
    for name in names:
        found = objects[name]
        parts.append(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(found.data)}</Size>"
            f"<ETag>{escape(found.etag)}</ETag><LastModified>{found.updated}</LastModified></Contents>"
        )
    parts += [
        f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in prefixes
    ]
    return f"<ListBucketResult>{''.join(parts)}</ListBucketResult>"


def lead_here(client, port):
    """Answers CONNECT for any host and joins the client with the TLS port."""
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = client.recv(4096)
        if not chunk:
            return
        head += chunk
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=pump, args=(server, client), daemon=True)
        back.start()
        pump(client, server)
        back.join()


def pump(source, target):
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port, certificate=None):
        super().__init__(("127.0.0.1", port), Handler)
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)

    def finish_request(self, request, client_address):
        if self._tls:  # In this connection's thread: a handshake holds up nobody else.
            request = self._tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        pass  # A client that goes away is none of ours.


def main(port, proxy_port, certificate, key):
    tls = Server(0, (certificate, key))
    for server in (Server(int(port)), tls):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    listener = socket.create_server(("127.0.0.1", int(proxy_port)), backlog=256)
    while True:
        client, _ = listener.accept()
        threading.Thread(
            target=lead_here, args=(client, tls.server_address[1]), daemon=True
        ).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
