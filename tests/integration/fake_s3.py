# SPDX-License-Identifier: GPL-2.0-or-later
"""A bucket in memory that speaks enough of S3 for a server under test. Standard library only; it checks no signatures.

    bucket = Bucket(env)
    env.server(config=bucket.config())
    bucket.objects            # {"larch/fake/catalog/0000000000000001": b"…"}

`bucket.conditions` is what it makes of If-None-Match: "kept", "ignored" or "refused". While `bucket.down` it hangs up on
every request. `bucket.fault(method, name)` may be set: called for every request that is carried out, it returns None,
or "lose" (carried out, no answer), "hang up" (neither), or a status. `bucket.seen` lists what was asked: (method, name).
"""
import http.server
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

from harness import SERVER_CONFIG

BUCKET = "logs"


class Bucket:
    def __init__(self, env):
        self.port = env.free_port()
        self.objects, self.seen = {}, []
        self.conditions, self.down, self.fault = "kept", False, None
        self.lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self.handler())
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients that are killed
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def config(self, more=""):
        """A server that keeps its objects here and gives up soon."""
        storage = (f"  storage: {{s3: {{endpoint: 'http://127.0.0.1:{self.port}', bucketnames: {BUCKET}, access_key_id: k, "
                   "secret_access_key: s, backoff_config: {min_period: 1ms, max_period: 10ms}}}\n")
        text = SERVER_CONFIG.replace("  replication_factor: 1\n", "  replication_factor: 1\n" + storage)
        return text.replace("object_store: filesystem", "object_store: s3") + "larch:\n  catalog_refresh: 100ms\n" + more

    def names(self, part=""):
        with self.lock:
            return sorted(n for n in self.objects if part in n)

    def listing(self, query):
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        most, delimiter = int(query.get("max-keys", 1000)), query.get("delimiter")
        items, seen = [], set()
        for name in sorted(self.objects):
            if not name.startswith(prefix):
                continue
            rest = name[len(prefix):]
            shown = prefix + rest.split("/")[0] + "/" if delimiter and "/" in rest else name
            if shown <= after or shown in seen:
                continue
            seen.add(shown)
            items.append(shown)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        xml = "".join(f"<CommonPrefixes><Prefix>{escape(n)}</Prefix></CommonPrefixes>" if n.endswith("/") else
                      f"<Contents><Key>{escape(n)}</Key><LastModified>{stamp}</LastModified>"
                      f"<Size>{len(self.objects[n])}</Size></Contents>" for n in items[:most])
        more = len(items) > most
        token = f"<NextContinuationToken>{escape(items[most - 1])}</NextContinuationToken>" if more else ""
        return f"<ListBucketResult>{xml}<IsTruncated>{str(more).lower()}</IsTruncated>{token}</ListBucketResult>".encode()

    def carry_out(self, method, name, query, headers, body):
        """Status, body, more headers."""
        if "uploads" in query:
            return 200, b"<ListMultipartUploadsResult></ListMultipartUploadsResult>", {}
        if "list-type" in query:
            return 200, self.listing(query), {}
        if method == "PUT":
            if headers.get("If-None-Match") and self.conditions == "refused":
                return 501, b"<Error><Code>NotImplemented</Code></Error>", {}
            if headers.get("If-None-Match") and self.conditions == "kept" and name in self.objects:
                return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
            self.objects[name] = body
            return 200, b"", {"ETag": '"x"'}
        if method == "DELETE":
            self.objects.pop(name, None)
            return 204, b"", {}
        if name not in self.objects:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        data = self.objects[name]
        if not headers.get("Range"):
            return 200, data, {}
        first, last = map(int, headers["Range"].split("=")[1].split("-"))
        if first >= len(data):
            return 416, b"<Error><Code>InvalidRange</Code></Error>", {}
        part = data[first:last + 1]
        return 206, part, {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"}

    def handler(bucket):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
                name = urllib.parse.unquote(url.path)[len(BUCKET) + 2:]
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if bucket.down:
                    self.close_connection = True
                    return
                fault = bucket.fault(self.command, name) if bucket.fault else None
                with bucket.lock:
                    bucket.seen.append((self.command, name))
                    if isinstance(fault, int):
                        status, data, more = fault, b"<Error><Code>AsTold</Code></Error>", {}
                    elif fault != "hang up":
                        status, data, more = bucket.carry_out(self.command, name, query, self.headers, body)
                if fault in ("lose", "hang up"):
                    self.close_connection = True
                    return
                self.send_response(status)
                for key, value in {**more, "Content-Length": str(len(data))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = answer
        return Handler
