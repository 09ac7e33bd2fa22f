"""The texts that tokenizers are compared on: a readable core, and any number of generated ones. Plain Python, the same on every version."""

CORE = [
    "", " ", "  ", "\n", "\t", "\r\n", "a", "Hello, world!", "hello", " hello", "  hello  ", "Hello  world", "I'm you're WE'LL he'd 'tis 'S 'ſ ’s",
    "The quick brown fox jumps over the lazy dog.", "can't won't it's they've I'd we'll IT'S",
    "你好，世界！", "深度求索是一家人工智能公司，成立于2023年。", "繁體中文：請問您今天好嗎？", "日本語のテキスト、カタカナとひらがな。", "한국어 텍스트입니다. 각각의 글자",
    "Привет, мир! Ёлки-палки.", "Γειά σου Κόσμε ΌΠΩΣ", "مرحبا بالعالم ١٢٣", "שלום עולם", "नमस्ते दुनिया क्षत्रिय", "สวัสดีชาวโลก", "Xin chào thế giới", "Straße ÀÉÎÕÜ ñ ß ſ ŉ ﬁ ﬀ",
    "🙂", "👨‍👩‍👧‍👦 family 👩🏽‍💻 coder 🏳️‍🌈 flag 🇩🇪🇨🇳", "🩷🪿🫨 new emoji 🩷", "☕️ ❤️ ✈ ©®™", "e\u0301 é \u0041\u030A Å Å \u1E9B\u0323", "a\u0315\u0300\u05AE\u0300b", "\u0327\u0301start",
    "ㄱㅏ \u1100\u1161\u11A8 각", "Ω Ω K K", "0", "7", "42", "1234567890" * 3, "3.14159", "1,000,000.00", "２０２４年", "١٢٣٤٥", "१२३४", "½ ² ③ Ⅷ", "0x1F 1e-9 12:34:56 2024-01-31",
    "def f(x):\n    return x ** 2  # square\n\n\nif __name__ == \"__main__\":\n\tprint(f(3))\n",
    "for (int i = 0; i < n; ++i) { a[i] += b[i] * c[i]; }\r\n// done\r\n", "{\"key\": [1, 2.5, null, true], \"文\": \"值\"}", "SELECT * FROM t WHERE a='x' AND b<>\"y\";--", "<a href=\"https://example.com/?q=1&r=%20\">x</a>",
    "   leading", "trailing   ", "line\n\n\nbreaks\r\n\r\nmixed\n\r\n", "tab\tseparated\t\tvalues", "a\u00A0b\u2003c\u3000d\u200Be\uFEFFf\u180Eg\u0085h\u2028i", "\u00A0\u00A0 \u3000", "\x00\x01\x1F\x7F", "\uFEFFBOM first",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "　　　　　", "…——。。。！！！", "!!!???...", "$100 €50 £20 ¥30 + = < > ^ ` | ~", "x=y+z;a&&b||c", "__init__ snake_case camelCase SCREAMING_CASE kebab-case",
    "▁ ▁▁ a▁b", "<unk> <s> </s> <0x41> <0xE4>", "<s>text</s>", "a<s>b", " <s> ", "<|im_start|>user\nhi<|im_end|>\n", "x<|im_end|>y", "<|im_end", "<|im_start|><|im_end|><|im_end|>", "<｜begin▁of▁sentence｜>你好<｜end▁of▁sentence｜>",
    "<｜User｜>Hi<｜Assistant｜>Hello<｜end▁of▁sentence｜>", "<think>\nhm\n</think>\n\nok", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>", "<|endoftext|>", "<tool_call>\n{\"name\": \"f\"}\n</tool_call>",
    "a <mask> b", "a\u00A0<mask>\u00A0b", "<left>  x  <left>", "x  <right>  y", "<word>", "a<word>", "<word>b", " <word> ", "é<word>", "中<word>。<word>", "x\u0301<word>", "NORM\u0344L NORM\u0308\u0301L", "newtoken newtokens anewtoken",
    "\uFFFD", "\U0010FFFF", "\uD7FF\uE000", "\U00010348\U0001F600\U000E0041", "𠀀𠀁 𪜀 \U00031350 \U0002EBF0", "𝒜𝓑𝓒 𝟘𝟙𝟚 𐐀𐐨", "ﷺ ﷽", "ก็ ำ", "\u0E33\u0E33", "I\u0307 İ ı i̇", "ǅ ǈ ᾳ ᾼ", "ʰ ˈ ˠ ꟸ", "⁠\u2060⁠ \u200D\u200C", "a\u200Db",
]
# Bytes that are not UTF-8; what they mean is bytes.decode("utf-8", "replace").
CORE_BYTES = [b"\xff", b"abc\xe4\xbd", b"\xe4\xbd\xa0\xe5\xa5", b"\xed\xa0\x80 \xed\xbf\xbf", b"\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf", b"\xf4\x90\x80\x80", b"ok \x80\x81 ok",
              b"\xf0\x9f\x98 \xf0\x9f\x98\x80", b"\xef\xbb\xbf\xff\xfe", b"<s>\xff</s>"]

RANGES = [
    (0x20, 0x7E), (0x61, 0x7A), (0x30, 0x39), (0x00, 0x1F), (0x80, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x590, 0x5F4), (0x600, 0x6FF), (0x900, 0x97F), (0x980, 0x9FF),
    (0xB80, 0xBFF), (0xE00, 0xE7F), (0xF00, 0xFFF), (0x1000, 0x109F), (0x1100, 0x11FF), (0x1AB0, 0x1ACE), (0x1DC0, 0x1DFF), (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x20CF), (0x20D0, 0x20FF), (0x2100, 0x218F), (0x2190, 0x2BFF),
    (0x2E80, 0x2FFF), (0x3000, 0x303F), (0x3040, 0x30FF), (0x3100, 0x33FF), (0x4E00, 0x9FFF), (0x4E00, 0x5200), (0xA640, 0xA7FF), (0xAB30, 0xABBF), (0xAC00, 0xD7A3), (0xD7B0, 0xD7FF), (0xE000, 0xE0FF), (0xF900, 0xFAFF), (0xFB00, 0xFDFF),
    (0xFE00, 0xFE6F), (0xFF00, 0xFFFF), (0x10000, 0x100FF), (0x10280, 0x105FF), (0x10D00, 0x10FFF), (0x11000, 0x11FFF), (0x13000, 0x1345F), (0x16100, 0x1613F), (0x1CC00, 0x1CEB3), (0x1D100, 0x1D1FF), (0x1D400, 0x1D7FF), (0x1E000, 0x1E95F),
    (0x1F1E6, 0x1F1FF), (0x1F300, 0x1F6FF), (0x1F900, 0x1FAFF), (0x20000, 0x20100), (0x2EBF0, 0x2EC50), (0x31340, 0x31400), (0xE0000, 0xE01EF), (0x10FF00, 0x10FFFF), (0x0, 0x10FFFF),
]
SPACES = " \t\n\r\x0b\x0c\x1c\x85\u00a0\u1680\u180e\u2000\u2001\u2002\u2003\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
WORDS = ("the of and to a in is it you that he was for on are as with his they I at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many "
         "Hello World HELLO don't I'll We've it's x1 foo_bar fooBar return import def class print self None True int float 你好 世界 中国 人工智能 模型 的 是 了 我们 日本 テスト です 안녕 하세요 привет мир العالم नमस्ते สวัสดี").split()
SPECIALS = ["<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "<|eot_id|>", "<|begin_of_text|>", "<tool_call>", "<mask>",
            "<left>", "<right>", "<word>", "newtoken", "NORM\u0344L", "<0x0A>", "<|", "|>", "<", "▁"]


class Random:
    """splitmix64"""

    def __init__(self, seed):
        self.state = seed & (2**64 - 1)

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        return (z ^ (z >> 31)) % n

    def pick(self, items):
        return items[self.below(len(items))]


def character(random, bounds):
    while True:
        c = bounds[0] + random.below(bounds[1] - bounds[0] + 1)
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def part(random):
    kind = random.below(14)
    n = 1 + random.below(8)
    if kind < 3:
        return "".join(random.pick(["", " ", " ", "  ", "\n"]) + random.pick(WORDS) for _ in range(n))
    if kind < 6:
        bounds = random.pick(RANGES)
        return "".join(character(random, bounds) for _ in range(n))
    if kind == 6:
        return "".join(character(random, random.pick(RANGES)) for _ in range(n))
    if kind == 7:
        return "".join(random.pick(SPACES) for _ in range(n))
    if kind == 8:
        return random.pick([" ", "\n", "\r\n", "\t", "a", "0", "中", "!", "\u0301", "▁", "'"]) * (1 + random.below(40))
    if kind == 9:
        return str(random.below(10 ** (1 + random.below(18))))
    if kind == 10:
        return random.pick(["", " "]) + random.pick(SPECIALS) + random.pick(["", " ", "s"])
    if kind == 11:
        return "".join(character(random, (0x61, 0x7A)) + "".join(character(random, random.pick([(0x300, 0x36F), (0x5B0, 0x5C7), (0x8D0, 0x8FF), (0x1AB0, 0x1ACE), (0x1DF0, 0x1DFF), (0x3099, 0x309A), (0x1E130, 0x1E136)]))
                                                              for _ in range(random.below(5))) for _ in range(n))
    if kind == 12:
        return "".join(character(random, (0x1F466, 0x1F469)) + random.pick(["\u200d", "\ufe0f", "\U0001F3FD", "\u200d\u2764\ufe0f\u200d", ""]) for _ in range(n))
    return "".join(random.pick(["if (", ") {\n", "    ", "\t", "->", "::", "==", "!=", "&&", "'s", "'LL", "\"", "//", "#", "\\n", "0x", ";", "...", "、", "。", "，"]) for _ in range(n))


def generated(seed, count):
    """Texts as bytes; about one in eight is not UTF-8."""
    random = Random(seed)
    for _ in range(count):
        text = "".join(part(random) for _ in range(1 + random.below(6))).encode()
        if random.below(8) == 0 and text:
            damaged = bytearray(text)
            for _ in range(1 + random.below(3)):
                if damaged:
                    if random.below(2):
                        damaged[random.below(len(damaged))] = random.below(256)
                    else:
                        del damaged[random.below(len(damaged))]
            text = bytes(damaged)
        yield text


def core():
    return [text.encode() for text in CORE] + CORE_BYTES
