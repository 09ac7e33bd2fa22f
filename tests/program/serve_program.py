"""What the checks of the server share: a running `hone serve`, and requests to it."""
import contextlib
import http.client
import json
import re
import socket
import ssl

from hone_program import Running, check


class Server(Running):
    address = r"://(?:[\d.]+|\[[^]]*\]):(\d+)()"
    first_lines = 1

    def __init__(self, program, *words, environment=None, tls=False):
        if environment:
            program.environment.update(environment)
        super().__init__(program, "serve", *words, *([] if "--port" in words else ["--port", "0"]))
        self.tls = tls

    def connection(self, timeout=60):
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, bytes)"""
        connection = self.connection()
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        result = response.status, dict((k.lower(), v) for k, v in response.getheaders()), response.read()
        connection.close()
        return result

    def json(self, method, path, body=None, expect=200, headers=None):
        status, _, data = self.ask(method, path, body, headers)
        check(status == expect, f"{method} {path}: {status}, expected {expect}: {data[:400]}")
        return json.loads(data)

    def lines(self, path, body):
        status, headers, data = self.ask("POST", path, body)
        check(status == 200 and headers["content-type"] == "application/x-ndjson", f"{path}: {status} {headers}")
        return [json.loads(line) for line in data.splitlines()]

    def events(self, path, body):
        status, headers, data = self.ask("POST", path, body)
        check(status == 200 and headers["content-type"].startswith("text/event-stream"), f"{path}: {status} {headers} {data[:200]}")
        events = [event for event in data.decode().split("\n\n") if event]
        check(all(event.startswith("data: ") for event in events) and events[-1] == "data: [DONE]", f"{path}: {events[-3:]}")
        return [json.loads(event[6:]) for event in events[:-1]]

    def raw(self, data, shut=False, timeout=30):
        """What comes back for these bytes, until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as s:
            with contextlib.suppress(OSError):
                s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := s.recv(65536):
                    received += piece
            return received

    def metric(self, name):
        text = self.ask("GET", "/metrics")[2].decode()
        return float(re.search(rf"^hone_{name} (\S+)$", text, re.M).group(1))
