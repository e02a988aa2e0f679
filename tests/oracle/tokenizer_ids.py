"""Writes tokenizer_ids.json: texts and the ids that the upstream tokenizers package gives them.

Usage: pip install tokenizers==0.23.3
       python tests/oracle/tokenizer_ids.py .cache/backbone/e5-small/tokenizer.json
"""

import json
import pathlib
import random
import re
import sys

from tokenizers import Tokenizer

SENTENCES = r"""
Turn on the light in the kitchen, please.
Schalte bitte das Licht in der Küche ein.
Allume la lumière de la cuisine, s'il te plaît.
Enciende la luz de la cocina, por favor.
Слушай, включи свет на кухне!
Увімкни світло на кухні.
Άναψε το φως στην κουζίνα.
شغّل الضوء في المطبخ من فضلك.
הדלק את האור במטבח בבקשה.
چراغ آشپزخانه را روشن کن.
रसोई की बत्ती जला दो।
রান্নাঘরের আলো জ্বালাও।
சமையலறையில் விளக்கை ஏற்று.
వంటగదిలో లైట్ ఆన్ చేయి.
അടുക്കളയിലെ ലൈറ്റ് ഓണാക്കൂ.
ಅಡುಗೆಮನೆಯ ದೀಪ ಹಚ್ಚು.
રસોડાની લાઈટ ચાલુ કરો.
ਰਸੋਈ ਦੀ ਬੱਤੀ ਜਗਾਓ।
เปิดไฟในห้องครัวหน่อย
បើកភ្លើងនៅផ្ទះបាយ
ເປີດໄຟໃນເຮືອນຄົວ
မီးဖိုချောင်မီးဖွင့်ပါ
打开厨房的灯。
打開廚房的燈。
台所の電気をつけてください。
ｶﾞｷﾞｸﾞ　全角　ＡＢＣ１２３
부엌 불을 켜 주세요.
Bật đèn trong bếp giúp tôi.
Mutfaktaki ışığı aç.
Washa taa ya jikoni.
Kveiktu ljósið í eldhúsinu.
Kapcsold fel a konyhában a villanyt.
Įjunk šviesą virtuvėje.
ჩართე შუქი სამზარეულოში.
Միացրու խոհանոցի լույսը։
በኩሽና ውስጥ መብራቱን አብራ።
Tan ina ní ilé ìdáná.
ހަދާފައި ދޭ ލައިޓް
མེ་སྒྲོན་སྤར།
𐌰𐌽𐌰 𐍃𐍄𐌴 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ㍿ ﷺ ½ ① ﬁ Ⅷ
two  spaces   three		tabs
 leading and trailing
<s> special </s> tokens <mask> <pad> <unk> inside
▁already▁marked ▁▁ ▁
👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 e\u0301 n\u0303 \u200b\u200d\ufeff zero width
\u0000\u0001 control \u007f \u0085 \u2028 \u3000 wide
query: https://example.org/a?b=c&d=%20#e 12,345.67 -- --- ...
""".strip("\n").split("\n")

RANGES = [(0x20, 0x7F), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x6FF),
          (0x900, 0xD7F), (0xE00, 0xEFF), (0x1100, 0x11FF), (0x1E00, 0x20FF), (0x3000, 0x30FF),
          (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFB00, 0xFDFF), (0xFF00, 0xFFEF),
          (0x1F300, 0x1F6FF), (0x20000, 0x2A6DF)]


def random_text(rng):
    characters = []
    for _ in range(rng.randint(1, 12)):
        low, high = rng.choice(RANGES)
        characters += [chr(rng.randint(low, high)) for _ in range(rng.randint(1, 6))]
        characters += [" "] * rng.choice([0, 0, 1, 1, 2, 5])
    return "".join(characters)


def main():
    tokenizer = Tokenizer.from_file(sys.argv[1])
    rng = random.Random(20)
    texts = [re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), line) for line in SENTENCES]
    texts += [random_text(rng) for _ in range(250)] + [""]
    rows = [{"text": text, "ids": tokenizer.encode(text).ids} for text in texts]
    target = pathlib.Path(__file__).with_name("tokenizer_ids.json")
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    target.write_text("[\n" + lines + "\n]\n")
    print(f"{len(rows)} texts to {target.name}")


if __name__ == "__main__":
    main()
