#!/usr/bin/env python3
"""The verbs of the store: create from every kind of base, list, show, cp, rm; names wherever a model is wanted; Ollama's layout;
several processes at once; damage; nothing outside the folder."""
import hashlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import textwrap
import threading

from hone_program import check, main

RUN = ("the", "--max-tokens", 6, "--temperature", 0, "--f32")


def blobs(folder):
    return sorted(path.name for path in (folder / "blobs").iterdir()) if (folder / "blobs").exists() else []


def create(program, name, text, *more, **keywords):
    modelfile = program.folder / "Modelfile"
    modelfile.write_text(text, encoding="utf-8")
    return program.run("create", name, "-f", modelfile, *more, **keywords)


def layout(program, models):
    """Everything another program reads: paths, media types, digests, sizes, the config blob."""
    create(program, "words", f'FROM {program.tiny_model()}\nTEMPLATE """{{{{ .Prompt }}}}"""\nSYSTEM """be\nbrief"""\nPARAMETER temperature 0.5\nPARAMETER stop "a"\nPARAMETER stop b\nPARAMETER num_ctx 64\n'
           'MESSAGE user hi\nMESSAGE assistant """ho "ho" ho"""\nLICENSE """mine"""\n')
    path = models / "manifests" / "registry.ollama.ai" / "library" / "words" / "latest"
    manifest = json.loads(path.read_text())
    check(manifest["schemaVersion"] == 2 and manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json", "manifest")
    check(manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json", "config")
    content = {}
    for layer in [manifest["config"]] + manifest["layers"]:
        data = (models / "blobs" / layer["digest"].replace(":", "-")).read_bytes()
        check(layer["digest"] == "sha256:" + hashlib.sha256(data).hexdigest() and layer["size"] == len(data), "digest and size")
        content[layer["mediaType"].rsplit(".", 1)[-1]] = data
    check(content["model"] == program.tiny_model().read_bytes() and content["template"] == b"{{ .Prompt }}" and content["system"] == b"be\nbrief" and content["license"] == b"mine", "layers")
    check(json.loads(content["params"]) == {"temperature": 0.5, "stop": ["a", "b"], "num_ctx": 64}, f"params {content['params']}")
    check(json.loads(content["messages"]) == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": 'ho "ho" ho'}], f"messages {content['messages']}")
    config = json.loads(content["json"] if "json" in content else (models / "blobs" / manifest["config"]["digest"].replace(":", "-")).read_bytes())
    check(config["model_format"] == "gguf" and config["model_family"] == "llama" and config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]], f"config {config}")
    # The Modelfile that show prints makes the same model again.
    same_again(program, models, "words")
    lines = program.run("list").splitlines()
    check(lines[0].split() == ["NAME", "ID", "SIZE", "MODIFIED"] and lines[1].split()[1] == hashlib.sha256(path.read_bytes()).hexdigest()[:12] and lines[1].endswith("ago"), f"list {lines}")
    shown = program.run("show", "words")
    check(all(word in shown for word in ("  Model\n", "architecture", "llama", "  Parameters\n", 'stop           "a"', "  System\n", "be", "  License\n", "mine")), shown)
    # A store that Ollama wrote: another key order, more fields, a layer from a file.
    manifest["layers"][0]["from"] = "/root/.ollama/models/blobs/sha256-0"
    (path.parent / "other").write_text(json.dumps(manifest, indent=1, sort_keys=True))
    check(json.loads(program.run("show", "words:other", "--json"))["parameters"]["num_ctx"] == 64, "a manifest in other words")
    program.run("rm", "words", "words:other", "again")
    check(blobs(models) == [], f"rm leaves {blobs(models)}")


def generation_defaults(program, folder):
    """What generation_config.json says goes with the model: to the store, to GGUF and back, under what a Modelfile says."""
    (folder / "generation_config.json").write_text(json.dumps({"temperature": 0.25, "top_k": 3, "repetition_penalty": 1.5, "eos_token_id": [257, 65], "num_beams": 4}))
    process = program.start("run", folder, "the", "--max-tokens", 2, "--json", "--f32")
    notes = process.communicate()[1]
    check("num_beams 4 is passed over" in notes, f"what is passed over is said: {notes}")
    create(program, "own", "FROM folder\nPARAMETER top_k 5\n")
    check(json.loads(program.run("show", "own", "--json"))["parameters"] | {"stop": 0} == {"top_k": 5, "temperature": 0.25, "repeat_penalty": 1.5, "stop": 0}, "parameters of the store")
    gguf, back = program.folder / "defaults.gguf", program.folder / "back"
    program.run("export", folder, "--format", "gguf", "--out", gguf)
    program.run("export", gguf, "--format", "safetensors", "--out", back)
    found = json.loads((back / "generation_config.json").read_text())
    check(found["temperature"] == 0.25 and found["top_k"] == 3 and found["repetition_penalty"] == 1.5 and found["do_sample"] is True and sorted(found["eos_token_id"]) == [65, 257], f"there and back: {found}")
    # Greedy by the file, and otherwise by the command line.
    (folder / "generation_config.json").write_text('{"do_sample": false}')
    plain = [program.run("run", folder, "the", "--max-tokens", 6, "--f32", "--seed", seed) for seed in (1, 2)]
    check(plain[0] == plain[1] == program.run("run", folder, *RUN), "do_sample false is greedy")
    check(program.run("run", folder, "the", "--max-tokens", 6, "--f32", "--temperature", 5, "--seed", 1) != plain[0], "the command line counts more")
    (folder / "generation_config.json").unlink()
    program.run("rm", "own")


def bases(program, models):
    """FROM a file, a folder, a name, a run; ADAPTER a run and a GGUF file: all answer as they do without the store."""
    tiny = program.tiny_model()
    plain = program.run("run", tiny, *RUN)
    create(program, "plain", f"FROM ./{tiny.name}\n")
    check(program.run("run", "plain", *RUN) == plain, "FROM a file")
    check(program.run("run", "plain:latest", *RUN) == plain and program.run("run", "library/plain", *RUN) == plain, "other ways to write the name")
    create(program, "child", "FROM plain\nSYSTEM be brief\n")
    check(program.run("run", "child", *RUN, "--system", "you") == program.run("run", tiny, *RUN, "--system", "you"), "FROM a name")
    check(program.run("run", "child", *RUN) == program.run("run", tiny, *RUN, "--system", "be brief"), "SYSTEM is used")
    folder = program.folder / "folder"
    program.run("export", "plain", "--format", "safetensors", "--type", "f32", "--out", folder)
    create(program, "folder", "FROM folder\n", "--quantize", "f32")
    check(program.run("run", "folder", *RUN) == plain, "FROM a Hugging Face folder")
    generation_defaults(program, folder)
    create(program, "small", "FROM plain\n", "-q", "q8_0")
    check(json.loads(program.run("show", "small", "--json"))["details"]["quantization_level"] == "Q8_0", "--quantize")
    # A run on a named base.
    run = program.folder / "run"
    config = program.config(model__base="plain", training__max_steps=4, training__output_dir=run)
    program.run("train", config)
    tuned = program.run("run", "plain", "--adapter", run, *RUN)
    check(tuned != plain, "training changes the answers")
    create(program, "tuned", "FROM plain\nADAPTER run\n")
    check(program.run("run", "tuned", *RUN) == tuned, "ADAPTER a run")
    create(program, "whole", "FROM run\n")
    check(program.run("run", "whole", *RUN) == tuned, "FROM a run")
    lora = program.folder / "lora.gguf"
    program.run("export", run, "--format", "gguf-lora", "--out", lora)
    create(program, "lora", f"FROM plain\nADAPTER {lora}\n")
    check(program.run("run", "lora", *RUN) == tuned, "ADAPTER a GGUF file")
    create(program, "merged", "FROM tuned\n", "-q", "f32")
    check(not [layer for layer in json.loads(program.run("show", "merged", "--json"))["layers"] if layer["media_type"].endswith("adapter")], "--quantize merges the adapter")
    check(program.run("run", "merged", *RUN) == tuned, "merged weights answer alike")
    check("has an adapter" in program.run("train", program.config("more.yaml", model__base="tuned", training__output_dir=program.folder / "more"), expect=2), "training on an adapter")
    check("has an adapter" in program.run("run", "tuned", "--adapter", run, "the", expect=2), "two adapters")
    for words in (("tuned", "--adapter", f"x={run}"), ("--adapter", f"x={run}@tuned"), ("plain", "--adapter", f"a={run}", "--adapter", f"b={run}@a")):
        check("an adapter already" in program.run("serve", *words, "--port", "0", expect=2), f"a second adapter is refused at the start: {words}")
    documented(program, models, run)
    # Published names behind short ones, and a path that exists wins over a name.
    program.run("cp", "plain", "deepseek-llm:7b")
    process = subprocess.run([program.hone, "run", "deepseek:7b", *map(str, RUN)], env=program.environment, capture_output=True, text=True)
    check(process.stdout == plain and "deepseek:7b is published as deepseek-llm:7b" in process.stderr, process.stderr)
    check("hone pull deepseek-r1:1.5b" in program.run("run", "deepseek:1.5b", "the", expect=2), "how to get it")
    check('did you mean "plain:latest"' in program.run("run", "plane", "the", expect=2), "the nearest name")
    (program.folder / "tuned").write_bytes(tiny.read_bytes())
    process = subprocess.run([program.hone, "run", "tuned", *map(str, RUN)], env=program.environment, capture_output=True, text=True, cwd=program.folder)
    check(process.stdout == plain, "a path wins")
    # TEMPLATE, and one that hone cannot translate.
    create(program, "template", 'FROM plain\nTEMPLATE """<{{ .Prompt }}>"""\n')
    check(program.run("run", "template", *RUN) == program.run("run", tiny, "--raw", "<the>", *RUN[1:]), "TEMPLATE is used")
    create(program, "odd", 'FROM plain\nTEMPLATE """{{ printf "x" }}"""\n')
    process = subprocess.run([program.hone, "run", "odd", *map(str, RUN)], env=program.environment, capture_output=True, text=True)
    check(process.stdout == plain and "passed over" in process.stderr, "a template that cannot be translated is named")
    for text, reason in (("{{ .Prompt }", "never ends"), ("{{ if .Prompt }}x", "not closed"), ("{{ .Promt }}", "did you mean .Prompt?"), ("hello", "what the user says")):
        (program.folder / "broken").write_text(f'FROM plain\nTEMPLATE """{text}"""\n')
        said = program.run("create", "broken", "-f", program.folder / "broken", expect=2)
        check(reason in said and "broken" not in program.run("list"), f"{text}: {said}")
    create(program, "empty", 'FROM plain\nTEMPLATE ""\n')
    check(program.run("run", "empty", *RUN) == plain, "an empty TEMPLATE is none")
    # Parameters of the model, and options that win.
    create(program, "short", "FROM plain\nPARAMETER num_predict 1\nPARAMETER temperature 0\n")
    check(len(json.loads(program.run("run", "short", "the", "--json"))["ids"]) == 1 and len(json.loads(program.run("run", "short", "the", "--json", "--max-tokens", 3))["ids"]) == 3, "PARAMETER")


def same_again(program, models, name):
    """What show prints makes the same model again, to the last byte of its manifest."""
    shown = subprocess.run([program.hone, "show", name, "--modelfile"], env=program.environment, stdout=subprocess.PIPE, check=True).stdout
    create(program, "again", shown.decode())  # bytes: text would lose what stands before its line ends
    manifests = models / "manifests/registry.ollama.ai/library"
    check((manifests / "again/latest").read_bytes() == (manifests / name / "latest").read_bytes(), f"{name}: {program.run('show', name, '--modelfile')}")
    return json.loads(program.run("show", name, "--json"))


def documented(program, models, run):
    """The Modelfiles of the documents, and hard ones: each makes a model, and show prints what makes it again."""
    documents = pathlib.Path(__file__).parents[2] / "docs"
    blocks = [textwrap.dedent(block) for page in ("modelfile.md", "store.md") for block in re.findall(r"(?m)(?:^    .*\n|^\n)+", (documents / page).read_text(encoding="utf-8")) if re.search(r"(?m)^    FROM ", block)]
    check(blocks, "no example in the documents")
    for block in blocks:
        create(program, "example", block.replace("./model.gguf", str(program.tiny_model())).replace("runs/triage", str(run)))
        shown = same_again(program, models, "example")
        check(len(shown["messages"]) == 2 and shown["messages"][0]["content"] == 'The parcel is "lost".' and shown["parameters"]["temperature"] == 0.2, f"{shown}")
    hard = {"msgs": ('MESSAGE user Hello "there"\nMESSAGE assistant """"Hi\nyou""""\nMESSAGE user say "x"\n', lambda m: m["messages"][1]["content"] == '"Hi\nyou"' and m["messages"][2]["content"] == 'say "x"'),
            "comment": ("PARAMETER temperature 0.2        # one line per parameter\n", lambda m: m["parameters"]["temperature"] == 0.2),
            "mirostat": ("PARAMETER mirostat 2\nREQUIRES 0.14.0\n", lambda m: "mirostat" not in m["parameters"]),
            "fence": ('SYSTEM= "a\\"\\"\\"\\nb"\nTEMPLATE """{{ .Prompt }} """\nLICENSE " "\n', lambda m: m["system"] == 'a"""\nb' and m["template"] == "{{ .Prompt }} " and m["license"] == [" "]),
            "crlf": ('SYSTEM """a\r\nb"""\r\nMESSAGE user x\r\n', lambda m: m["system"] == "a\r\nb" and m["messages"][0]["content"] == "x")}
    modelfile = program.folder / "Modelfile"
    for name, (text, right) in hard.items():
        for encoding in ("utf-8", "utf-16", "utf-8-sig"):
            modelfile.write_bytes(f"FROM {program.tiny_model()}       # a model\n{text}".encode(encoding))
            program.run("create", "hard", "-f", modelfile)
            shown = same_again(program, models, "hard")
            check(right(shown), f"{name} in {encoding}: {shown}")
    process = subprocess.run([program.hone, "create", "hard", "-f", "-"], input="FROM $HONE_CHECK_FOLDER/tiny-f32.gguf\nPARAMETER mirostat 2\nPARAMETER num_gpu 1\n", env=dict(program.environment, HONE_CHECK_FOLDER=str(program.folder)),
                             capture_output=True, text=True, timeout=60)
    check(process.returncode == 0 and "note: mirostat is passed over" in process.stderr and "note: num_gpu has no effect" in process.stderr, process.stderr)
    program.run("rm", "hard", "again", "example")


def ollama(program, models):
    """$OLLAMA_MODELS: read, never written."""
    program.environment["OLLAMA_MODELS"], program.environment["HONE_MODELS"] = str(models), str(program.folder / "own")
    before = sorted((str(path), path.stat().st_mtime_ns) for path in models.rglob("*"))
    check("plain:latest" in program.run("list"), "listed")
    program.run("run", "plain", *RUN)
    check("only reads" in program.run("rm", "plain", expect=2), "not removed")
    create(program, "mine", "FROM plain\nSYSTEM x\n")
    program.run("cp", "plain", "copied")
    program.run("rm", "mine", "copied")
    check(sorted((str(path), path.stat().st_mtime_ns) for path in models.rglob("*")) == before, "nothing changed there")
    del program.environment["OLLAMA_MODELS"]
    program.environment["HONE_MODELS"] = str(models)


def together(program, models):
    """Many processes create, copy, list and remove at once; what is left is whole."""
    failures = []

    def work(number):
        try:
            modelfile = program.folder / f"Modelfile-{number}"
            modelfile.write_text(f"FROM {program.tiny_model()}\nSYSTEM number {number}\n")
            for _ in range(4):
                program.run("create", f"many/m{number}", "-f", modelfile)
                program.run("cp", f"many/m{number}", f"many/n{number}")
                program.run("rm", f"many/m{number}")
                program.run("list", "--json")
        except AssertionError as failure:
            failures.append(str(failure))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(not failures, "\n".join(failures[:2]))
    for number in range(4):
        program.run("run", f"many/n{number}", "the", "--max-tokens", 1)
    program.run("rm", *[f"many/n{number}" for number in range(4)])
    check(not any("partial" in name for name in blobs(models)), "nothing unfinished")


def killed(program, models):
    """kill -9 just before the n-th call of create and cp that writes or renames: no name that nobody gave, and the next change of the store clears what stayed behind."""
    modelfile = program.folder / "Modelfile-killed"
    modelfile.write_text(f"FROM {program.tiny_model()}\nSYSTEM killed\n")
    plain, count_file = dict(program.environment), program.folder / "calls"
    fault = {"LD_PRELOAD": str(program.build / "tests" / "libhone_fault.so"), "HONE_FAULT_COUNT": str(count_file)}
    before = blobs(models)

    def run(word, *words):
        process = subprocess.run([program.hone, *map(str, words)], env=dict(plain, HONE_FAULT=word, **fault), capture_output=True, text=True, timeout=60)
        return process.returncode, process.stderr

    deaths = left_behind = 0
    for words in (("create", "killed", "-f", modelfile), ("cp", "plain", "killed")):
        code, err = run("count:0", *words)
        check(code == 0, err)
        calls = int(count_file.read_text())
        program.run("rm", "killed")
        for n in sorted(random.sample(range(1, calls + 1), min(calls, 12)) + [calls]):
            code, err = run(f"kill:{n}", *words)
            deaths += code == -signal.SIGKILL
            left_behind += any(".partial-" in path.name for path in models.rglob("*"))
            for model in json.loads(program.run("list", "--json")):
                check("partial" not in model["name"] and "damage" not in model, f"{words[0]} killed at call {n}: hone list shows {model}")
            program.run("cp", "plain", "killed")  # which prunes
            program.run("rm", "killed")
            stayed = [str(path) for path in models.rglob("*") if ".partial-" in path.name]
            check(not stayed and blobs(models) == before, f"{words[0]} killed at call {n}: {stayed or set(blobs(models)) - set(before)} stayed behind")
    check(deaths > 10 and left_behind > 0, f"{deaths} deaths, {left_behind} of them left something")


def damage(program, models):
    bad = {"FRM x\n": 'did you mean "FROM"', "SYSTEM x\n": "no FROM", "FROM plain\nPARAMETER temprature 1\n": 'did you mean "temperature"', "FROM plain\nPARAMETER top_k many\n": "whole number", "FROM plain\nPARAMETER top_p 7\n": "from 0 to 1", "FROM plain\nPARAMETER typical_p 0.5\n": "not built in", "FROM plain\nFROM plain\n": "second FROM",
           'FROM plain\nSYSTEM """never\n': "never ends", "FROM plain\nMESSAGE wizard hi\n": "wizard", "FROM ./none.gguf\n": "no such file", "FROM nothing-of-this-name\n": "hone pull", "FROM plain\nADAPTER none\n": "does not exist",
           "FROM plain\nADAPTER tiny-f32.gguf\n": "not a LoRA adapter", "FROM\n": "no value", "": "no FROM"}
    for text, words in bad.items():
        err = create(program, "bad", text, expect=2)
        check(words in err and "hint:" in err, f"{text!r}: {err}")
    for name in ("../x", "a/../b", ".hidden", "a b", "x:..", "x:a/b/c/d", "é", "-x", "", "a" * 81):
        check("is malformed" in create(program, name, "FROM plain\n", expect=2) if not name.startswith("-") else True, name)
    program.run("cp", "plain", "nowhere/x:y")
    # A blob that is cut, a manifest that is not one: said so, and nothing is pruned meanwhile.
    digest = json.loads(program.run("show", "plain", "--json"))["layers"][0]["digest"].replace(":", "-")
    data = (models / "blobs" / digest).read_bytes()
    (models / "blobs" / digest).unlink()
    (models / "blobs" / digest).write_bytes(data[:1000])
    check("cut off" in program.run("run", "plain", "the", expect=2) and "damaged" in program.run("list"), "a blob that is cut")
    (models / "blobs" / digest).write_bytes(data)
    manifest = models / "manifests/registry.ollama.ai/nowhere/x/y"
    for text in ("", "{", "[]", '{"config": {}, "layers": []}', json.dumps({"config": {"mediaType": "c", "digest": "sha256:../../../etc/passwd", "size": 1}, "layers": [{}]}),
                 json.dumps(dict(json.loads((models / "manifests/registry.ollama.ai/library/plain/latest").read_text()), layers=[]))):
        manifest.write_text(text)
        check("hint:" in program.run("show", "nowhere/x:y", expect=2), text)
        before = blobs(models)
        process = subprocess.run([program.hone, "cp", "plain", "twin"], env=program.environment, capture_output=True, text=True)
        process = subprocess.run([program.hone, "rm", "twin"], env=program.environment, capture_output=True, text=True)
        check(process.returncode == 0 and f"{manifest}:" in process.stderr and "hone rm nowhere/x:y" in process.stderr, f"the remedy: {process.stderr}")
        check(blobs(models) == before, "damage prunes nothing")
    program.run("rm", "nowhere/x:y")
    # Links out of the store are not followed for writing.
    outside = program.folder / "outside"
    outside.mkdir()
    os.symlink(outside, models / "manifests/registry.ollama.ai/linked")
    check("leads out" in program.run("cp", "plain", "linked/x", expect=2), "a link out of the store")
    check(not list(outside.iterdir()), "nothing outside")
    (models / "manifests/registry.ollama.ai/linked").unlink()
    for name in [m["name"] for m in json.loads(program.run("list", "--json"))]:
        program.run("rm", name)
    check(blobs(models) == [], f"rm leaves {blobs(models)}")


def store_check(program):
    models = pathlib.Path(program.folder / "models")
    program.environment["HONE_MODELS"] = str(models)
    check(program.run("list").split() == ["NAME", "ID", "SIZE", "MODIFIED"] and not models.exists(), "an empty store is not made by looking at it")
    layout(program, models)
    bases(program, models)
    ollama(program, models)
    together(program, models)
    killed(program, models)
    damage(program, models)


main(store_check)
