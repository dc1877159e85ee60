"""What a user is told when S3 refuses in ways that no emulator here does.

The answers are those of docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
"""

import http.server
import threading

import pytest
from support import bucket

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import check_writable, publish
from tfx_shrink.errors import PublishError

REFUSALS = {
    "another region's endpoint": (
        301,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint.",
    ),
    "another region's signature": (
        400,
        "AuthorizationHeaderMalformed",
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting "
        "'eu-west-1'",
    ),
}


@pytest.fixture(params=REFUSALS)
def endpoint(request):
    status, code, text = REFUSALS[request.param]

    class Refuse(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = f"<Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_wrong_region_is_named_with_a_remedy(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    destination = parse_destination("s3://models/x", "digits")
    model = bucket.write_model(tmp_path / "model")
    for ask in (lambda: publish(model, destination), lambda: check_writable(destination)):
        with pytest.raises(
            PublishError, match=r"wrong region or endpoint\. Check AWS_REGION"
        ) as error:
            ask()
        assert "s3://models/x" in str(error.value)
