#!/usr/bin/env python3
"""The published Python clients of Ollama, OpenAI and Anthropic, unmodified, and hone's own, against the server. They are installed from PyPI into a
virtual environment in the build folder."""
import hashlib
import os
import pathlib
import subprocess
import sys
import venv

from hone_program import check, main
from serve_program import Server

PACKAGES = ["ollama==0.4.2", "openai==1.59.9", "anthropic==0.49.0", "httpx==0.27.2"]
CLIENT = pathlib.Path(__file__).resolve().parents[2] / "clients" / "python"
# A template that shows tools and earlier calls, for the tiny model that has none.
TEMPLATE = ("{% if tools %}tools: {{ tools | tojson }}\n{% endif %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + (m.content or '') }}"
            "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def environment(build):
    """The Python of an environment that holds PACKAGES; made once per list."""
    folder = pathlib.Path(build) / ("clients-" + hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12])
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES], check=True)
        (folder / "complete").touch()
    return python


def run(program):
    python = environment(program.build)
    model = program.tiny_model()
    (program.folder / "Modelfile").write_text(f"FROM {model}\n")
    program.run("create", "tiny-stored", "-f", program.folder / "Modelfile")
    template = program.folder / "tools.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    with Server(program, f"tiny={model}", f"tools={model}", "--chat-template", f"tools={template}") as server:
        large = program.folder / "large.gguf"
        large.write_bytes(model.read_bytes())
        os.truncate(large, 100_000_000)  # zeros behind the tensors
        result = subprocess.run([python, pathlib.Path(__file__).with_name("client_calls.py"), str(server.port), str(large)], env=dict(os.environ, PYTHONPATH=str(CLIENT)),
                                capture_output=True, text=True, timeout=300)
        print(result.stdout)
        check(result.returncode == 0, result.stderr[-4000:])
        server.stop()


main(run)
