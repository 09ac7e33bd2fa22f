#!/usr/bin/env python3
"""Renders conversations through the published templates of the families with transformers; the renderings are the goldens of check_templates.

usage: families.py TRL_FOLDER SMOLLM2_GGUF     TRL_FOLDER: the unpacked wheel of trl, which carries the models' own templates

Templates are not kept here: check_templates fetches the same wheels. What is to be learned of an assistant's turn is what inference should
give behind its generation prompt: the rest of the conversation's rendering that ends with this turn or, where that does not begin with the
prompt (a prompt that opens <think>, a template that leaves reasoning out), the reasoning, its end, and the turn as the template writes it.
Where trl has a twin of the template that marks turns with {% generation %} for training, the two must agree.
"""
import json
import pathlib
import re
import sys

import gguf
import jinja2
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).parent
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Weather <now> & 天气", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "a city"}}, "required": ["city"]}}}]
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Köln"}}}
TEXT_CALL = {"type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Köln\"}"}}
SYSTEM, USER, ASSISTANT = ({"role": role} for role in ("system", "user", "assistant"))
CONVERSATIONS = {
    "no system": [USER | {"content": "Hi"}, ASSISTANT | {"content": "Hello!"}],
    "system": [SYSTEM | {"content": "Be brief."}, USER | {"content": "你好"}, ASSISTANT | {"content": "您好！"}],
    "turns": [USER | {"content": "a\n\nb"}, ASSISTANT | {"content": "one"}, USER | {"content": "assistant"}, ASSISTANT | {"content": "two <x> {{ y }}"}],
    "system turns": [SYSTEM | {"content": "S"}, USER | {"content": "one"}, ASSISTANT | {"content": "one"}, USER | {"content": "two"}, ASSISTANT | {"content": "one"}],
    "thinking in content": [USER | {"content": "1+1?"}, ASSISTANT | {"content": "<think>\neasy\n</think>\n\n2"}, USER | {"content": "2+2?"}, ASSISTANT | {"content": "<think>\nharder\n</think>\n\n4"}],
    "reasoning_content": [USER | {"content": "1+1?"}, ASSISTANT | {"content": "2", "reasoning_content": "easy"}],
    "open": [USER | {"content": "question"}],
    "open after an answer": [SYSTEM | {"content": "S"}, USER | {"content": "a"}, ASSISTANT | {"content": "b"}, USER | {"content": "c"}],
    "tools offered": [USER | {"content": "Hi"}, ASSISTANT | {"content": "Hello!"}],
    "tool call": [USER | {"content": "Weather?"}, ASSISTANT | {"content": "", "tool_calls": [CALL]}, {"role": "tool", "content": "sunny", "name": "weather"}, ASSISTANT | {"content": "Sunny."}],
    "tool call with words": [SYSTEM | {"content": "S"}, USER | {"content": "Weather?"}, ASSISTANT | {"content": "I look.", "tool_calls": [CALL]}, {"role": "tool", "content": "rain", "name": "weather"}, ASSISTANT | {"content": "Rain."},
                             USER | {"content": "Thanks"}, ASSISTANT | {"content": "Welcome."}],
    "tool call with arguments as text": [USER | {"content": "Weather?"}, ASSISTANT | {"content": None, "tool_calls": [TEXT_CALL]},
                                         {"role": "tool", "content": "sunny"}, ASSISTANT | {"content": "Sunny."}],
    "tool call after tool call": [USER | {"content": "Weather?"}, ASSISTANT | {"content": None, "tool_calls": [TEXT_CALL]}, {"role": "tool", "content": "sunny"}, ASSISTANT | {"content": None, "tool_calls": [TEXT_CALL]},
                                  {"role": "tool", "content": "rain"}, ASSISTANT | {"content": "Both."}],
    "two tool calls": [USER | {"content": "Weather?"}, ASSISTANT | {"content": None, "tool_calls": [TEXT_CALL, TEXT_CALL]}, {"role": "tool", "content": "sunny"}, {"role": "tool", "content": "rain"}, ASSISTANT | {"content": "Both."}],
    "a tool call last": [USER | {"content": "Weather?"}, ASSISTANT | {"content": None, "tool_calls": [TEXT_CALL]}],
    "spaces": [USER | {"content": "  x  "}, ASSISTANT | {"content": "y z"}],
}
CHATML, LLAMA, DEEPSEEK, DEEPSEEK2 = (r"<\|im_start\|>assistant\n(.*?<\|im_end\|>)", r"<\|start_header_id\|>assistant<\|end_header_id\|>\n\n(.*?<\|eot_id\|>)",
                                       r"(?:<｜Assistant｜>|<｜tool▁outputs▁end｜>|<｜tool▁output▁end｜>(?=\n<｜tool▁call▁begin｜>))(.*?(?:<｜end▁of▁sentence｜>|<｜tool▁call▁end｜>(?=<｜tool▁outputs▁begin｜>|$)))", r"(?:(?<=\n)|(?<=<｜end▁of▁sentence｜>))Assistant:(.*?<｜end▁of▁sentence｜>)")
# file: (begin token, end token, small tokenizer of tests/golden/tokenizers for the mask, an assistant's turn)
TRL = {
    "deepseekv3": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "deepseek-v3", DEEPSEEK),
    "deepseek_r1_distill": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "deepseek-v3", DEEPSEEK),
    "llama3": ("<|begin_of_text|>", "<|eot_id|>", "llama-bpe", LLAMA),
    "llama3_1": ("<|begin_of_text|>", "<|eot_id|>", "llama-bpe", LLAMA),
    "llama3_2": ("<|begin_of_text|>", "<|eot_id|>", "llama-bpe", LLAMA),
    "qwen2_5": ("", "<|im_end|>", "qwen2", CHATML),
    "qwen3": ("", "<|im_end|>", "qwen2", CHATML),
    "qwen3_instruct_2507": ("", "<|im_end|>", "qwen2", CHATML),
}
OWN = {  # written here after the families' published turn formats
    "qwen2": ("", "<|im_end|>", "qwen2", CHATML),
    "deepseek_v2": ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "deepseek-llm", DEEPSEEK2),
}


def render(source, messages, prompt, tools, mask=False, **variables):
    texts, spans = render_jinja_template(conversations=[messages], chat_template=source, tools=tools, add_generation_prompt=prompt,
                                         return_assistant_tokens_mask=mask, **variables)
    return texts[0], [texts[0][a:b] for a, b in spans[0]] if spans and spans[0] else []


def bare(piece):
    """Without what the twins count to a turn besides: the words that open it and the newline after it."""
    return re.sub(r"^(<｜Assistant｜>|<｜tool▁outputs▁end｜>|\n(?!<｜))", "", piece).removesuffix("\n")


def closing(prompt):
    return "</think>\n\n" if prompt.endswith("<think>") else "\n</think>\n\n"


def as_written(messages, render_one):
    """Calls in the form the template takes: null for no words, arguments as an object or else as text."""
    null = [m | {"content": None} if m.get("tool_calls") and m["content"] == "" else m for m in messages]
    text = [m | {"tool_calls": [c | {"function": c["function"] | {"arguments": as_text(c["function"]["arguments"])}} for c in m["tool_calls"]]} if m.get("tool_calls") else m for m in null]
    for form in (null, text):
        try:
            render_one(form, False)
            return form
        except Exception:
            pass
    return messages


def as_text(arguments):
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def learned(source, turn, messages, render_one):
    """What follows the generation prompt of each assistant's turn. A call without words has null for its content, as OpenAI writes it."""
    pieces = []
    if "tool_calls" in source:
        messages = as_written(messages, render_one)
    for k, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        prompt, whole = render_one(messages[:k], True), render_one(messages[:k + 1], False)
        body = list(re.finditer(turn, whole, re.DOTALL))[-1]
        reasoning = message.get("reasoning_content", "")
        opened = prompt.rstrip().endswith("<think>")
        answer = whole[len(prompt):body.end(1)] if whole.startswith(prompt) else ""
        if message.get("tool_calls") and "weather" not in body.group(1):
            return None  # the template does not write calls: such a turn cannot be learned
        if answer and (reasoning in answer if reasoning else not opened or "</think>" in answer):
            pieces.append(answer)
            continue
        rest = re.sub(r"^\s*(<think>\s*)?</think>\s*", "", body.group(1))
        if opened:
            pieces.append(reasoning + closing(prompt) + rest.lstrip("\n"))
        else:
            pieces.append(f"<think>\n{reasoning}\n</think>\n\n{rest}" if reasoning else body.group(1))
    return pieces


def cases(name, source, twin, setting):
    bos, eos, tokenizer, turn = setting
    extra = {"date_string": "26 Jul 2024"} if name.startswith("llama3_") else {}
    for conversation, messages in CONVERSATIONS.items():
        for prompt in (False, True):
            tools = TOOLS if "tool" in conversation else None
            case = {"template": name, "name": conversation, "add_generation_prompt": prompt, "bos_token": bos, "eos_token": eos, "extra": extra, "tokenizer": tokenizer}
            try:
                case["text"], _ = render(source, messages, prompt, tools, bos_token=bos, eos_token=eos, **extra)
                if not prompt:
                    case["learned"] = learned(source, turn, messages, lambda some, opened: render(source, some, opened, tools, bos_token=bos, eos_token=eos, **extra)[0])
                if twin and not prompt:
                    again, marked = render(twin, messages, prompt, tools, mask=True, bos_token=bos, eos_token=eos, **extra)
                    if again == case["text"] and "<think>" not in source and case["learned"] and [bare(piece) for piece in marked] != case["learned"]:
                        print(name, conversation, "twin:", marked, "turns:", case["learned"])
            except Exception as error:  # the template refuses: hone must refuse too
                case["error"] = f"{type(error).__name__}: {error}"
            yield case


def main():
    folder = pathlib.Path(sys.argv[1]) / "trl/chat_templates"
    every = []
    for name, setting in TRL.items():
        twin = folder / f"{name}_training.jinja"
        every += cases(name, (folder / f"{name}.jinja").read_text(encoding="utf-8"), twin.read_text(encoding="utf-8") if twin.exists() else None, setting)
    for name, setting in OWN.items():
        every += cases(name, (HERE / f"templates/{name}.jinja").read_text(encoding="utf-8"), None, setting)
    smollm2 = gguf.GGUFReader(sys.argv[2]).fields["tokenizer.chat_template"].contents()
    every += cases("smollm2", smollm2, None, ("<|im_start|>", "<|im_end|>", "smollm", CHATML))
    metadata = next(pathlib.Path(sys.argv[1]).glob("trl-*.dist-info")).name
    golden = {"transformers": transformers.__version__, "jinja2": jinja2.__version__, "trl": metadata.split("-")[1].removesuffix(".dist"), "conversations": CONVERSATIONS, "tools": TOOLS, "cases": every}
    (HERE / "families.json").write_text(json.dumps(golden, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


main()
