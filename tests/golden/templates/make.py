#!/usr/bin/env python3
"""Renders conversations through chat templates with transformers; the renderings are the goldens of chat_template_test.

usage: make.py OUT.json [TEMPLATE.jinja …]    without templates: the ones in templates/ beside this script
"""
import json
import pathlib
import sys

import jinja2
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).parent
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Weather <now> & 天气", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
CONVERSATIONS = {
    "short": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}],
    "system": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " 你好 "},
               {"role": "assistant", "content": "  您好！\n"}],
    "turns": [{"role": "user", "content": "a\n\nb"}, {"role": "assistant", "content": "one"},
              {"role": "user", "content": "assistant"}, {"role": "assistant", "content": "two <|x|> {{ y }}"}],
    "thinking": [{"role": "user", "content": "1+1?"},
                 {"role": "assistant", "content": "<think>\neasy\n</think>\n\n2"},
                 {"role": "user", "content": "2+2?"},
                 {"role": "assistant", "content": "<think>\nharder\n</think>\n\n4"}],
    "open": [{"role": "user", "content": "question"}],
    "tools": [{"role": "user", "content": "Weather?"},
              {"role": "assistant", "content": "", "tool_calls": [
                  {"type": "function", "function": {"name": "weather", "arguments": {"city": "Köln"}}}]},
              {"role": "tool", "content": "sunny", "name": "weather"},
              {"role": "assistant", "content": "Sunny."}],
}


def cases(path):
    source = path.read_text(encoding="utf-8")
    for name, messages in CONVERSATIONS.items():
        for prompt in (False, True):
            if prompt and name not in ("open", "turns"):
                continue
            tools = TOOLS if name == "tools" else None
            case = {"template": path.name, "name": name, "messages": messages, "add_generation_prompt": prompt,
                    "tools": tools}
            try:
                texts, spans = render_jinja_template(
                    conversations=[messages], chat_template=source, tools=tools, add_generation_prompt=prompt,
                    return_assistant_tokens_mask="{% generation %}" in source or "{%- generation" in source,
                    bos_token="<s>", eos_token="</s>")
                case["text"] = texts[0]
                if spans and spans[0]:
                    case["generations"] = [texts[0][a:b] for a, b in spans[0]]
            except Exception as error:  # the template refuses: hone must refuse too
                case["error"] = f"{type(error).__name__}: {error}"
            yield case


def main():
    paths = [pathlib.Path(p) for p in sys.argv[2:]] or sorted((HERE / "templates").glob("*.jinja"))
    golden = {"transformers": transformers.__version__, "jinja2": jinja2.__version__,
              "templates": {p.name: p.read_text(encoding="utf-8") for p in paths},
              "cases": [case for p in paths for case in cases(p)]}
    pathlib.Path(sys.argv[1]).write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


main()
