"""A loopback S3 server that answers every request after 30 ms.

Of what is uploaded it keeps small objects only. With a directory as its second argument it also
serves what lies there as `<bucket>/<key>`.
"""

import asyncio
import hashlib
import os
import re
import sys
import urllib.parse
from xml.sax.saxutils import escape

LATENCY = 0.03
KEPT_BYTES = 1 << 20
_DATE = "2026-01-01T00:00:00.000Z"
objects: dict[str, tuple[int, str, bytes]] = {}
parts: dict[str, dict[int, tuple[int, str]]] = {}
files: dict[str, str] = {}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one connection's requests."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
            lines = head.split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            if headers.get("expect", "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            left, md5, kept = int(headers.get("content-length", 0)), hashlib.md5(), bytearray()
            size = left
            while left:
                chunk = await reader.read(min(left, 1 << 18))
                left -= len(chunk)
                md5.update(chunk)
                if size <= KEPT_BYTES:
                    kept += chunk
            await asyncio.sleep(LATENCY)
            if method in ("GET", "HEAD") and target.partition("?")[0] in files:
                await send_file(writer, method, target.partition("?")[0], headers)
                continue
            etag = f'"{md5.hexdigest()}"'
            status, extra, body = answer(method, target, headers, size, etag, bytes(kept))
            length = len(body)
            if method == "HEAD" and status == 200:
                length = objects[target.partition("?")[0]][0]
            lines = [f"HTTP/1.1 {status} X", f"Content-Length: {length}", *extra, "", ""]
            writer.write("\r\n".join(lines).encode() + (b"" if method == "HEAD" else body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def send_file(
    writer: asyncio.StreamWriter, method: str, path: str, headers: dict[str, str]
) -> None:
    """Answers with a file, or with the range of it that is asked for."""
    size, etag, _ = objects[path]
    start, end, status = 0, size - 1, "200 OK"
    if match := re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", "")):
        start, end, status = int(match[1]), min(int(match[2] or end), end), "206 Partial"
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {end - start + 1}",
        f"ETag: {etag}",
        "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT",
        *([f"Content-Range: bytes {start}-{end}/{size}"] if status != "200 OK" else []),
        *("", ""),
    ]
    writer.write("\r\n".join(lines).encode())
    await writer.drain()
    if method == "GET" and end >= start:
        with open(files[path], "rb") as file:
            loop = asyncio.get_running_loop()
            await loop.sendfile(writer.transport, file, start, end - start + 1)


def add_directory(directory: str) -> None:
    """Serves what lies below a directory."""
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            target = "/" + urllib.parse.quote(os.path.relpath(path, directory))
            files[target] = path
            etag = f'"{hashlib.md5(target.encode()).hexdigest()}"'
            objects[target] = (os.path.getsize(path), etag, b"")


def answer(
    method: str, target: str, headers: dict[str, str], size: int, etag: str, data: bytes
) -> tuple[int, list[str], bytes]:
    """Returns status, headers and body for one request."""
    path, _, text = target.partition("?")
    query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
    if method == "GET" and ("prefix" in query or "list-type" in query):
        return 200, [], listing(path, query)
    if method == "POST" and "uploads" in query:
        name = str(len(parts))
        parts[name] = {}
        return 200, [], f"<R><Bucket>b</Bucket><Key>k</Key><UploadId>{name}</UploadId></R>".encode()
    if method == "PUT" and "partNumber" in query:
        parts[query["uploadId"]][int(query["partNumber"])] = (size, etag)
        return 200, [f"ETag: {etag}"], b""
    if method == "POST" and "uploadId" in query:
        sent = parts.pop(query["uploadId"])
        digests = b"".join(bytes.fromhex(sent[number][1].strip('"')) for number in sorted(sent))
        etag = f'"{hashlib.md5(digests).hexdigest()}-{len(sent)}"'
        objects[path] = (sum(part for part, _ in sent.values()), etag, b"")
        return 200, [], f"<R><ETag>{escape(etag)}</ETag></R>".encode()
    if method == "PUT":
        if "x-amz-copy-source" in headers:
            source = "/" + urllib.parse.unquote(headers["x-amz-copy-source"]).lstrip("/")
            objects[path] = objects[source]
            return 200, [], f"<R><ETag>{objects[path][1]}</ETag></R>".encode()
        if "if-none-match" in headers and path in objects:
            return 412, [], b""
        if "if-match" in headers and objects.get(path, (0, ""))[1] != headers["if-match"]:
            return 412, [], b""
        objects[path] = (size, etag, data)
        return 200, [f"ETag: {etag}"], b""
    if method == "DELETE":
        objects.pop(path, None)
        return 204, [], b""
    if path not in objects:
        return 404, [], b"<Error><Code>NoSuchKey</Code></Error>"
    known = objects[path]
    return 200, [f"ETag: {known[1]}", "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT"], known[2]


def listing(path: str, query: dict[str, str]) -> bytes:
    """Returns the XML of one listing."""
    bucket = path.strip("/").partition("/")[0]
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    found, common = [], set()
    for name, (size, etag, _) in sorted(objects.items()):
        key = urllib.parse.unquote(name).removeprefix(f"/{bucket}/")
        if not key.startswith(prefix):
            continue
        rest = key[len(prefix) :]
        if delimiter and delimiter in rest:
            common.add(prefix + rest.partition(delimiter)[0] + delimiter)
            continue
        found.append(
            f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><ETag>{escape(etag)}</ETag>"
            f"<LastModified>{_DATE}</LastModified></Contents>"
        )
    found += [
        f"<CommonPrefixes><Prefix>{escape(item)}</Prefix></CommonPrefixes>" for item in common
    ]
    inner = (
        f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount>"
    )
    text = re.sub(r"\s+", " ", "".join(found))
    return f"<R>{inner}<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{text}</R>".encode()


async def main() -> None:
    """Serves until the process is ended."""
    for directory in sys.argv[2:]:
        add_directory(directory)
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), limit=1 << 20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
