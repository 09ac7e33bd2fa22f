#!/usr/bin/env python3
"""Writes train.jsonl and heldout.jsonl: short complaints in Chinese and English with a triage decision as one line of JSON.

The rows are put together here from symptoms, persons and circumstances; nobody's data is in them, and they are no medical
advice. A held-out row never repeats a training row's complaint, but its symptom may occur in training with another person or time:
the score shows that format and labels were learned.
"""
import json
import pathlib
import random

SYSTEM = "Triage. Reply with JSON only."

# department code, then per urgency: symptoms in English and in Chinese. Codes are this project's own.
TABLE = {
    "CARD": {"red": (["crushing chest pain", "chest pain into the left arm"], ["剧烈胸痛", "胸痛放射到左臂"]),
             "yellow": (["a racing heart", "skipped heartbeats"], ["心跳很快", "心跳不齐"]),
             "green": (["a blood pressure check", "a heart check-up"], ["量血压", "心脏体检"])},
    "NEUR": {"red": (["sudden slurred speech", "one side suddenly weak"], ["突然口齿不清", "半边身体突然无力"]),
             "yellow": (["a bad migraine", "dizzy spells"], ["偏头痛", "头晕"]),
             "green": (["mild tension headaches", "trouble sleeping"], ["轻微头痛", "睡不好"])},
    "RESP": {"red": (["gasping for air", "blue lips, cannot breathe"], ["喘不上气", "嘴唇发紫"]),
             "yellow": (["a wheezing cough", "coughing with fever"], ["喘息咳嗽", "咳嗽发烧"]),
             "green": (["a runny nose", "a slight cough"], ["流鼻涕", "轻微咳嗽"])},
    "GAST": {"red": (["vomiting blood", "black stool and fainting"], ["吐血", "黑便并晕倒"]),
             "yellow": (["strong belly cramps", "diarrhea for days"], ["腹部绞痛", "拉肚子几天"]),
             "green": (["heartburn after meals", "mild bloating"], ["饭后烧心", "轻微腹胀"])},
    "ORTH": {"red": (["bone sticking out of the leg", "a crushed hand"], ["腿骨外露", "手被压碎"]),
             "yellow": (["a swollen ankle", "a possible broken wrist"], ["脚踝肿了", "手腕可能骨折"]),
             "green": (["stiff shoulders", "an old knee ache"], ["肩膀僵硬", "膝盖旧伤痛"])},
    "DERM": {"red": (["a rash with a swollen throat", "skin peeling all over"], ["皮疹并喉咙肿", "全身皮肤脱落"]),
             "yellow": (["a spreading red rash", "an infected cut"], ["红疹扩散", "伤口感染"]),
             "green": (["dry itchy skin", "a few pimples"], ["皮肤干痒", "几颗痘痘"])},
}
WHO = (["I have", "My father has", "My child has", "A neighbour has", "My wife has", "The patient reports"],
       ["我", "我爸", "孩子", "邻居", "我妻子", "病人"])
WHEN = (["since this morning", "for an hour", "since yesterday", "after lunch", "right now", "since last night", "today"],
        ["今早开始", "一小时了", "昨天开始", "午饭后", "刚刚", "昨晚起", "今天"])
CODE = {"red": "R1", "yellow": "Y2", "green": "G3"}


def rows():
    for department, levels in TABLE.items():
        for level, both in levels.items():
            for language, symptoms in enumerate(both):
                for symptom in symptoms:
                    for who in WHO[language]:
                        for when in WHEN[language]:
                            text = f"{who} {symptom} {when}." if language == 0 else f"{who}{symptom}，{when}。"
                            answer = {"level": CODE[level], "dept": department, "lang": ("en", "zh")[language]}
                            yield (department, level, language), text, json.dumps(answer, separators=(",", ":"))


def main():
    rng = random.Random(7)
    groups = {}
    for key, text, answer in rows():
        groups.setdefault(key, []).append((text, answer))
    train, held_out = [], []
    for key in sorted(groups):
        rng.shuffle(groups[key])
        train += groups[key][:12]
        held_out += groups[key][12:15]
    rng.shuffle(train)
    rng.shuffle(held_out)
    for name, part in (("train", train), ("heldout", held_out)):
        path = pathlib.Path(__file__).parent / f"{name}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for text, answer in part:
                messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text},
                            {"role": "assistant", "content": answer}]
                file.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
        print(f"{path.name}: {len(part)} rows")


main()
