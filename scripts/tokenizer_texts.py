"""The texts of the tokenizer corpus: written by hand, and composed from hand-written parts with a fixed seed."""
import random

SENTENCES = [
    "The ferry leaves at 9:30, unless the wind turns; then we'll wait until it doesn't.",
    "She'd've gone, but they're certain that he'll say \"I'm not\" and that's that.",
    "SHE'D'VE GONE, BUT THEY'RE CERTAIN THAT HE'LL SAY IT'S DONE.",
    "It's John's, isn't it? 'Tis the season, 'twas the night; rock 'n' roll o'clock.",
    "Don’t use curly quotes’ contractions: we’ll, they’re, I’M, you’D.",
    "Der Fluß überschwemmte die Straße; Äpfel und Öl schwammen fort. Größenwahn!",
    "L'été dernier, nous avons mangé des crêpes à Besançon où l'œuf coûtait 1,50 €.",
    "¿Dónde está el niño? ¡Aquí, señor! Año tras año, pingüinos y cigüeñas.",
    "O coração não é só uma máquina; às vezes põe-se a sonhar.",
    "Zażółć gęślą jaźń, łódź płynie w dół rzeki.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy na střeše.",
    "Şu çılgın ığdır ağacı İstanbul'da ışıldıyor; KIZIL ısırgan.",
    "Γρήγορα ο λύκος έφαγε ΤΟΝ ΛΑΓΟ, όπως λέει ο Ὅμηρος.",
    "Съешь ещё этих мягких булок, да выпей чаю. ЁЛКА и подъезд №5.",
    "Щастя їхнє — у простоті, а ґедзь дзижчить.",
    "שלום עולם, מה שלומך היום? בְּרֵאשִׁית",
    "مرحبا بالعالم، كيف حالك اليوم؟ السَّلَامُ عَلَيْكُمْ ١٢٣",
    "سلام دنیا، می‌خواهم بروم؛ ۱۲۳۴ کتاب",
    "नमस्ते दुनिया, आप कैसे हैं? क्षत्रिय ज्ञान श्री १२३",
    "আমি বাংলায় গান গাই, কিন্তু তুমি শোনো না।",
    "வணக்கம் உலகம், இன்று மழை பெய்கிறது.",
    "ನಮಸ್ಕಾರ ಜಗತ್ತು; తెలుగు నేర్చుకుందాం; മലയാളം എഴുതാം",
    "สวัสดีชาวโลก วันนี้อากาศดีมากเลยนะครับ น้ำ กำลัง",
    "ສະບາຍດີຊາວໂລກ ມື້ນີ້ອາກາດດີ",
    "မင်္ဂလာပါ ကမ္ဘာလောက နေကောင်းလား",
    "ជំរាបសួរ ពិភពលោក",
    "你好，世界！今天天气怎么样？我们去公园散步吧。",
    "臺灣的夜市很熱鬧，價格約１２０元（含稅）。",
    "今日は良い天気ですね。カタカナとひらがな、ｶﾀｶﾅも。コーヒーを飲む〜",
    "吾輩は猫である。名前はまだ無い。𠮷野家で𩸽を食べた。",
    "안녕하세요 세계! 오늘 날씨가 좋네요. 한국어 띄어쓰기.",
    "გამარჯობა მსოფლიო; Բարեւ աշխարհ; ሰላም ለዓለም።",
    "ᐃᓄᒃᑎᑐᑦ ᏣᎳᎩ ᠮᠣᠩᠭᠣᠯ བོད་སྐད། ꦗꦮ",
    "Tiếng Việt có nhiều dấu: ắ ằ ẳ ẵ ặ, ướt, nghiêng.",
    "Ég borða gler án þess að meiða mig; þetta er ðað.",
    "Võrus sündis õhtul jäääär; Hääyöaie.",
    "Mae'r ddraig goch yn ddyry cychwyn; Tá sé ag cur báistí.",
    "Umuntu ngumuntu ngabantu; ŋutɔ ɖe ƒe; ɓaɗi ƙasa",
]

EDGE = [
    "", " ", "  ", "   ", "    ", "\n", "\n\n", "\n\n\n", "\t", "\t\t", "\r\n", "\r", "\r\r\n", " \n", "\n ", " \n \n ", "\t \t",
    "a", "A", "é", "e\u0301", "ß", "你", "😀", "\u0301", "\u200d", "\ufeff", "\u2028", "\u2029", "\u0085", "\u00a0", "\u3000", "\x00",
    "\x00\x00", "a\x00b", "\x01\x02\x03", "\x07bell\x08back\x1besc\x7fdel", "\ufeffBOM at the start", "BOM\ufeffinside",
    "line one\u2028line two\u2029paragraph\u0085next line", "vertical\x0btab form\x0cfeed", "a\u00a0b\u202fc\u2009d\u3000e\u1680f\u205fg",
    "zero\u200bwidth\u200cnon\u200djoiner\u2060word", "soft\u00adhyphen", "right\u200fto\u200eleft\u202eoverride\u202c",
    "\ufffd", "\ufffd\ufffd\ufffd", "a\ufffdb", "\ufffe\uffff", "\U0010ffff", "\ue000\uf8ff", "\U000f0000", "\ud7ff\ue000",
    "e\u0301\u0323\u0308\u0300", "\u0301\u0301\u0301", " \u0301a", "q\u0323\u0307", "q\u0307\u0323", "A\u030a \u212b \u00c5", "\u1e9b\u0323",
    "\u0344 \u0340 \u0341 \u0343 \u0374 \u037e \u0387", "\u0958 \u09dc \u0f43 \u2adc", "\u1100\u1161\u11a8 각 \u1112\u1161\u11ab 한", "\uac00\u11a8",
    "ﬁ ﬂ ﬀ ﬃ ﬅ ﬆ Ĳ ĳ Ǆ ǅ ŉ", "① ② ⑳ Ⅷ ⅷ ½ ¾ ⅓ ² ³ ₄ ⁿ ª º", "Ａ Ｂ ａ ｂ １ ２ ！ ？ ～ ￥", "㌀ ㍿ ㎏ ㏒ ℃ № ™ ℡ ㋿ ㍻", "ʰ ʷ ˠ ᴬ ᵃ ₐ",
    "ſtraße 'ſ 'K 'ﬆ KELVIN \u212a \u017f", "İstanbul ıI iİ", "ΣΑΣ ς σ Σ", "Ǆ ǅ ǆ Ǉ ǈ", "𝒳 𝕐 𝖅 𝟘𝟙𝟚 𝓈", "𐐀𐐨 𐍈 𐤀 𒀀 𓀀", "𞤀𞤢 Ა ა Ꭰ ꭰ",
    "\U00031350 \U0002ebf0 \U0001e030 \U00011f00 \U0001fae8", "\u0897 \u1c89 \u1c8a \ua7cb \U00016d40 \U000105c0",
    "😀😃😄", "👨‍👩‍👧‍👦", "👩🏽‍💻 👍🏿", "🇩🇪🇫🇷🇯🇵🇩", "❤️ ❤ ☺️ ☺", "1️⃣ 2️⃣ #️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "😶‍🌫️🧑‍🚀", "a😀b😀c", "©️®™", "🫠🫡🫨",
    "0", "1", "12", "123", "1234", "12345", "123456789012345678901234567890", "1,234,567.89", "3.14e-10", "0x1F", "1/2", "١٢٣٤٥", "१२३४", "๑๒๓",
    "1a2b3c", "a1 b2 c3", "2024-02-29T23:59:60Z", "+49 (0)30 1234-5678", "192.168.0.1:8080", "50%", "$9.99", "№7", "x²+y³",
    "!", "!!", "!!!", "...", "…", "?!?!", "--", "---", "—–-", "\"'`", "''''", "()[]{}<>", "<<>>", "@#$%^&*", "~`|\\", "/* */ //", "#!/bin/sh",
    "‘single’ “double” «guillemets» „low“ ‹angle›", "。、！？「」『』【】", "؟،؛", "।॥", "፡።", "¡¿", "†‡§¶•", "→←↑↓⇒", "∀∃∈∑∫√∞≠≤", "€£¥₹₿¢",
    "_", "__", "__init__", "snake_case_name", "camelCaseName", "PascalCaseName", "SCREAMING_SNAKE", "kebab-case-name", "dot.path.name", "a_1_b",
    "XMLHttpRequest iOS macOS eBay LaTeX", "mixedCASEword WORDmixed wORD", "ÀÉÎõü ÀÉÎÕÜ", "aÀbÉ", "HTMLИнтерНет",
    "https://example.org/path/to/page?query=1&other=%20#frag", "ftp://user:pw@host.example:21/file.tar.gz", "mailto:someone@example.com",
    "C:\\Program Files\\App\\app.exe", "/usr/local/lib/libfoo.so.1.2.3", "foo@bar.example", "@handle #hashtag",
    "'s 't 're 've 'm 'll 'd", "'S 'T 'RE 'VE 'M 'LL 'D", "'s't're've'm'll'd", "x's y'T z'Re", "it's it'S IT's IT'S", "'sat 'tell 'rest 'dust 'melt",
    "o'clock l'eau d'or qu'il", "''s", "'", "' '", "a'", "a' b", "'a", "''", "’s ’t", "don't", "DON'T", "Don'T", "don't've",
    "trailing space ", " leading space", " both ", "two  spaces", "three   spaces", "four    spaces here", "tab\there", "tab\t\there", "a\n\nb", "a \n b",
    "a\r\nb\r\n", "\n  indented", "  \n\n  x", "x  \n", "x\n  ", "\u00a0\u00a0x", "x\u3000\u3000y", " \u00a0 ", "\t\n \r\n\t", "\n\n\n\n\n\n\n\n", "        x",
    "▁", "▁▁", "a▁b", " ▁ ", "▁Hello▁world", "Ġ", "ĠHello", "Ċ", "ĉ", "Ä", "Â", "Ã©", "ĠĠ", "##ing", "un##able", "</w>", "a</w>b", "|", "a|b",
    "<s>", "</s>", "<unk>", "<pad>", "<mask>", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "<bos>", "<eos>", "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<|begin_of_text|>", "<|eot_id|>", "<|reserved_special_token_7|>", "<start_of_turn>user\n", "<end_of_turn>", "<think>", "</think>", "<tool_call>",
    "a<s>b", "a <s> b", "<s><s>", "<s> </s>", " <s>", "<s> ", "\n<s>\n", "<S>", "< s >", "<s", "s>", "<|im_start", "<|im_start|", "|im_start|>",
    "<|im_start|>system\nYou are terse.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\n",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi!<|eot_id|>", "<bos><start_of_turn>user\nHi!<end_of_turn>\n<start_of_turn>model\n",
    "x<|endoftext|>y<|endoftext|>", "[MASK][MASK] [MASK]  [MASK]", "the [MASK]ed [MASK].", "word[CLS]word", "<unused5> <unused99><unused0>", "<table><tr><td>x</td></tr></table>",
    "<0x0A>", "<0xE2><0x96><0x81>", "<0xFF>", "<0x>", "<0xGG>", "TOKEN_A TOKEN_AB TOKEN_ABC", "xTOKEN_Ax", "TOKEN_A.", ".TOKEN_A", " TOKEN_A ", "token_a",
    "  ADDED_L", "x  ADDED_L  y", "x  ADDED_R  y", "x  ADDED_B  y", "ADDED_W", "xADDED_Wx", "x ADDED_W x", "ADDED_Wé", "ADDED_W_", "ADDED_W1", "éADDED_W",
    "ADDED_N added_n Added_N", "ÀDDED_Ñ àdded_ñ A\u0300DDED_N\u0303", "ADDED_LADDED_R  ADDED_B", "  ADDED_R  ADDED_L  ", "ADDED_R\n\nADDED_L", "ADDED_R ADDED_R",
    "Hello, world!", "hello world", "Hello World", "HELLO WORLD", "Hello,world", "Hello , world .", "do not worry , it 's fine ' n't we 've",
]

CODE = [
    "def f(x: int) -> int:\n    \"\"\"Doc.\"\"\"\n    return x ** 2 if x > 0 else -x\n",
    "for (int i = 0; i < n; ++i) {\n\ta[i] += b[i] * 0.5f;  // scale\n}\n",
    "#include <vector>\n\ntemplate <class T>\nstruct Box { T value{}; };\n",
    "SELECT name, COUNT(*) FROM users WHERE age >= 18 GROUP BY name ORDER BY 2 DESC;\n",
    "{\"key\": [1, 2.5, null, true], \"nested\": {\"s\": \"a\\nb\\u00e9\"}}",
    "<div class=\"a b\" id='c'>&lt;text&gt; &amp; more</div><!-- note -->",
    "fn main() {\n    let v: Vec<_> = (0..10).map(|x| x * x).collect();\n    println!(\"{v:?}\");\n}",
    "if [[ -n \"$X\" && ${#A[@]} -gt 0 ]]; then echo \"${A[*]}\" | sed 's/a/b/g' >> /dev/null 2>&1; fi",
    "\\documentclass{article}\\begin{document}$\\frac{a_1^2}{\\sqrt{b}}$\\end{document}",
    "| a | b |\n|---|---|\n| 1 | **2** |\n\n- item\n  - sub\n\n```py\nprint('x')\n```\n",
    "\tmov\teax, DWORD PTR [rbp-4]\n\tjne\t.L2\n", "x = lambda *a, **k: (a, k)[0] or {}\n\n\n\n", "a&&b||!c?d:e;;", "1<<2>>3&4^5|~6", "%d %s %5.2f\\n",
]

PARTS = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJ", " ", "\n", "\t", "0123456789", "'’\"!?.,;:-_/\\()[]{}<>@#$%^&*+=~`|", "éèàüñçÅßøœ", "一二三你好世界日本語漢字",
         "ひらがなカタカナー々〆", "한국어가각힣", "ไทยภาษากำ้่", "हिन्दीक्षत्रज्ञ", "עבריתשלוםְֵ", "العربيةَُِّ", "\u0301\u0308\u0323\u200d\u200c\ufe0f", "😀👨👩👧🏽🇩🇪❤",
         "\u2028\u0085\u00a0\u3000\ufeff\x07\u200b", "Ⅷ½²ǅʰªﬁ①Ａ㎏", "▁ĠĊ#", "ſKİıßΣς", "𝒳𐍈𞤀𠀀𝟘", "ЖдёІїґ", "ΑΩάώ", "ắộƠư"]
WORDS = ["'s", "'T", "'ll", "'RE", " the", "The", " of", "hello", " World", "ing", "tion", "  ", "<s>", "</s>", "<|im_start|>", "[MASK]", "[UNK]", "\n\n", "http://a.b/c", "1234", "x_y",
         "ADDED_L", "ADDED_R", "ADDED_B", "ADDED_W", "ADDED_N", "TOKEN_A", "TOKEN_AB", " TOKEN_ABC "]


def composed(count, seed=20):
    r = random.Random(seed)
    for _ in range(count):
        out = []
        for _ in range(r.choice([2, 3, 5, 8, 13, 21])):
            kind = r.random()
            if kind < 0.3:
                out.append(r.choice(WORDS))
            elif kind < 0.4:
                out.append(" " * r.choice([1, 1, 1, 2, 5]))
            elif kind < 0.45:
                low, high = r.choice([(0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x20000), (0x20000, 0x110000)])
                out.append(chr(r.randrange(low, high)))
            else:
                part = r.choice(PARTS)
                out.append("".join(r.choice(part) for _ in range(r.choice([1, 1, 2, 3, 6]))))
        yield "".join(out)


def long_texts():
    r = random.Random(7)
    yield "a" * 3000
    yield " " * 3000
    yield "\n" * 500
    yield "ab" * 1000
    yield "Donaudampfschifffahrtsgesellschaftskapitän" * 20
    yield "9" * 1000
    yield "!" * 1000
    yield "漢字" * 500
    yield "😀" * 200
    yield "\u0301" * 300
    yield "".join(chr(r.choice([97, 98, 99, 32])) for _ in range(4000))
    yield "A1b2 " * 300
    yield "\r\n" * 300
    yield "<s>" * 200
    yield "▁" * 300
    yield "x\u200d" * 200


def texts():
    out = list(SENTENCES) + EDGE + CODE
    for i in range(len(SENTENCES)):
        out.append(SENTENCES[i] + " " + SENTENCES[(i * 7 + 3) % len(SENTENCES)].upper())
    out += list(composed(170)) + list(long_texts())
    seen, unique = set(), []
    for t in out:
        t = t.encode("utf-8", "replace").decode()
        if t not in seen:
            seen.add(t)
            unique.append(t)
    return unique
