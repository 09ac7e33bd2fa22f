"""A server that a benchmark starts on the loopback address and ends."""
import http.client
import os
import pathlib
import socket
import subprocess
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A process that answers at `port`; `memory` is its peak of resident memory in GiB."""

    def __init__(self, command, log):
        self.port = free_port()
        self.begun = time.monotonic()
        self.process = subprocess.Popen([str(word) for word in command] + ["--port", str(self.port)], stdout=log, stderr=log)
        for _ in range(6000):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                pass
            if self.process.poll() is not None:
                raise SystemExit(f"{command[0]}: exit {self.process.returncode}")
            time.sleep(0.005)
        self.ready = time.monotonic() - self.begun

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def status(self, key):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) / 1024 / 1024
        raise KeyError(key)

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))
