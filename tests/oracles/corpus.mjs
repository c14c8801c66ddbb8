// A seeded corpus that is hard on tokenizers: scripts, marks, emoji, white space, numbers, controls, long runs, fuzz.

/** A small seeded generator (mulberry32): the same seed gives the same corpus everywhere. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const samples = [
  'The quick brown fox jumps over the lazy dog, doesn\'t it? I\'LL say we\'ve seen 1,234.56 of them.',
  'public static int Main(string[] args)\n{\n    return args.Length > 0 ? 1 : 0; // done\n}\n',
  'def f(x):\n\tif x is None:\n\t\treturn []\n\treturn [y ** 2 for y in x if y % 2]\n\n\n',
  '<div class="a-b">\r\n  <p>&nbsp;Text</p>\r\n</div>', '{"a": [1, 2.5e-3, null], "b": {"c": "\\u00e9"}}',
  'Falsches Üben von Xylophonmusik quält jeden größeren Zwerg', 'Voix ambiguë d’un cœur qui préfère les jattes de kiwis',
  'Съешь же ещё этих мягких французских булок', 'Ξεσκεπάζω την ψυχοφθόρα βδελυγμία', 'שלום עולם, מה שלומך?',
  'صِف خَلقَ خَودِ كَمِثلِ الشَمسِ', 'ऋषियों को सताने वाले दुष्ट राक्षसों', 'ภาษาไทยไม่มีเว้นวรรค', '今天天气很好，我们去公园吧。', '色は匂へど散りぬるを',
  '키스의 고유조건은 입술끼리 만나야 하고', 'Tiếng Việt có nhiều dấu', '\u{1d400}\u{1d401}\u{20000}\u{2a6d6} astral', '👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪🇫🇷 1️⃣',
  'e\u0301 o\u0308 \u1112\u1161\u11ab A\u030a \u212b \ufb01 \u01c4 \u0130', 'a\u00a0b\u2003c\u3000d\u200be\u2028f\u0085g\ufeffh',
  '\u0000\u0001\u0007\u001b[31m\u007f\u0080', '   leading', 'trailing   ', '\t\tmixed \n \r\n  \n\n   x', '1234567890 12 3 4567 ²³½Ⅷ٣٤ 𝟘𝟙',
  'HTTPServer getHTTPResponseCode iPhone XMLHttpRequest ǅungla', "it's IT'S I'll I'LL we'Ve 'ſ 'S 'tis ''re", 'a/b/c//d\\e ---- === !!! ???\n\n!!',
  '▁▁lower▁block ▁ x', '<0x0A> <0xFF>', '\ufffe \uffff \ufdd1', 'ſt ﬆ K Å', '\u0378\u{e000}\u{f0000}\u{10ffff}', 'a\u0657\u0d3c\u0301 \u{105d2}\u0307 \u{11935}\u{11930} \ufffee\u0301 \u32ff',
];

const runs = ['a', 'Z', '9', ' ', '\n', '\t', '-', '=', '\u00e9', '中', '😀', '\u0301', "'", '\r\n', 'ab', ' a', '▁', '.', '0'];

const pools = [
  () => [0x20, 0x7e], () => [0x09, 0x0d], () => [0xa0, 0x24f], () => [0x300, 0x36f], () => [0x370, 0x5ff], () => [0x600, 0x6ff],
  () => [0x900, 0xdff], () => [0xe00, 0xeff], () => [0x1100, 0x11ff], () => [0x2000, 0x206f], () => [0x2100, 0x27bf],
  () => [0x3040, 0x30ff], () => [0x4e00, 0x9fa5], () => [0xac00, 0xd7a3], () => [0xfb00, 0xffef], () => [0x1d400, 0x1d7ff],
  () => [0x1f300, 0x1faff], () => [0x20000, 0x2a6df], () => [0x10000, 0x10ffff], () => [0x80, 0xd7ff],
];

/** Strings that any tokenizer must agree on; special token texts are mixed in where given. */
export function corpus(seed, count, specials = []) {
  const next = random(seed);
  const pick = list => list[Math.floor(next() * list.length)];
  const texts = ['', ...samples];
  for (const run of runs) {
    for (const length of [1, 2, 3, 4, 7, 15, 16, 31, 33, 64, 97, 130, 400]) texts.push(run.repeat(length), 'x' + run.repeat(length) + 'y');
  }
  const letters = pool => {
    const [low, high] = pool();
    const code = low + Math.floor(next() * (high - low + 1));
    return code >= 0xd800 && code <= 0xdfff ? '\ud83d' : String.fromCodePoint(code);
  };
  while (texts.length < count) {
    let text = '';
    const kind = next();
    if (kind < 0.3) {
      for (let n = 1 + Math.floor(next() * 40); n > 0; n--) text += letters(next() < 0.5 ? pools[0] : pick(pools));
    } else if (kind < 0.6) {
      for (let n = 1 + Math.floor(next() * 5); n > 0; n--) {
        const sample = pick(samples);
        const from = Math.floor(next() * sample.length);
        text += sample.slice(from, from + 1 + Math.floor(next() * 30)) + pick(['', ' ', '\n', '  ', '\t']);
      }
    } else if (kind < 0.75 && specials.length > 0) {
      for (let n = 1 + Math.floor(next() * 4); n > 0; n--) text += pick(['', ' ', 'word', '\n', '  x ', pick(samples)]) + pick(specials);
    } else if (kind < 0.9) {
      for (let n = 1 + Math.floor(next() * 12); n > 0; n--) text += pick(runs).repeat(1 + Math.floor(next() * 5)) + (next() < 0.3 ? letters(pick(pools)) : '');
    } else {
      const words = pick(samples).split(/(?<= )/);
      for (let n = 1 + Math.floor(next() * 200); n > 0; n--) text += pick(words);
    }
    texts.push(text);
  }
  return texts.slice(0, count);
}
