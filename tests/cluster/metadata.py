"""A metadata service that answers as both clouds' do.

``python -m tests.cluster.metadata ADDRESS`` announces that the machine is taken away.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Metadata(BaseHTTPRequestHandler):
    """Both clouds' pages; the end is announced once ``server.announced`` is set."""

    def do_PUT(self):
        asked = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") == "60"
        self.answer("secret" if asked and self.path == "/latest/api/token" else None)

    def do_GET(self):
        announced = self.server.announced
        if self.path == "/latest/meta-data/spot/instance-action":
            if self.headers.get("X-aws-ec2-metadata-token") != "secret":
                self.answer(None, status=401)
            else:
                self.answer('{"action": "terminate", "time": "2026-01-01T00:00:00Z"}' if announced else None)
        elif (
            self.path == "/computeMetadata/v1/instance/preempted"
            and self.headers["Metadata-Flavor"] == "Google"
        ):
            self.answer("TRUE" if announced else "FALSE")
        else:
            self.answer(None)

    def answer(self, text, status=404):
        self.send_response(status if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_):
        """Quiet."""


if __name__ == "__main__":
    server = ThreadingHTTPServer((sys.argv[1], 80), Metadata)
    server.announced = True
    server.serve_forever()
