"""Pairs of predictions and references for the goldens: hand-written corners, and rows drawn from pieces of many scripts."""
import random

CORNERS = [
    # (prediction, references)
    ("The cat sat on the mat.", ["The cat sat on the mat."]),
    ("the dog", ["Entirely different words here, none shared!"]),
    ("", ["There was an answer expected."]),
    ("There was an answer given.", [""]),
    ("", [""]),
    ("   ", ["\t"]),
    ("one", ["one"]),
    ("Hello, world!  It's 3.14 o'clock, isn't it? (Yes, 1,000-2 times.)", ["Hello world! It is 3.14 o'clock; isn't it? (yes: 1,000 - 2 times)"]),
    ("a-b c--d 5-6 7- -8 x.y .5 5. ,a a, 1,a a,1 ...", ["a - b c -- d 5 - 6 7 - - 8 x . y . 5 5 . , a a , 1 , a a , 1 . . ."]),
    ("&quot;Quoted&quot; &amp; &lt;b&gt; &amp;lt; <skipped> done", ["\"Quoted\" & <b> < done"]),
    ("患者头痛三天,伴有发热。", ["患者头痛三天，伴有发热。"]),
    ("我突然口齿不清，刚刚开始。", ["我忽然说话不清楚，刚刚开始。", "我突然口齿不清，刚才开始的。"]),
    ("使用GPU训练7B模型，学习率为3e-5。", ["用 GPU 训练 7B 模型，学习率 3e-5。"]),
    ("“引号”——破折号…… ￥100 ①②③ ㎏", ["「引号」—破折号… ¥100 (1)(2)(3) kg"]),
    ("Emoji 😀👍🏽 and 👨‍👩‍👧 families ❤️", ["Emoji 😀 👍 and 👨‍👩‍👧 family ❤"]),
    ("Straße ÉCOLE naïve café İstanbul KELVIN ΑΣ", ["strasse école naive cafe istanbul kelvin ας"]),
    ("مرحبا بالعالم، كيف حالك؟ ١٢٣", ["مرحبا يا عالم، كيف الحال؟ ١٢٣"]),
    ("नमस्ते दुनिया। यह परीक्षा है", ["नमस्ते, दुनिया! यह एक परीक्षा है।"]),
    ("안녕하세요 세계! こんにちは世界。", ["안녕 세계! こんばんは世界。"]),
    ("first line\nsecond line\nthird line", ["second line\nfirst line\nfourth line"]),
    ("long-\nword broken\r\nover lines\n\nand a gap", ["longword broken over lines and a gap"]),
    ("a\u00a0b\u2003c\u3000d\u200be\u001cf\u0085g", ["a b c d e f g"]),
    ("x = y + z; if (a < b) { return $c * 2^3 | ~d; } // 100% #tag @user", ["x = y+z; if (a<b) {return $c*2^3|~d;} // 100% #tag @user"]),
    ("𠀀𠮷 rare 龘 characters 〇々", ["𠀀𠮷 rare 龘龘 characters 〇"]),
    ("the the the the the the the", ["the cat is on the mat", "there is a cat on the mat"]),
    ("It is a guide to action which ensures that the military always obeys", ["It is a guide to action that ensures that the military will forever heed", "It is the guiding principle which guarantees the military forces always being under the command"]),
    ("(hi) \"there\" ?! a? ?a ' ''", ["( hi ) \" there \" ? ! a ? ? a"]),
    ("1.234,56 € £3 −5 ± 2 × 4 ÷ ½ ² №7", ["1,234.56 € £ 3 -5 ±2 × 4 ÷ 1/2 2 № 7"]),
]

PIECES = ["the", "model", "answers", "quickly", "and", "politely,", "then", "stops.", "患者", "需要", "休息", "，", "。", "7B", "3.5", "GPU", "mat", "cat", "—", "😀", "été",
          "straße", "1,000", "don't", "(note)", "“好”", "ありがとう", "привет", "мир!", "x-y", "C++", "a/b", "50%", "\n"]


def drawn(count, seed, length):
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        reference = [rng.choice(PIECES) for _ in range(rng.randint(0, length))]
        def changed():
            words = list(reference)
            for _ in range(rng.randint(0, 1 + len(words) // 3)):
                kind = rng.random()
                at = rng.randrange(len(words) + 1)
                if kind < 0.4:
                    words.insert(at, rng.choice(PIECES))
                elif kind < 0.7 and words:
                    del words[min(at, len(words) - 1)]
                elif words:
                    words[min(at, len(words) - 1)] = rng.choice(PIECES)
            return rng.choice([" ", " ", ""]).join(words)
        references = [" ".join(reference)] + [changed() for _ in range(rng.randint(0, 2))]
        rows.append((changed(), references))
    return rows


def corpora():
    """Name → rows. `single` has one reference each, `double` two; `varying` one to three; `long` texts of hundreds of words."""
    everything = CORNERS + drawn(40, 5, 24)
    return {
        "single": [(p, r[:1]) for p, r in everything],
        "double": [(p, (r + r)[:2]) for p, r in everything],
        "varying": everything,
        "long": [(p, r[:1]) for p, r in drawn(2, 9, 600)],
        "same": [(r[0], r[:1]) for _, r in CORNERS if len(r[0].split()) > 4],
        "nothing": [("alpha beta gamma delta", ["一二三四五"]), ("epsilon", ["六七"])],
    }
