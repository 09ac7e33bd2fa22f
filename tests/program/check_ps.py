#!/usr/bin/env python3
"""hone ps and hone stop: what the server at $HONE_HOST has in memory, and out of it."""
import json
import re
import socket

from hone_program import check, main, wait_for
from serve_program import Server


def run(program):
    (program.folder / "Modelfile").write_text(f"FROM {program.tiny_model()}\n")
    program.run("create", "team/stored:v1", "-f", program.folder / "Modelfile")
    with Server(program, f"tiny={program.tiny_model()}") as server:
        program.environment["HONE_HOST"] = f"http://localhost:{server.port}/"
        lines = program.run("ps").splitlines()
        check(len(lines) == 1 and lines[0].split() == ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"], f"nothing is loaded: {lines}")
        server.json("POST", "/api/generate", {"model": "tiny", "keep_alive": -1})
        server.json("POST", "/api/generate", {"model": "team/stored:v1", "keep_alive": "5m"})
        rows = {line.split()[0]: line for line in program.run("ps").splitlines()[1:]}
        check(set(rows) == {"tiny:latest", "team/stored:v1"}, f"{rows}")
        check("100% CPU" in rows["tiny:latest"] and " 512 " in rows["tiny:latest"] and rows["tiny:latest"].endswith("Forever"), f"{rows}")
        check(re.search(r"[45] minutes from now$", rows["team/stored:v1"]), f"{rows}")
        listed = json.loads(program.run("ps", "--json"))
        check({m["name"]: m["digest"][:12] for m in listed} == {name: line.split()[1] for name, line in rows.items()}, f"{listed}")
        check("stopped 'tiny'" in program.run("stop", "tiny"), "stop")
        wait_for(lambda: set(line.split()[0] for line in program.run("ps").splitlines()[1:]) == {"team/stored:v1"}, "the model is given up")
        check("did you mean" in program.run("stop", "team/stored:v2", expect=2), "a misspelt name")
        check("not in the server's memory" in program.run("stop", "tiny", expect=2), "a model that is not loaded")
        server.json("POST", "/api/generate", {"model": "tiny", "keep_alive": -1})
        program.run("stop", "tiny:latest", "team/stored:v1")
        wait_for(lambda: json.loads(program.run("ps", "--json")) == [], "both are given up")
        server.stop()
    error = program.run("ps", expect=1)
    check(f"http://localhost:{server.port}" in error and "no server answers" in error and "hone serve" in error and "HONE_HOST" in error, error)
    with socket.socket() as silent:  # something else listens there
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        program.environment["HONE_HOST"] = f"127.0.0.1:{silent.getsockname()[1]}"
        process = program.start("stop", "tiny")
        connection, _ = silent.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        _, error = process.communicate(timeout=30)
        check(process.returncode == 1 and "no hone server" in error, error)
    program.environment["HONE_HOST"] = "127.0.0.1:port"
    check("is no port" in program.run("ps", expect=2), "a bad $HONE_HOST")
    del program.environment["HONE_HOST"]
    # A server with keys wants one.
    keys = program.folder / "keys"
    keys.write_text("infer 0123456789abcdef-infer\n")
    keys.chmod(0o600)
    with Server(program, f"tiny={program.tiny_model()}", "--api-keys", keys) as server:
        program.environment["HONE_HOST"] = f":{server.port}"
        check("HONE_API_KEY" in program.run("ps", expect=1), "no key")
        program.environment["HONE_API_KEY"] = "0123456789abcdef-infer"
        check(json.loads(program.run("ps", "--json")) == [], "with the key")
        server.stop()


main(run)
