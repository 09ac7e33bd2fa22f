#!/usr/bin/env python3
"""Writes pydantic.json: JSON schemas of usual models, with instances that pydantic itself writes. pip install "pydantic[email]==2.12.4"."""
import datetime
import decimal
import enum
import ipaddress
import json
import pathlib
import typing
import uuid

import pydantic
from pydantic import BaseModel, Field

C = pydantic.ConfigDict
cases = {}


def case(name, kind, *values, **options):
    adapter = pydantic.TypeAdapter(kind)
    texts = [adapter.dump_json(adapter.validate_python(value), **options).decode() for value in values]
    cases[name] = {"schema": adapter.json_schema(by_alias=options.get("by_alias", True)), "instances": texts}


class Colour(str, enum.Enum):
    red = "red"
    green = "green"


class Level(enum.IntEnum):
    low = 1
    high = 2


class Review(BaseModel):
    score: int = Field(ge=1, le=5)
    tags: set[str] = set()
    name: str = Field(min_length=1, max_length=40)
    colour: Colour = Colour.red


class Address(BaseModel):
    """Where somebody lives."""
    street: str
    city: str = Field(description="the town", examples=["Oslo"])
    zip_code: str | None = Field(default=None, pattern=r"^\d{5}(-\d{4})?$")


class Person(BaseModel):
    name: str
    age: int | None = None
    emails: list[pydantic.EmailStr] = []
    addresses: dict[str, Address] = {}
    home: Address | None = None


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []


class Linked(BaseModel):
    value: float
    next: typing.Optional["Linked"] = None


class Cat(BaseModel):
    kind: typing.Literal["cat"]
    lives: int = Field(ge=0, le=9)


class Dog(BaseModel):
    kind: typing.Literal["dog"] = "dog"
    good: bool


class Owner(BaseModel):
    pet: typing.Annotated[Cat | Dog, Field(discriminator="kind")]
    others: list[Cat | Dog] = []


class Moments(BaseModel):
    day: datetime.date
    at: datetime.datetime
    clock: datetime.time
    length: datetime.timedelta
    key: uuid.UUID
    old_key: pydantic.UUID4


class Net(BaseModel):
    four: ipaddress.IPv4Address
    six: ipaddress.IPv6Address
    any: pydantic.IPvAnyAddress
    site: pydantic.HttpUrl
    link: pydantic.AnyUrl


class Numbers(BaseModel):
    a: pydantic.PositiveInt
    b: pydantic.NonNegativeFloat
    c: float = Field(gt=0, lt=1)
    d: int = Field(multiple_of=5, ge=-20, le=20)
    e: decimal.Decimal
    f: typing.Annotated[float, Field(multiple_of=0.5, ge=0, le=3)]
    g: typing.Literal[1, 2, 3]
    h: Level


class Lists(BaseModel):
    pair: tuple[int, str]
    many: tuple[int, ...] = ()
    few: typing.Annotated[list[int], Field(min_length=2, max_length=3)]
    kinds: set[Colour] = set()
    small: typing.Annotated[set[typing.Annotated[int, Field(ge=1, le=3)]], Field(min_length=2)] = {1, 2}
    nested: list[list[bool]] = []
    frozen: frozenset[int] = frozenset()


class Strict(BaseModel):
    model_config = C(extra="forbid")
    name: str
    note: str = ""


class Open(BaseModel):
    model_config = C(extra="allow")
    name: str


class Base(BaseModel):
    id: int


class Derived(Base):
    name: str
    parent: Base | None = None


class Step(BaseModel):
    explanation: str
    output: str


class MathAnswer(BaseModel):
    steps: list[Step]
    final_answer: str


class Extra(BaseModel):
    model_config = C(json_schema_extra={"x-order": 3, "examples": [{"a": 1}]})
    a: int
    b: typing.Any = None
    c: dict[str, typing.Any] = {}
    d: bytes = b""
    e: pydantic.SecretStr = pydantic.SecretStr("x")


class Aliased(BaseModel):
    first_name: str = Field(alias="firstName")
    quoted: str = Field(alias='with "quotes" and \\', default="x")
    letters: str = Field(alias="größe", default="ü")


class Keys(BaseModel):
    by_colour: dict[Colour, int] = {}
    by_pattern: dict[typing.Annotated[str, Field(pattern="^[a-z]{2}$")], int] = {}
    by_number: dict[int, str] = {}
    few: typing.Annotated[dict[str, int], Field(min_length=1, max_length=2)] = {"a": 1}


T = typing.TypeVar("T")


class Page(BaseModel, typing.Generic[T]):
    items: list[T]
    total: int = Field(ge=0)


Wide = pydantic.create_model("Wide", **{f"field_{i:03}": (int | None, None) for i in range(100)})
Required = pydantic.create_model("Required", **{f"field_{i:03}": (bool, ...) for i in range(70)})

DAY = datetime.datetime(2024, 2, 29, 12, 30, 5, 123000, tzinfo=datetime.timezone.utc)
case("review", Review, {"score": 3, "name": "x", "tags": ["a", "b"]}, {"score": 5, "name": "é" * 40, "colour": "green"})
case("person", Person, {"name": "A", "emails": ["a.b@example.com"], "addresses": {"home": {"street": "s", "city": "c", "zip_code": "12345-6789"}}}, {"name": ""})
case("tree", Tree, {"value": 1, "children": [{"value": 2, "children": [{"value": -3}]}]})
case("linked", Linked, {"value": 1.5, "next": {"value": 2, "next": None}})
case("owner", Owner, {"pet": {"kind": "cat", "lives": 9}}, {"pet": {"kind": "dog", "good": True}, "others": [{"kind": "cat", "lives": 0}]})
case("moments", Moments, {"day": "2024-02-29", "at": DAY, "clock": datetime.time(1, 2, 3, tzinfo=datetime.timezone.utc), "length": datetime.timedelta(days=3, seconds=7205), "key": "12345678-1234-1234-1234-123456789abc", "old_key": "12345678-1234-4234-8234-123456789abc"})
case("net", Net, {"four": "192.168.0.1", "six": "fe80::1", "any": "10.0.0.1", "site": "https://example.com/a?b=c#d", "link": "ftp://u@example.com:21/x"})
case("numbers", Numbers, {"a": 7, "b": 0.0, "c": 0.25, "d": -15, "e": "12.50", "f": 1.5, "g": 2, "h": 1})
case("lists", Lists, {"pair": (1, "x"), "few": [1, 2], "kinds": ["red", "green"], "small": [3, 1], "nested": [[], [True]], "frozen": [5]})
case("strict", Strict, {"name": "x", "note": "y"})
case("open", Open, {"name": "x", "more": [1, {"a": None}]})
case("derived", Derived, {"id": 1, "name": "x", "parent": {"id": 2}})
case("math", MathAnswer, {"steps": [{"explanation": "a", "output": "b"}], "final_answer": "c"})
case("extra", Extra, {"a": 1, "b": [1, "x", None], "c": {"k": {"l": 2.5}}, "d": b"abc"})
case("aliased", Aliased, {"firstName": "x", 'with "quotes" and \\': "a\"b\\c\n"}, by_alias=True)
case("keys", Keys, {"by_colour": {"green": 1}, "by_pattern": {"ab": 1, "cd": 2}, "by_number": {"5": "x"}, "few": {"x": 1, "y": 2}})
case("page", Page[Base], {"items": [{"id": 1}], "total": 1})
case("wide", Wide, {}, {"field_099": 5})
case("required", Required, {f"field_{i:03}": i % 2 == 0 for i in range(70)})
case("union", int | str | list[float] | None, 5, "x", [1.5], None)
case("literals", typing.Literal["a", "b", 3, True, None], "a", 3, True, None)
case("enum", Colour, "red")
case("tuple", tuple[int, str, bool | None], (1, "a", None))
case("map", dict[str, dict[str, int]], {"a": {"b": 1}, "": {}})
case("constrained", typing.Annotated[str, Field(pattern=r"^[A-Z]{3}-\d+$", max_length=8)], "ABC-1234")
(pathlib.Path(__file__).parent / "pydantic.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
