#!/usr/bin/env python3
"""The Hugging Face hub, played by a small server with its layout: GGUF files become models, plain repositories go into the hub's
cache; tokens stay with the hub, files are checked, and cut downloads go on."""
import hashlib
import json
import pathlib
import subprocess

from hone_program import check, main
from small_site import Site

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def publish(hub, store, repository, files):
    """Files of a repository: large ones (over 64 KiB) on the storage host, behind a redirect."""
    siblings = []
    for name, data in files.items():
        entry = {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()}
        path = f"/{repository}/resolve/{COMMIT}/{name}"
        if len(data) > 1 << 16:
            sha256 = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 130}
            store.files[f"/lfs/{sha256}"] = data
            hub.redirects[path] = f"{store.url}/lfs/{sha256}"
        else:
            hub.files[path] = data
        siblings.append(entry)
    hub.files[f"/api/models/{repository}/revision/main"] = json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}).encode()


def hone(program, *words, expect=0, **environment):
    process = subprocess.run([program.hone, *map(str, words)], env=dict(program.environment, **environment), capture_output=True, text=True, timeout=120)
    check(process.returncode == expect, f"hone {' '.join(map(str, words))}: exit {process.returncode}, expected {expect}\n{process.stdout}\n{process.stderr}")
    return process.stdout + process.stderr


def hub_check(program):
    hub, store = Site(), Site()
    cache = program.folder / "hub"
    program.environment.update(HONE_MODELS=str(program.folder / "models"), HF_ENDPOINT=hub.url, HF_HUB_CACHE=str(cache), HF_TOKEN="hf_secret")
    tiny = program.tiny_model()
    small, large = program.tiny_model("q8_0").read_bytes(), tiny.read_bytes()
    expected = hone(program, "run", tiny, "the", "--max-tokens", 4, "--temperature", 0)

    # GGUF: by quantisation, by file, and the usual choice.
    publish(hub, store, "org/Tiny.1-GGUF", {"tiny-f32.gguf": large, "tiny-Q8_0.gguf": small, "mmproj-f16.gguf": small, "README.md": b"words", "big-00001-of-00002.gguf": b"x"})
    check("plain http" in hone(program, "pull", "hf.co/org/Tiny.1-GGUF", expect=2), "http only when it is asked for")
    for tag in ("f32", "tiny-f32.gguf", "Q8_0", "latest"):
        hone(program, "pull", f"hf.co/org/Tiny.1-GGUF:{tag}", "--insecure")
    check(len([path for path in store.paths() if "/lfs/" in path]) == 2, "each file came once")
    check(hone(program, "run", "hf.co/org/Tiny.1-GGUF:f32", "the", "--max-tokens", 4, "--temperature", 0) == expected, "the same answers as from the file")
    shown = json.loads(hone(program, "show", "huggingface.co/org/Tiny.1-GGUF:q8_0".replace("q8_0", "Q8_0"), "--json"))
    check(shown["layers"][0]["digest"] == "sha256:" + hashlib.sha256(small).hexdigest() and "<|im_start|>" in shown["template"], "the model, and the template of its chat format")
    check("tiny-Q8_0.gguf" in hone(program, "pull", "hf.co/org/Tiny.1-GGUF:Q2_K", "--insecure", expect=2), "an unknown quantisation lists those there are")
    check(hub.log and all(headers.get("Authorization") == "Bearer hf_secret" for _, _, headers in hub.log), "the token goes to the hub")
    check(store.log and not any("Authorization" in headers for _, _, headers in store.log), "and to nobody else")

    # A plain repository: made by hone itself from the tiny model.
    folder = program.folder / "plain"
    hone(program, "export", tiny, "--format", "safetensors", "--out", folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    publish(hub, store, "org/plain", files | {"pytorch_model.bin": b"\0" * 100_000, "consolidated.00.safetensors": b"\0" * 100_000, ".gitattributes": b"x", "onnx/model.onnx": b"x"})
    store.cut_after = 100_000
    hone(program, "pull", "hf.co/org/plain", "--insecure")
    store.cut_after = 0
    snapshot = cache / "models--org--plain" / "snapshots" / COMMIT
    check({path.name: path.read_bytes() for path in snapshot.iterdir()} == files, "the files that a model needs, and no others")
    check(all(path.is_symlink() and path.resolve().parent == cache / "models--org--plain" / "blobs" for path in snapshot.iterdir()), "links to blobs, as the hub's programs keep them")
    check((cache / "models--org--plain" / "refs" / "main").read_text() == COMMIT and not [p for p in (cache / "models--org--plain" / "blobs").iterdir() if "partial" in p.name], "refs, and nothing unfinished")
    for name in ("hf.co/org/plain", "org/plain"):
        hone(program, "run", name, "the", "--max-tokens", 2, "--temperature", 0)
    before = store.sent + hub.sent
    hone(program, "pull", "hf.co/org/plain", "--insecure")
    check(store.sent + hub.sent - before < 4096, "what is there is not fetched again")
    # FROM a folder of the cache: converted, and the answers stay.
    modelfile = program.folder / "Modelfile"
    modelfile.write_text("FROM org/plain\n")
    modelfile.write_text(f"FROM {snapshot}\n")
    hone(program, "create", "converted", "-f", modelfile, "--quantize", "f32")
    check(hone(program, "run", "converted", "the", "--max-tokens", 4, "--temperature", 0) == expected, "the converted model answers alike")

    # Wrong bytes, small and large; answers that are no repository; names that leave the folder.
    for name, wrong in (("config.json", hub), ("model.safetensors", store)):
        publish(hub, store, f"org/wrong-{name[:3]}", files)
        where = f"/org/wrong-{name[:3]}/resolve/{COMMIT}/{name}" if wrong is hub else f"/lfs/{hashlib.sha256(files[name]).hexdigest()}"
        good = wrong.files[where]
        wrong.files[where] = good[:-1] + bytes([good[-1] ^ 1])
        check("hash" in hone(program, "pull", f"hf.co/org/wrong-{name[:3]}", "--insecure", expect=2), f"{name}: wrong bytes")
        wrong.files[where] = good
    check("hone pull" in hone(program, "run", "org/wrong-mod", "the", expect=2), "a repository that did not come whole is not there")
    for answer in (b"", b"[]", b'{"sha": "x", "siblings": []}', json.dumps({"sha": COMMIT, "siblings": [{"rfilename": "config.json", "size": 1, "blobId": "../../../x"}]}).encode(),
                   json.dumps({"sha": "../" + COMMIT[3:], "siblings": []}).encode(), json.dumps({"sha": COMMIT, "siblings": [{"rfilename": "../config.json", "size": 1, "blobId": COMMIT}]}).encode()):
        hub.files["/api/models/org/odd/revision/main"] = answer
        hone(program, "pull", "hf.co/org/odd", "--insecure", expect=2)
    check("HF_TOKEN" in refused(program, hub), "a closed repository says what it may need")
    check("HTTP 404" in hone(program, "pull", "hf.co/org/nowhere", "--insecure", expect=2), "an unknown repository")
    check(sorted(path.name for path in pathlib.Path(program.folder).iterdir() if path.name not in ("models", "hub")) == sorted(["tiny-f32.gguf", "tiny-q8_0.gguf", "plain", "Modelfile"] + (["home"] if (program.folder / "home").exists() else [])), "nothing was written elsewhere")
    hub.close()
    store.close()


def refused(program, hub):
    hub.answers["/api/models/org/closed/revision/main"] = lambda request: (403, {}, b'{"error": "gated"}')
    return hone(program, "pull", "hf.co/org/closed", "--insecure", expect=2)


main(hub_check)
