// Writes zod.json: JSON schemas of usual zod types, with instances they take. npm install zod@4.1.12; then, from the folder that holds
// node_modules: node make_zod.mjs > zod.json
import { createRequire } from "node:module";
const { z } = createRequire(process.cwd() + "/")("zod");

const cases = {};
function add(name, type, ...values) {
  const texts = values.map((value) => JSON.stringify(type.parse(value)));
  cases[name] = { schema: z.toJSONSchema(type), instances: texts };
  cases[name + ", draft 7"] = { schema: z.toJSONSchema(type, { target: "draft-7" }), instances: texts };
}

const category = z.object({ name: z.string(), get children() { return z.array(category); } });
const event = z.discriminatedUnion("type", [
  z.object({ type: z.literal("click"), x: z.number().int(), y: z.number().int() }),
  z.object({ type: z.literal("key"), key: z.string().length(1) }),
]);
add("recipe", z.object({ title: z.string().min(1).max(80), steps: z.array(z.string()).min(1).max(3), minutes: z.number().int().positive(), vegan: z.boolean().default(false) }),
    { title: "soup", steps: ["boil"], minutes: 5, vegan: true });
add("texts", z.object({ email: z.email(), url: z.url(), id: z.uuid(), code: z.string().regex(/^[A-Z]{2}\d{3}$/), head: z.string().startsWith("ab"), tail: z.string().endsWith("z"), mid: z.string().includes("-") }),
    { email: "a.b@example.com", url: "https://example.com/x", id: "12345678-1234-4234-8234-123456789abc", code: "AB123", head: "abc", tail: "xyz", mid: "a-b" });
add("times", z.object({ day: z.iso.date(), at: z.iso.datetime(), clock: z.iso.time(), length: z.iso.duration() }),
    { day: "2024-02-29", at: "2024-02-29T12:30:05Z", clock: "12:30:05", length: "P3DT2H" });
// zod's own pattern for times has no zone, where the format asks for one: the pattern counts.
for (const draft of ["", ", draft 7"]) cases["times" + draft].loose = true;
add("net", z.object({ four: z.ipv4(), six: z.ipv6(), range: z.cidrv4(), data: z.base64(), urldata: z.base64url(), phone: z.e164() }),
    { four: "10.0.0.1", six: "2001:db8::1", range: "10.0.0.0/8", data: "YWJj", urldata: "YWI", phone: "+4712345678" });
add("ids", z.object({ a: z.nanoid(), b: z.cuid2(), c: z.ulid(), d: z.guid() }), { a: "V1StGXR8_Z5jdHi6B-myT", b: "tz4a98xxat96iws9zmbrgj3a", c: "01ARZ3NDEKTSV4RRFFQ69G5FAV", d: "12345678-1234-1234-1234-123456789abc" });
add("numbers", z.object({ a: z.int(), b: z.number().gt(0).lt(1), c: z.number().multipleOf(0.25), d: z.int32(), e: z.number().nonnegative() }), { a: -5, b: 0.5, c: 1.75, d: 7, e: 0 });
add("optional", z.object({ a: z.string().optional(), b: z.string().nullable(), c: z.number().nullish() }), { b: null }, { a: "x", b: "y", c: 1.5 });
add("enums", z.object({ a: z.enum(["x", "y"]), b: z.literal("one"), c: z.literal([1, "two", null]), d: z.union([z.literal("p"), z.literal("q")]) }), { a: "y", b: "one", c: null, d: "q" });
add("union", z.union([z.string(), z.number(), z.array(z.boolean())]), "x", 2.5, [true]);
add("event", event, { type: "click", x: 1, y: 2 }, { type: "key", key: "k" });
add("category", category, { name: "a", children: [{ name: "b", children: [] }] });
add("tuple", z.tuple([z.string(), z.number()]), ["x", 1]);
add("rest", z.tuple([z.string()], z.number()), ["x", 1, 2], ["x"]);
add("record", z.record(z.string(), z.number()), { a: 1, b: 2 });
add("by enum", z.record(z.enum(["a", "b"]), z.number()), { a: 1, b: 2 });
add("partly by enum", z.partialRecord(z.enum(["a", "b"]), z.number()), { b: 2 });
add("both", z.intersection(z.looseObject({ a: z.string() }), z.looseObject({ b: z.number() })), { a: "x", b: 1 });
add("both, closed", z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })), { a: "x", b: 1 });
// Each half forbids what the other one asks for: nothing is valid, whatever zod itself takes.
for (const draft of ["", ", draft 7"]) cases["both, closed" + draft].refused = "no answer can follow this schema";
add("strict", z.strictObject({ a: z.string() }), { a: "x" });
add("loose", z.looseObject({ a: z.string() }), { a: "x", more: [1] });
add("rest of an object", z.object({ a: z.string() }).catchall(z.number()), { a: "x", b: 2 });
add("described", z.object({ a: z.string().describe("what it is").meta({ examples: ["x"], deprecated: true }), b: z.any(), c: z.unknown() }), { a: "x", b: { c: [1] }, c: null });
console.log(JSON.stringify(cases, null, 1));
