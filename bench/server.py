"""A server that a benchmark starts on the loopback address and ends."""
import http.client
import json
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


def stream_chat(port, model, text, tokens):
    """One greedy answer of /v1/chat/completions: (when each piece of it came, on the monotonic clock; the answer; its tokens)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    body = {"model": model, "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": tokens, "stream": True, "stream_options": {"include_usage": True}}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200, response.read(500)
    times, answer, produced = [], "", 0
    for line in response:
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        produced = (event.get("usage") or {}).get("completion_tokens", produced)
        content = event["choices"][0]["delta"].get("content") if event["choices"] else None
        if content:
            times.append(time.monotonic())
            answer += content
    return times, answer, produced
