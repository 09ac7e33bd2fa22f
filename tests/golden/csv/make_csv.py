#!/usr/bin/env python3
"""What Python's csv module reads from texts with every kind of quote and line end: rows.json, [{"text", "delimiter", "rows"}].

Empty lines are left out, as csv.DictReader and pandas leave them out. Texts whose last quote stays open are left out: csv takes
what is there, pandas and hone refuse. python3 make_csv.py > rows.json
"""
import csv
import io
import json
import random

FIXED = [
    "a,b\r\n1,2\r\n",
    "instruction,output\rhello,world\rq,a\r",
    'a,b\n"x\r\ny","q""\n"\r\n\r\n1,2\n3,',
    'say "hi",5" pipe\n"a"b,"c"d"e"\n',
    '"a" ,b\n',
    ',\n,,\n""\n',
    "a\r\rb\n\nc\r\n\r\nd",
    'x,"multi\nline\rfield",y\n',
]


def ends_in_quotes(text, delimiter):
    """Whether the text ends inside a quoted field: a line end appended then belongs to the field."""
    last = list(csv.reader(io.StringIO(text + "\nZ", newline=""), delimiter=delimiter))[-1]
    return last != ["Z"]


def case(text, delimiter):
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    return {"text": text, "delimiter": delimiter, "rows": rows}


def main():
    random.seed(7)
    cases = [(text, ",") for text in FIXED]
    while len(cases) < 300:
        delimiter = random.choice(",;\t")
        text = "".join(random.choice(['"', '"', delimiter, delimiter, "\r", "\n", "\r\n", "a", "b", " ", "中", ";", ","]) for _ in range(random.randint(1, 24)))
        cases.append((text, delimiter))
    print(json.dumps([case(t, d) for t, d in cases if not ends_in_quotes(t, d)], ensure_ascii=False, indent=0))


main()
