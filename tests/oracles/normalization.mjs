// Prints, for each normalization form and for lower case, two hashes of what the reference library makes of all code points and of
// a seeded set of short strings. NormalizationHashTests holds them. usage: node normalization.mjs [strings=200000]
import { createRequire } from 'node:module';
import { random } from './corpus.mjs';

const library = createRequire(import.meta.url)('tokenizers');
const [strings = '200000'] = process.argv.slice(2);
const steps = { FormC: library.nfcNormalizer(), FormD: library.nfdNormalizer(), FormKC: library.nfkcNormalizer(), FormKD: library.nfkdNormalizer(), Lower: library.lowercase() };
/** Where marks, jamo, compositions and decompositions live. */
export const pools = [[0x41, 0x5a], [0xc0, 0x24f], [0x300, 0x36f], [0x300, 0x36f], [0x590, 0x6ff], [0x900, 0xdff], [0xe30, 0xfff], [0x1100, 0x11ff], [0x1ab0, 0x1aff],
  [0x1dc0, 0x1fff], [0x20d0, 0x218f], [0x3040, 0x33ff], [0xac00, 0xd7a3], [0xf900, 0xffef], [0x10a00, 0x10a4f], [0x11000, 0x116ff], [0x1d150, 0x1d1ad], [0x2f800, 0x2fa1f]];

/** FNV-1a over the code points of many texts, each ended by U+0110000. */
function hasher() {
  let mixed = 0x811c9dc5;
  const add = value => { mixed = Math.imul(mixed ^ value, 0x01000193) >>> 0; };
  return { add(text) { for (const part of text) add(part.codePointAt(0)); add(0x110000); }, get value() { return '0x' + mixed.toString(16).toUpperCase().padStart(8, '0'); } };
}

for (const [name, step] of Object.entries(steps)) {
  const sweep = hasher();
  for (let code = 0; code < 0x110000; code++) {
    if (code < 0xd800 || code > 0xdfff) sweep.add(step.normalizeString('a' + String.fromCodePoint(code)));
  }
  const combinations = hasher();
  const next = random(9);
  for (let n = 0; n < Number(strings); n++) {
    let text = '';
    for (let left = 1 + Math.floor(next() * 8); left > 0; left--) {
      const [low, high] = pools[Math.floor(next() * pools.length)];
      text += String.fromCodePoint(low + Math.floor(next() * (high - low + 1)));
    }
    combinations.add(step.normalizeString(text));
  }
  console.log(`${name}: ${sweep.value} over 1112064 code points, ${combinations.value} over ${strings} strings`);
}
