"""What Python's standard library reads of a request, told as JSON."""

import email.parser
import email.policy
import gzip
import http.client
import http.cookies
import json
import sys
import urllib.parse
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "the same line again and again\n" * 2000


class Unclosed:
    """A stream that survives its reader, and that http.client takes for a socket."""

    def __init__(self, stream):
        self.read, self.readline, self.readinto = stream.read, stream.readline, stream.readinto

    def makefile(self, _mode):
        return self

    def flush(self):
        pass

    def close(self):
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            # The decoder of Python's own client.
            reader = http.client.HTTPResponse(Unclosed(self.rfile))
            reader.chunked, reader.chunk_left, reader.length, reader.will_close = True, None, None, False
            return reader.read()
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def say(self, content, headers=()):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(200)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        body = self.body()
        if url.path == "/echo":
            self.say(body, [("X-Length", self.headers.get("Content-Length", "none"))])
        elif url.path == "/query":
            self.say(urllib.parse.parse_qsl(url.query, keep_blank_values=True, strict_parsing=True))
        elif url.path == "/form":
            text = body.decode("ascii")
            self.say([self.headers["Content-Type"], urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=True)])
        elif url.path == "/json":
            self.say([self.headers["Content-Type"], json.loads(body)])
        elif url.path == "/multipart":
            head = b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n"
            form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
            self.say([
                {
                    "name": part.get_param("name", header="content-disposition"),
                    "file": part.get_filename(),
                    "type": part.get_content_type(),
                    "content": part.get_payload(decode=True).decode("latin-1"),
                    "defects": len(part.defects) + len(form.defects),
                }
                for part in form.iter_parts()
            ])
        elif url.path == "/cookies/set":
            cookies = http.cookies.SimpleCookie()
            for name, value in urllib.parse.parse_qsl(url.query):
                cookies[name] = value
                cookies[name]["path"] = "/cookies"
                cookies[name]["httponly"] = True
                cookies[name]["samesite"] = "Lax"
            self.say(b"", [("Set-Cookie", cookie.OutputString()) for cookie in cookies.values()])
        elif url.path == "/cookies/expire":
            cookies = http.cookies.SimpleCookie({url.query: ""})
            cookies[url.query]["path"] = "/cookies"
            cookies[url.query]["max-age"] = 0
            cookies[url.query]["expires"] = -3600
            self.say(b"", [("Set-Cookie", cookies[url.query].OutputString())])
        elif url.path in ("/cookies", "/elsewhere"):
            cookies = http.cookies.SimpleCookie(self.headers.get("Cookie", ""))
            self.say({name: cookie.value for name, cookie in cookies.items()})
        elif url.path == "/coded":
            raw = zlib.compressobj(wbits=-15)
            code = {
                "gzip": gzip.compress,
                "deflate": zlib.compress,
                "raw-deflate": lambda text: raw.compress(text) + raw.flush(),
            }[url.query]
            self.say(code(TEXT.encode()), [("Content-Encoding", url.query.removeprefix("raw-"))])
        elif url.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"not a hundred bytes")
            self.close_connection = True
        elif url.path == "/until-close":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(TEXT.encode())
            self.close_connection = True
        else:
            self.send_error(404)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("port", server.server_port, flush=True)
server.serve_forever()
