// Writes the small made-up tokenizers of the tests with the ids and texts that the reference library gives for them.
// usage: node synthetic.mjs [folder=../ModelServe.Codec.Tests/Synthetic/cases]
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { corpus, random } from './corpus.mjs';

const { Tokenizer } = createRequire(import.meta.url)('tokenizers');
const [folder = path.join(import.meta.dirname, '../ModelServe.Codec.Tests/Synthetic/cases')] = process.argv.slice(2);

/** GPT-2's map of bytes to printable characters. */
const byteChars = (() => {
  const chars = [];
  let shifted = 256;
  for (let code = 0; code < 256; code++) {
    const printable = (code >= 33 && code <= 126) || (code >= 161 && code <= 172) || code >= 174;
    chars.push(String.fromCodePoint(printable ? code : shifted++));
  }
  return chars;
})();

const written = text => [...Buffer.from(text, 'utf8')].map(byte => byteChars[byte]).join('');

/** A vocabulary of base symbols and of the merges, in the order given; every merge joins two tokens that exist before it. */
function model(base, merges, extra = {}) {
  const vocab = {};
  for (const symbol of base) vocab[symbol] ??= Object.keys(vocab).length;
  for (const [left, right] of merges) vocab[left + right] ??= Object.keys(vocab).length;
  return { type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false,
    byte_fallback: false, ignore_merges: false, vocab, merges, ...extra };
}

/** Merges that build each word from its characters, left to right or from the middle out, sharing what exists. */
function wordMerges(words, split = text => [...text]) {
  const merges = [];
  const seen = new Set();
  words.forEach((word, index) => {
    const parts = split(word);
    while (parts.length > 1) {
      const at = index % 2 === 0 ? 0 : Math.floor((parts.length - 1) / 2);
      const key = parts[at] + '\u0000' + parts[at + 1];
      if (!seen.has(key)) merges.push([parts[at], parts[at + 1]]);
      seen.add(key);
      parts.splice(at, 2, parts[at] + parts[at + 1]);
    }
  });
  return merges;
}

const words = ['the', ' the', ' and', 'ing', 'er', ' in', '  ', '    ', '\n\n', 'return', ' return', "'s", "'ll", '12', '123', '中文', 'é', ' é',
  'ß', '😀', 'Ⅷ', 'aa', 'aaa', 'aaaa', 'aaaaaaaa', '--', '----', ' we', ' see', 'HTTP', 'Server', 'get', ' x', '\r\n', '//', 'ё', ' ё', 'ab', 'ba', 'abab'];
const byteMerges = wordMerges(words.map(written));
const added = (id, content, flags = {}) =>
  ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...flags });
const byteLevel = (flags = {}) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false, ...flags });
const split = (pattern, behavior = 'Isolated', invert = false) => ({ type: 'Split', pattern, behavior, invert });
const sequence = (...pretokenizers) => ({ type: 'Sequence', pretokenizers });
const file = parts => ({ version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: null,
  post_processor: null, decoder: null, ...parts });

/** A byte-level tokenizer; added tokens follow the model's ids. */
function byteFile(parts, extra = {}) {
  const made = model(byteChars, byteMerges, extra);
  const next = Object.keys(made.vocab).length;
  const tokens = parts.added ?? [added(0, '<|start|>'), added(1, '<|end|>'), added(2, '<tool>', { special: false })];
  const { added: _, ...rest } = parts;
  return file({ model: made, decoder: byteLevel({ use_regex: true, add_prefix_space: true }),
    added_tokens: tokens.map((token, index) => ({ ...token, id: next + index })), ...rest });
}

const meta = '▁';
const spWords = ['▁the', 'the', '▁and', 'ing', '▁▁', '▁▁▁▁', '>▁<', 'er', '▁in', 'aa', 'aaa', '中文', 'ab', '▁x', ';;', '▁12'];
const alphabet = ['<unk>', '<s>', '</s>', ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  meta, ...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?<>/-_\'"()é中文', '😀'];
const spDecoder = { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: meta }, content: ' ' }, { type: 'ByteFallback' },
  { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] };
const bos = { type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }], special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } } };
const spFile = (parts, extra = {}) => file({
  model: model(alphabet, wordMerges(spWords), { unk_token: '<unk>', fuse_unk: true, byte_fallback: true, ...extra }),
  added_tokens: [added(0, '<unk>'), added(1, '<s>'), added(2, '</s>')], decoder: spDecoder, post_processor: bos,
  normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: meta }, { type: 'Replace', pattern: { String: ' ' }, content: meta }] }, ...parts });
const plainFile = (parts, extra = {}) => spFile({ added_tokens: [added(0, '<unk>')], normalizer: null, decoder: null, post_processor: null, ...parts }, extra);

const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const cl100k = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const qwen = cl100k.replace('\\p{N}{1,3}', '\\p{N}');
const camel = (digits, tail) => `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+${tail}|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*${tail}|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const o200k = camel('\\p{N}{1,3}', "(?i:'s|'t|'re|'ve|'m|'ll|'d)?");
const deepseek = [{ Regex: '\\p{N}{1,3}' }, { Regex: '[一-龥぀-ゟ゠-ヿ]+' }, { Regex: '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+' }];
const regex = (pattern, behavior, invert) => byteFile({ pre_tokenizer: sequence(split({ Regex: pattern }, behavior, invert), byteLevel()) });
const literal = (behavior, invert) => byteFile({ pre_tokenizer: sequence(split({ String: 'a' }, behavior, invert), byteLevel()) });
const normalizer = value => byteFile({ normalizer: value, pre_tokenizer: byteLevel({ use_regex: true }) });
const flagged = [added(0, '<|single|>', { single_word: true }), added(1, '<|left|>', { lstrip: true }), added(2, '<|right|>', { rstrip: true }),
  added(3, '<|both|>', { lstrip: true, rstrip: true }), added(4, '<|both|><|more|>'), added(5, 'e\u0301', { normalized: true, special: false }),
  added(6, 'qz', { single_word: true, special: false, normalized: true }), added(7, 'qzx', { special: false })];

const tokenizers = {
  gpt2: byteFile({ pre_tokenizer: byteLevel({ use_regex: true }) }),
  gpt2_prefix_space: byteFile({ pre_tokenizer: byteLevel({ use_regex: true, add_prefix_space: true }) }),
  gpt2_split_removed_inverted: regex(gpt2, 'Removed', true),
  cl100k: byteFile({ pre_tokenizer: sequence(split({ Regex: cl100k }), byteLevel()) }, { ignore_merges: true }),
  qwen: byteFile({ normalizer: { type: 'NFC' }, pre_tokenizer: sequence(split({ Regex: qwen }), byteLevel()) }),
  o200k: regex(o200k), tekken: regex(camel('\\p{N}', '')),
  deepseek: byteFile({ normalizer: { type: 'Sequence', normalizers: [] }, pre_tokenizer: sequence(...deepseek.map(pattern => split(pattern)), byteLevel()) }),
  possessive: regex("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s"),
  words: regex('\\w+|[^\\w\\s]', 'Contiguous'), classes: regex('[^\\S\\n]+|[\\w\\-.]+|(?<=[a-c])\\d{2,}|\\x2d{,2}\\u4e2d', 'MergedWithNext'),
  literal_removed: literal('Removed', false), literal_isolated: literal('Isolated', true), literal_previous: literal('MergedWithPrevious', false),
  literal_next: literal('MergedWithNext', false), literal_contiguous: literal('Contiguous', false), literal_previous_inverted: literal('MergedWithPrevious', true),
  digits: byteFile({ pre_tokenizer: sequence({ type: 'Digits', individual_digits: true }, byteLevel({ use_regex: true })) }),
  digit_runs: byteFile({ pre_tokenizer: sequence({ type: 'Digits', individual_digits: false }, byteLevel()) }),
  falcon: byteFile({ pre_tokenizer: sequence({ type: 'Punctuation', behavior: 'Contiguous' }, byteLevel({ use_regex: true }), { type: 'Digits', individual_digits: false },
    split({ Regex: '[0-9][0-9][0-9]' })) }),
  whitespace: byteFile({ pre_tokenizer: sequence({ type: 'Whitespace' }, byteLevel()) }), whitespace_split: byteFile({ pre_tokenizer: sequence({ type: 'WhitespaceSplit' }, byteLevel()) }),
  punctuation: byteFile({ pre_tokenizer: sequence({ type: 'Punctuation', behavior: 'Isolated' }, byteLevel()) }),
  flags: byteFile({ added: flagged, normalizer: { type: 'NFC' }, pre_tokenizer: byteLevel({ use_regex: true }) }),
  nfd: normalizer({ type: 'NFD' }), nfkc: normalizer({ type: 'NFKC' }), nfkd: normalizer({ type: 'NFKD' }), lower: normalizer({ type: 'Lowercase' }),
  strip: normalizer({ type: 'Strip', strip_left: true, strip_right: false }),
  accents: normalizer({ type: 'Sequence', normalizers: [{ type: 'NFD' }, { type: 'StripAccents' }] }),
  replace: normalizer({ type: 'Sequence', normalizers: [{ type: 'Replace', pattern: { Regex: '\\s{2,}|\\p{Lo}' }, content: '$0' }, { type: 'Prepend', prepend: '>' }] }),
  llama: spFile({}), llama_unknown: spFile({}, { byte_fallback: false }), llama_unfused: spFile({}, { byte_fallback: false, fuse_unk: false }), silent: plainFile({}, { unk_token: null, byte_fallback: false }),
  gemma: spFile({ normalizer: { type: 'Replace', pattern: { String: ' ' }, content: meta }, pre_tokenizer: split({ String: ' ' }, 'MergedWithPrevious'),
    decoder: { type: 'Sequence', decoders: spDecoder.decoders.slice(0, 3) } }),
  metaspace: spFile({ normalizer: null, pre_tokenizer: { type: 'Metaspace', replacement: meta, prepend_scheme: 'first', split: false },
    decoder: { type: 'Sequence', decoders: [{ type: 'ByteFallback' }, { type: 'Metaspace', replacement: meta, prepend_scheme: 'first', split: false }] } }),
  metaspace_split: spFile({ normalizer: null, pre_tokenizer: { type: 'Metaspace', replacement: meta, prepend_scheme: 'always', split: true },
    decoder: { type: 'Metaspace', replacement: meta, prepend_scheme: 'never', split: true } }),
  token_strip: spFile({ decoder: { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: meta }, content: ' ' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] } }),
  roberta: byteFile({ pre_tokenizer: byteLevel({ use_regex: true }), post_processor: { type: 'Sequence', processors: [byteLevel(),
    { type: 'RobertaProcessing', sep: ['<|end|>', 7], cls: ['<|start|>', 5], trim_offsets: true, add_prefix_space: false }] } }),
  bert: byteFile({ pre_tokenizer: byteLevel({ use_regex: true }), post_processor: { type: 'BertProcessing', sep: ['<|end|>', 7], cls: ['<|start|>', 5] } }),
};

/** A double-array trie of replacements as SentencePiece compiles it: size of the trie, its units, zero-ended strings. */
function charsMap(pairs) {
  const root = { next: new Map() };
  const pool = [];
  for (const [from, to] of pairs) {
    let node = root;
    for (const byte of Buffer.from(from, 'utf8')) {
      if (!node.next.has(byte)) node.next.set(byte, { next: new Map() });
      node = node.next.get(byte);
    }
    node.value = pool.length;
    pool.push(...Buffer.from(to, 'utf8'), 0);
  }
  const units = [0];
  const taken = new Set([0]);
  const place = (node, at) => {
    const labels = [...(node.value === undefined ? [] : [0]), ...node.next.keys()];
    let base = 1;
    while (labels.some(label => taken.has(base ^ label))) base++;
    for (const label of labels) taken.add(base ^ label);
    units[at] = ((units[at] ?? 0) | ((base ^ at) << 10) | (node.value === undefined ? 0 : 0x100)) >>> 0;
    if (node.value !== undefined) units[base] = (0x80000000 | node.value) >>> 0;
    for (const [label, child] of node.next) {
      units[base ^ label] = label;
      place(child, base ^ label);
    }
  };
  place(root, 0);
  // Whole blocks of 256, so that no byte leads outside.
  while (units.length % 256 !== 0) units.push(0);
  const blob = Buffer.alloc(4 + units.length * 4);
  blob.writeUInt32LE(units.length * 4, 0);
  for (let index = 0; index < units.length; index++) blob.writeUInt32LE(units[index] ?? 0, 4 + index * 4);
  return Buffer.concat([blob, Buffer.from(pool)]).toString('base64');
}

const upper = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'].map(letter => [letter, letter.toLowerCase()]);
const precompiled = { type: 'Precompiled', precompiled_charsmap: charsMap([...upper, ['e\u0301', 'é'], ['ﬁ', 'fi'], ['\u00a0', ' '], ['\u3000', ' '], ['\n', ' '],
  ['\r', ' '], ['\u200b', ''], ['ſ', 's'], ['a\u030a', 'å'], ['\u00bd', '1⁄2'], ['\u{1d400}', 'A'], ['\u0001', ''], ['...', '…'], ['👍', '+1']]) };
const unigramPieces = (() => {
  const next = random(3);
  const pieces = [['<pad>', 0], ['</s>', 0], ['<unk>', 0]];
  const seen = new Set(pieces.map(([text]) => text));
  const add = (text, score) => seen.has(text) || (seen.add(text), pieces.push([text, score]));
  for (const text of [...spWords, ...words.map(word => word.replaceAll(' ', meta)), '▁quick', 'brow', 'own', 'turn', 're', '今天', '天天', '公园', 'öß', 'e\u0301']) add(text, -2 - Math.floor(next() * 64) / 8);
  for (const text of [meta, ...'abcdefghijklmnopqrstuvwxyz0123456789.,;:!?<>/-_()é中今天']) add(text, -8 - Math.floor(next() * 40) / 8);
  return pieces;
})();
const bytePieces = Array.from({ length: 256 }, (_, byte) => [`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, -20]);
const metaspace = { type: 'Metaspace', replacement: meta, prepend_scheme: 'always', split: true };
const unigram = (parts, pieces = unigramPieces, extra = {}) => file({ model: { type: 'Unigram', unk_id: 2, vocab: pieces, byte_fallback: false, ...extra },
  added_tokens: [added(0, '<pad>'), added(1, '</s>'), added(2, '<unk>')], pre_tokenizer: metaspace, decoder: metaspace,
  post_processor: { type: 'TemplateProcessing', single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '</s>', type_id: 0 } }],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 0 } }], special_tokens: { '</s>': { id: '</s>', ids: [1], tokens: ['</s>'] } } }, ...parts });
const bertWords = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'the', '##ing', 'quick', 'bro', '##wn', 'fox', 'i', "'", 's', 'return', 're', '##turn', 'int', '##s', '今', '天', 'ab', '##ab', '##b', '##a', 'http', '##server',
  'é', 'uben', 'e', '😀', '.', ',', '!', '?', '-', '12', '##3', '##4', '1', '##2', 'do', 'not', "n't", 'n', 't', '##t', 'd', 'x', 'y', '##y', 'ё', 'и', '##и', 'й', '한', 'ㅎ', '/', '(', ')', '[', ']', '<', '>', '=', ...'abcdefghijklmnopqrstuvwxyz', ...[...'abcdefghijklmnopqrstuvwxyz'].map(letter => '##' + letter)];
const wordPiece = (parts, extra = {}) => {
  const vocab = {};
  for (const word of bertWords) vocab[word] ??= Object.keys(vocab).length;
  return file({ model: { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab, ...extra },
    added_tokens: [0, 1, 2, 3].map(id => added(id, bertWords[id])), normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' }, decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    post_processor: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] }, ...parts });
};
Object.assign(tokenizers, {
  unigram: unigram({}), unigram_precompiled: unigram({ normalizer: { type: 'Sequence', normalizers: [precompiled, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }] },
    pre_tokenizer: sequence({ type: 'WhitespaceSplit' }, metaspace) }),
  unigram_bytes: unigram({ decoder: spDecoder }, [...unigramPieces, ...bytePieces], { byte_fallback: true }),
  unigram_whole: unigram({ normalizer: { type: 'Replace', pattern: { String: ' ' }, content: meta }, pre_tokenizer: null }),
  wordpiece: wordPiece({}), wordpiece_cased: wordPiece({ normalizer: { type: 'BertNormalizer', clean_text: false, handle_chinese_chars: false, strip_accents: null, lowercase: false },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: false } }, { max_input_chars_per_word: 8 }),
  wordpiece_accents: wordPiece({ normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: false, strip_accents: false, lowercase: true }, pre_tokenizer: { type: 'Whitespace' } }),
});

fs.rmSync(folder, { recursive: true, force: true });
for (const [name, json] of Object.entries(tokenizers)) {
  const target = path.join(folder, name);
  fs.mkdirSync(target, { recursive: true });
  const text = JSON.stringify(json);
  fs.writeFileSync(path.join(target, 'tokenizer.json'), text + '\n');
  const tokenizer = Tokenizer.fromString(text);
  const specials = json.added_tokens.map(token => token.content);
  const cases = [];
  // What equals the input (or, for the second text, the first) is written as 0; half surrogate pairs do not survive JSON.
  const texts = corpus(11, 660, specials).filter((input, index) => input.length < 70 && (index < 40 || index % 6 === 0 || index > 560));
  for (const input of texts) {
    const seen = input.toWellFormed();
    const ids = (await tokenizer.encode(seen, null, { addSpecialTokens: false })).getIds();
    const decoded = await tokenizer.decode(ids, false);
    const skipped = await tokenizer.decode(ids, true);
    cases.push([input === seen ? input : 'base64:' + Buffer.from(input, 'utf16le').toString('base64'), ids,
      decoded === input ? 0 : decoded, skipped === decoded ? 0 : skipped]);
  }
  const next = random(5);
  const randomIds = [];
  for (let n = 0; n < 25; n++) {
    const ids = Array.from({ length: 1 + Math.floor(next() * 12) }, () => Math.floor(next() * tokenizer.getVocabSize(true)));
    randomIds.push([ids, await tokenizer.decode(ids, false), await tokenizer.decode(ids, true)]);
  }
  const empty = (await tokenizer.encode('', null, { addSpecialTokens: true })).getIds();
  fs.writeFileSync(path.join(target, 'expected.json'), `{"added":${JSON.stringify(empty)},\n"cases":[\n${cases.map(item => JSON.stringify(item)).join(',\n')}],\n"randomIds":[\n${randomIds.map(item => JSON.stringify(item)).join(',\n')}]}\n`);
}
console.log(`${Object.keys(tokenizers).length} tokenizers`);
