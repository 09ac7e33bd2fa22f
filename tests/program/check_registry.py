#!/usr/bin/env python3
"""Pull and push against a real registry (Debian's docker-registry) and against one that misbehaves: cuts, wrong bytes, redirects,
refusals, foreign token services, full disks."""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import warnings

from hone_program import check, main
from serve_program import Server
from small_site import Door, Proxy, Site

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """docker-registry over a folder of its own."""

    def __init__(self, folder, password=None):
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        auth = ""
        if password:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import crypt
                (folder / "htpasswd").write_text(f"ann:{crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))}\n")
            auth = f"auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n"
        (folder / "config.yml").write_text(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: {self.host}}}\n{auth}")
        self.process = subprocess.Popen([shutil.which("docker-registry") or "docker-registry", "serve", folder / "config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("docker-registry does not start: scripts/setup.sh installs it")

    def close(self):
        self.process.kill()
        self.process.wait()


def blobs(folder):
    return {path.name: path for path in (folder / "blobs").iterdir()} if (folder / "blobs").exists() else {}


def whole_blobs(folder):
    """Every blob holds what its name says; nothing unfinished lies about."""
    for name, path in blobs(folder).items():
        check(name == "sha256-" + hashlib.sha256(path.read_bytes()).hexdigest(), f"{name} is damaged, or was left behind")


def hone(program, *words, expect=0, models=None, **environment):
    process = subprocess.run([program.hone, *map(str, words)], env=dict(program.environment, **({"HONE_MODELS": str(models)} if models else {}), **environment),
                             capture_output=True, text=True, timeout=120)
    check(process.returncode == expect, f"hone {' '.join(map(str, words))}: exit {process.returncode}, expected {expect}\n{process.stdout}\n{process.stderr}")
    return process.stdout + process.stderr


def real_registry(program, registry):
    source = pathlib.Path(program.environment["HONE_MODELS"])
    name = f"{registry.host}/team/tiny:v1"
    hone(program, "cp", "tiny", name)
    hone(program, "push", name, "--insecure")
    there = json.loads(hone(program, "show", name, "--json"))
    # Again: everything is there already, and the registry says so.
    check("pushing" not in hone(program, "push", name, "--insecure").replace("pushing manifest", ""), "blobs are not sent twice")
    copy = program.folder / "copy"
    hone(program, "pull", name, "--insecure", models=copy)
    whole_blobs(copy)
    check(set(blobs(copy)) == {"sha256-" + layer["digest"][7:] for layer in there["layers"]} | {n for n in blobs(copy) if n in blobs(source)}, "all layers came")
    again = json.loads(hone(program, "show", name, "--json", models=copy))
    check({k: v for k, v in again.items() if k != "modelfile"} == {k: v for k, v in there.items() if k != "modelfile"}, "the same model")
    check(hone(program, "run", name, "the", "--max-tokens", 4, models=copy) == hone(program, "run", "tiny", "the", "--max-tokens", 4), "the same answers")
    check("manifest unknown" in hone(program, "pull", f"{registry.host}/team/none", "--insecure", expect=2, models=copy), "an unknown name")
    hone(program, "pull", name, expect=1, models=program.folder / "tls")  # https to a server that speaks http


def cuts(program, registry):
    size = max(path.stat().st_size for path in blobs(pathlib.Path(program.environment["HONE_MODELS"])).values())
    door = Door(registry.port, to_client=400_000)
    copy = program.folder / "cut"
    hone(program, "pull", f"{door.host}/team/tiny:v1", "--insecure", models=copy)
    whole_blobs(copy)
    check(door.passed < 1.6 * size, f"{door.passed} bytes came for {size}: it does not go on where it was cut")
    door.close()
    # Killed in the middle, then again.
    door = Door(registry.port, to_client=400_000)
    copy = program.folder / "killed"
    process = subprocess.Popen([program.hone, "pull", f"{door.host}/team/tiny:v1", "--insecure"], env=dict(program.environment, HONE_MODELS=str(copy)), stdout=subprocess.DEVNULL)
    while door.passed < size // 3 and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    check(process.wait(30) in (130, 0), "an interrupt ends it")
    door.close()
    check(not (copy / "manifests").exists() or not any(path.is_file() for path in (copy / "manifests").rglob("*")) or process.returncode == 0, "a model appears only when it is whole")
    # Two at once: one fetches, the other waits, both succeed.
    door = Door(registry.port)
    name = f"{door.host}/team/tiny:v1"
    pulls = [subprocess.Popen([program.hone, "pull", name, "--insecure"], env=dict(program.environment, HONE_MODELS=str(copy)), stdout=subprocess.DEVNULL) for _ in range(3)]
    check([p.wait(60) for p in pulls] == [0, 0, 0], "several at once")
    check(door.passed < size, f"{door.passed} of {size} bytes came after an interrupt that kept a third")
    whole_blobs(copy)
    door.close()
    # Uploads that are cut.
    door = Door(registry.port, to_server=1_000_000, cuts=2)
    name = f"{door.host}/team/uploaded:v1"
    hone(program, "cp", "tiny", name)
    hone(program, "push", name, "--insecure")
    check(door.cuts == 0, "the uploads were cut")
    door.close()
    hone(program, "pull", f"{registry.host}/team/uploaded:v1", "--insecure", models=program.folder / "uploaded")
    whole_blobs(program.folder / "uploaded")


def credentials(program):
    registry = Registry(program.folder / "private", "secret")
    try:
        name = f"{registry.host}/team/tiny:v1"
        hone(program, "cp", "tiny", name)
        check("docker login" in hone(program, "push", name, "--insecure", expect=2), "without credentials")
        docker = program.folder / "docker"
        docker.mkdir()
        for password, code in (("wrong", 2), ("secret", 0)):
            (docker / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": base64.b64encode(f"ann:{password}".encode()).decode()}}}))
            hone(program, "push", name, "--insecure", expect=code, DOCKER_CONFIG=str(docker))
        hone(program, "pull", name, "--insecure", models=program.folder / "private-copy", DOCKER_CONFIG=str(docker))
    finally:
        registry.close()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def serve(site, layers, path="/v2/team/x"):
    """A model of (media type, bytes) on a site; returns the manifest."""
    config = b'{"model_format": "gguf", "model_family": "llama"}'
    entries = [{"mediaType": kind, "digest": digest(data), "size": len(data)} for kind, data in layers]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest(config), "size": len(config)}, "layers": entries}
    for data in [config] + [data for _, data in layers]:
        site.files[f"{path}/blobs/{digest(data)}"] = data
    site.files[f"{path}/manifests/latest"] = json.dumps(manifest).encode()
    return manifest


def bad_registry(program):
    weights = program.tiny_model().read_bytes()
    large = os.urandom(3_000_000)
    site, other = Site(), Site()
    models = program.folder / "bad"
    name = f"{site.host}/team/x"

    def pull(expect, **environment):
        return hone(program, "pull", name, "--insecure", expect=expect, models=models, **environment)

    def nothing(text):
        check(not any(path.is_file() for path in (models / "manifests").rglob("*")), f"{text}: no model")

    manifest = serve(site, [("application/vnd.ollama.image.model", large)])
    blob = f"/v2/team/x/blobs/{digest(large)}"
    # Other bytes than the digest says, of the right size.
    site.files[blob] = large[:-1] + bytes([large[-1] ^ 1])
    check("hash" in pull(2), "wrong bytes are refused")
    nothing("wrong bytes")
    check(not any(name.startswith("sha256-" + digest(large)[7:]) for name in blobs(models)), "and not kept")
    # Shorter and longer than the manifest says.
    site.files[blob] = large[:-10]
    pull(2)
    site.files[blob] = large + b"more"
    pull(2)
    # Malformed manifests.
    for broken in (b"", b"{", b"[]", b'{"layers": []}', json.dumps(manifest).replace("sha256:", "sha256:../../", 1).encode(), json.dumps(manifest | {"layers": [{"mediaType": "m", "digest": digest(b""), "size": 1 << 60}]}).encode(),
                   json.dumps({"manifests": []}).encode(), b"[" * 100_000):
        site.files["/v2/team/x/manifests/latest"] = broken
        pull(2)
    serve(site, [("application/vnd.ollama.image.model", large)])
    site.answers["/v2/team/x/manifests/latest"] = lambda r: (200, {"Docker-Content-Digest": digest(b"else")}, site.files["/v2/team/x/manifests/latest"])
    check("digest" in pull(2), "a manifest that is not what the registry says")
    del site.answers["/v2/team/x/manifests/latest"]
    # A server without ranges.
    site.ranges = False
    pull(0)
    site.ranges = True
    hone(program, "rm", name, models=models)
    # Bearer tokens: asked for once, sent to the registry alone and not to the host that holds the bytes.
    moved = "/storage/file"
    other.files[moved] = large
    site.redirects[blob] = other.url + moved
    wanted = f'Bearer realm="{site.url}/token",service="s",scope="repository:team/x:pull"'

    def guarded(request):
        return None if request.headers.get("Authorization") == "Bearer t0k" else (401, {"WWW-Authenticate": wanted}, b"{}")

    for path in list(site.files) + [blob]:
        site.answers[path] = guarded
    site.answers["/token"] = lambda r: (200, {}, b'{"token": "t0k"}')
    site.files[blob] = b""
    pull(0)
    check(not any("Authorization" in headers for _, _, headers in other.log) and other.log, "the token stays with its host")
    check(any("scope=repository%3Ateam%2Fx%3Apull" in path for path in site.paths()), "the scope is passed on")
    check(site.paths().count("/v2/team/x/manifests/latest") >= 2, "asked again with the token")
    hone(program, "rm", name, models=models)
    # A token service of another host is not followed.
    wanted = f'Bearer realm="{other.url}/token",service="s",scope="x"'
    other.log.clear()
    check("another host" in pull(2), "foreign token services are refused")
    check(not other.log, "and never asked")
    site.answers.clear()
    # Redirects without end.
    site.redirects["/v2/team/x/manifests/latest"] = site.url + "/v2/team/x/manifests/latest"
    check("circles" in pull(2), "a circle")
    site.redirects.clear()
    # Busy for a moment, then fine.
    busy = [2]

    def sometimes(_):
        busy[0] -= 1
        return (503, {}, b"busy") if busy[0] >= 0 else None

    serve(site, [("application/vnd.ollama.image.model", large)])
    site.answers["/v2/team/x/manifests/latest"] = sometimes
    pull(0)
    hone(program, "rm", name, models=models)
    # A full disk: says so, publishes nothing, and goes on once there is room.
    fault = program.build / "tests" / "libhone_fault.so"
    failures = 0
    for n in list(range(1, 40, 3)) + [60, 100]:
        process = subprocess.run([program.hone, "pull", name, "--insecure"], env=dict(program.environment, HONE_MODELS=str(models), LD_PRELOAD=str(fault), HONE_FAULT=f"full:{n}"), capture_output=True, text=True, timeout=60)
        if process.returncode == 0:
            hone(program, "rm", name, models=models)
            continue
        failures += 1
        check(process.returncode == 1 and "No space left" in process.stderr and "hint:" in process.stderr, f"full:{n}: exit {process.returncode}: {process.stderr}")
    check(failures >= 5, f"the disk was full {failures} times")
    pull(0)
    whole_blobs(models)
    # Names with weights that hone can open are models.
    serve(site, [("application/vnd.ollama.image.model", weights), ("application/vnd.ollama.image.system", b"be brief")], "/v2/team/y")
    hone(program, "pull", f"{site.host}/team/y", "--insecure", models=models)
    check("be brief" in hone(program, "show", f"{site.host}/team/y", models=models), "show")
    site.close()
    other.close()


def certificates(program):
    """https: a certificate must be valid for the host and trusted, whatever --insecure says; https never leads to http."""
    def certificate(name, subject):
        path = program.folder / name
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={subject}", "-keyout", path.with_suffix(".key"), "-out", path], check=True, capture_output=True)
        path.write_text(path.read_text() + path.with_suffix(".key").read_text())
        return path

    def pull(site, expect, trust, folder):
        return hone(program, "pull", f"localhost:{site.port}/team/x", expect=expect, models=program.folder / folder, SSL_CERT_FILE=str(trust))

    good, foreign = certificate("good.pem", "DNS:localhost"), certificate("foreign.pem", "DNS:example.org")
    site, other, plain = Site(good), Site(foreign), Site()
    large = os.urandom(2_500_000)
    serve(site, [("application/vnd.ollama.image.model", large)])
    serve(other, [("application/vnd.ollama.image.model", large)])
    check("certificate" in pull(site, 1, "/dev/null", "tls-1"), "an authority nobody trusts")
    check("certificate" in pull(other, 1, foreign, "tls-2"), "a certificate for another host")
    pull(site, 0, good, "tls-3")
    whole_blobs(program.folder / "tls-3")
    plain.files["/file"] = large
    site.redirects[f"/v2/team/x/blobs/{digest(large)}"] = plain.url + "/file"
    check("redirects from https" in pull(site, 2, good, "tls-4"), "https that leads to http")
    check(not plain.log and not other.log, "nothing was sent there")
    for one in (site, other, plain):
        one.close()


def proxies(program, registry):
    """What the environment names stands between: plain requests name the whole address to it, TLS goes through a tunnel; NO_PROXY and this machine go straight."""
    basic = "Basic " + base64.b64encode(b"ann:se:cret x").decode()
    certificate = program.folder / "proxied.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=DNS:models.example", "-keyout", certificate.with_suffix(".key"), "-out", certificate], check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + certificate.with_suffix(".key").read_text())
    site, large = Site(certificate), os.urandom(2_500_000)
    serve(site, [("application/vnd.ollama.image.model", large)])
    proxy = Proxy({"registry.example": registry.port, "models.example": site.port}, basic)
    with_key, without = f"http://ann:se%3Acret%20x@{proxy.host}", f"http://{proxy.host}"
    name = "registry.example:5000/team/proxied:v1"
    hone(program, "cp", "tiny", name)
    hone(program, "push", name, "--insecure", HTTP_PROXY=with_key, http_proxy="")
    copy = program.folder / "proxied"
    hone(program, "pull", name, "--insecure", models=copy, http_proxy=with_key)
    whole_blobs(copy)
    check(all(target.startswith("http://registry.example:5000/v2/team/proxied/") and key == basic for _, target, key in proxy.log) and {method for method, _, _ in proxy.log} >= {"GET", "PUT", "PATCH", "POST"}, f"{proxy.log}")
    proxy.log.clear()
    hone(program, "pull", "models.example/team/x", models=program.folder / "tunnelled", HTTPS_PROXY=with_key, SSL_CERT_FILE=str(certificate))
    whole_blobs(program.folder / "tunnelled")
    check(proxy.log and set(proxy.log) == {("CONNECT", "models.example:443", basic)}, f"{proxy.log}")
    check(not any("Proxy-Authorization" in headers for _, _, headers in site.log), "the proxy's password stays with the proxy")
    for environment, target, words in (({"HTTPS_PROXY": without}, "models.example/team/x", "wants a name and a password"), ({"http_proxy": without}, name, "wants a name and a password"),
                                       ({"HTTPS_PROXY": with_key}, "elsewhere.example/team/x", "HTTP 403"), ({"HTTPS_PROXY": "socks5://127.0.0.1:1"}, "models.example/team/x", "speaks socks5")):
        process = subprocess.run([program.hone, "pull", target, *(["--insecure"] if target == name else [])], env=dict(program.environment, HONE_MODELS=str(program.folder / "refused"), **environment), capture_output=True, text=True, timeout=60)
        check(process.returncode in (1, 2) and words in process.stderr and "hint:" in process.stderr and "cret" not in process.stderr, f"{environment}: {process.stderr}")
    proxy.log.clear()
    hone(program, "pull", f"{registry.host}/team/tiny:v1", "--insecure", models=program.folder / "straight", http_proxy=with_key)
    check(not proxy.log, f"addresses of this machine go straight: {proxy.log}")
    proxy.close()
    site.close()


def through_a_server(program, registry):
    """Push and pull as a client of hone serve asks for them; the model answers as soon as it is there."""
    name = f"{registry.host}/web/tiny:v1"
    with Server(program) as server:
        check(server.ask("POST", "/api/copy", {"source": "tiny", "destination": name})[0] == 200, "copy")
        lines = server.lines("/api/push", {"model": name, "insecure": True})
        check(lines[-1] == {"status": "success"} and not any("error" in line for line in lines), f"{lines}")
        server.stop()
    models = program.environment["HONE_MODELS"]
    with Server(program, environment={"HONE_MODELS": str(program.folder / "elsewhere")}) as server:
        lines = server.lines("/api/pull", {"model": name, "insecure": True})
        check(lines[0]["status"] == "pulling manifest" and lines[-1] == {"status": "success"}, f"{lines}")
        last = {line["digest"]: line for line in lines if "digest" in line and "total" in line}
        check(last and all(line["completed"] == line["total"] > 0 and line["status"].startswith("pulling ") for line in last.values()), f"{last}")
        check(server.json("POST", "/api/generate", {"model": name, "prompt": "then", "stream": False, "options": {"num_predict": 3}})["done"], "an answer")
        missing = server.json("POST", "/api/pull", {"model": f"{registry.host}/web/none:v1", "insecure": True, "stream": False}, expect=404)
        check("error" in missing, f"{missing}")
        check(server.ask("DELETE", "/api/delete", {"model": name})[0] == 200 and not blobs(program.folder / "elsewhere"), "delete leaves no blob")
        server.stop()
    program.environment["HONE_MODELS"] = models


def registry_check(program):
    program.environment["HONE_MODELS"] = str(program.folder / "models")
    program.environment["DOCKER_CONFIG"] = str(program.folder / "no-docker")
    wide = program.folder / "wide.gguf"
    subprocess.run([program.build / "tests" / "hone_tiny_model", wide, "f32", "llama", "6"], check=True)
    modelfile = program.folder / "Modelfile"
    modelfile.write_text(f"FROM {wide}\nSYSTEM be brief\nPARAMETER temperature 0\nLICENSE mine\n")
    hone(program, "create", "tiny", "-f", modelfile)
    registry = Registry(program.folder / "registry")
    try:
        real_registry(program, registry)
        cuts(program, registry)
        through_a_server(program, registry)
        proxies(program, registry)
    finally:
        registry.close()
    credentials(program)
    certificates(program)
    bad_registry(program)


main(registry_check)
