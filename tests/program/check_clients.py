#!/usr/bin/env python3
"""The published Python clients of Ollama, OpenAI and Anthropic, unmodified, and hone's own, against the server. They are installed from PyPI."""
import os
import pathlib
import re
import subprocess

from hone_program import check, main
from python_environment import environment
from serve_program import Server

PACKAGES = ["ollama==0.4.2", "openai==1.109.1", "anthropic==0.49.0", "httpx==0.27.2"]
CLIENT = pathlib.Path(__file__).resolve().parents[2] / "clients" / "python"
# A template that shows tools and earlier calls, for the tiny model that has none.
TEMPLATE = ("{% if tools %}tools: {{ tools | tojson }}\n{% endif %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + (m.content or '') }}"
            "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def default_address(program):
    """Where `hone serve` listens when only $HONE_HOST's address is given; a port that is taken is named too."""
    program.environment["HONE_HOST"] = "127.0.0.1"
    process = program.start("serve")
    del program.environment["HONE_HOST"]
    line = process.stdout.readline() or process.stderr.read()
    process.kill()
    process.wait()
    found = re.search(r"127\.0\.0\.1:\d+", line)
    check(found, f"no address: {line}")
    return found.group()


def run(program):
    python = environment("clients", PACKAGES) / "bin" / "python"
    model = program.tiny_model()
    (program.folder / "Modelfile").write_text(f"FROM {model}\n")
    program.run("create", "tiny-stored", "-f", program.folder / "Modelfile")
    template = program.folder / "tools.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    with Server(program, f"tiny={model}", f"tools={model}", "--chat-template", f"tools={template}") as server:
        large = program.folder / "large.gguf"
        large.write_bytes(model.read_bytes())
        os.truncate(large, 100_000_000)  # zeros behind the tensors
        result = subprocess.run([python, pathlib.Path(__file__).with_name("client_calls.py"), str(server.port), default_address(program), str(large)], env=dict(os.environ, PYTHONPATH=str(CLIENT)),
                                capture_output=True, text=True, timeout=300)
        print(result.stdout)
        check(result.returncode == 0, result.stderr[-4000:])
        server.stop()


main(run)
