"""A web server on a free port of the loopback interface, for the checks of downloads: files with ranges, redirects, refusals,
and connections that are cut. A door in front of another server that cuts connections. And a proxy."""
import http.client
import http.server
import re
import socket
import ssl
import threading
import urllib.parse


class Site:
    def __init__(self, certificate=None):
        self.files = {}      # path -> bytes
        self.redirects = {}  # path -> address
        self.answers = {}    # path -> function of the request that gives (status, headers, body)
        self.log = []        # (method, path, headers)
        self.cut_after = 0   # bytes of a body, then the connection ends; 0: never
        self.ranges = True
        self.sent = 0        # bytes of bodies
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients that leave are part of the play
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if certificate else 'http'}://{self.host}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def paths(self, method="GET"):
        return [path for m, path, _ in self.log if m == method]

    def _handler(site):  # noqa: N805
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, headers, body):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "HEAD":
                    return
                cut = site.cut_after and len(body) > site.cut_after
                part = body[:site.cut_after] if cut else body
                site.sent += len(part)
                self.wfile.write(part)
                if cut:
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                self.body = self.rfile.read(length)
                site.log.append((self.command, self.path, dict(self.headers)))
                path = self.path.split("?")[0]
                if path in site.answers:
                    answered = site.answers[path](self)
                    if answered is not None:
                        return self.reply(*answered)
                if path in site.redirects:
                    return self.reply(302, {"Location": site.redirects[path]}, b"")
                if path not in site.files:
                    return self.reply(404, {}, b'{"error": "not found"}')
                body = site.files[path]
                wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
                if not wanted or not site.ranges:
                    return self.reply(200, {}, body)
                first, last = int(wanted[1]), int(wanted[2])
                return self.reply(206, {"Content-Range": f"bytes {first}-{last}/{len(body)}"}, body[first:last + 1])

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = answer
        return Handler


class Door:
    """Passes bytes on to another server; each connection ends after so many bytes in one direction."""

    def __init__(self, port, to_client=0, to_server=0, cuts=1 << 30):
        self.port, self.limits, self.cuts, self.passed = port, {"client": to_client, "server": to_server}, cuts, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            for source, sink, end in ((client, server, "server"), (server, client, "client")):
                threading.Thread(target=self._pass, args=(source, sink, end), daemon=True).start()

    def _pass(self, source, sink, end):
        limit, count = self.limits[end], 0
        try:
            while data := source.recv(65536):
                count += len(data)
                if limit and count > limit and self.cuts > 0:
                    self.cuts -= 1
                    break
                sink.sendall(data)
                self.passed += len(data) if end == "client" else 0
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Proxy:
    """Passes requests on to ports of this machine, by the host's name that they ask for, which only the proxy knows; TLS through CONNECT."""

    def __init__(self, hosts, authorization=None):
        self.hosts, self.authorization, self.log = hosts, authorization, []  # log: (method, target, Proxy-Authorization)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.host = f"127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def _handler(proxy):  # noqa: N805
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def refuse(self, status):
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def allowed(self, name):
                proxy.log.append((self.command, self.path, self.headers.get("Proxy-Authorization")))
                if proxy.authorization and self.headers.get("Proxy-Authorization") != proxy.authorization:
                    return self.refuse(407)
                return True if name in proxy.hosts else self.refuse(403)

            def do_CONNECT(self):
                name = self.path.rpartition(":")[0]
                if not self.allowed(name):
                    return
                self.send_response(200)
                self.end_headers()
                server = socket.create_connection(("127.0.0.1", proxy.hosts[name]))
                back = threading.Thread(target=self.pass_on, args=(server, self.connection), daemon=True)
                back.start()
                self.pass_on(self.connection, server)
                back.join()
                self.close_connection = True

            def pass_on(self, source, sink):
                try:
                    while data := source.recv(65536):
                        sink.sendall(data)
                    sink.shutdown(socket.SHUT_WR)
                except OSError:
                    pass

            def passed(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urllib.parse.urlsplit(self.path)
                if not self.allowed(parts.hostname):
                    return
                headers = {key: value for key, value in self.headers.items() if not key.lower().startswith("proxy-")}
                connection = http.client.HTTPConnection("127.0.0.1", proxy.hosts[parts.hostname], timeout=20)
                connection.request(self.command, parts.path + ("?" + parts.query if parts.query else ""), body=body or None, headers=headers)
                answer = connection.getresponse()
                data = answer.read()
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(key, value)
                self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = passed
        return Handler
