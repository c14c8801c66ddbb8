// Writes two texts made of this repository's own files (code: its C# sources; english: the prose of their comments and of the pages),
// and prints how fast the reference library encodes them: documents of 16 KiB, warm, best of three passes, MB/s.
// usage: node speed.mjs [folder=../../artifacts/oracles] [--texts-only]
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '../..');
const args = process.argv.slice(2);
const folder = args.find(arg => !arg.startsWith('--')) ?? path.join(root, 'artifacts/oracles');
const texts = path.join(folder, '../speed-texts');
const size = 1_000_000;

function* files(directory, ending) {
  for (const entry of fs.readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (['bin', 'obj', 'node_modules', 'artifacts', '.git'].includes(entry.name)) continue;
    const full = path.join(directory, entry.name);
    if (entry.isDirectory()) yield* files(full, ending);
    else if (entry.name.endsWith(ending)) yield fs.readFileSync(full, 'utf8').replaceAll(/[^\x00-\x7f]/g, '-');
  }
}

const sources = [...files(path.join(root, 'src'), '.cs'), ...files(path.join(root, 'tests'), '.cs')];
const prose = [...files(root, '.md'), ...sources.map(source => [...source.matchAll(/^\s*\/\/\/? (.*)$/gm)].map(match => match[1].replaceAll(/<[^>]*>/g, '')).join(' '))];
fs.mkdirSync(texts, { recursive: true });
for (const [name, parts] of [['code', sources], ['english', prose]]) {
  const text = parts.join('\n');
  fs.writeFileSync(path.join(texts, name + '.txt'), text.repeat(Math.ceil(size / text.length)).slice(0, size));
}
if (args.includes('--texts-only')) process.exit(0);

const { Tokenizer } = createRequire(import.meta.url)('tokenizers');
console.log('| vocabulary | code, MB/s | english, MB/s |\n|---|---|---|');
for (const name of fs.readdirSync(folder).sort()) {
  const file = path.join(folder, name, 'tokenizer.json');
  if (!fs.existsSync(file)) continue;
  const tokenizer = Tokenizer.fromString(fs.readFileSync(file, 'utf8'));
  const rates = [];
  for (const corpus of ['code', 'english']) {
    const text = fs.readFileSync(path.join(texts, corpus + '.txt'), 'utf8');
    const documents = Array.from({ length: Math.ceil(text.length / 16384) }, (_, index) => text.slice(index * 16384, (index + 1) * 16384));
    let best = Infinity;
    for (let round = 0; round < 3; round++) {
      const begun = process.hrtime.bigint();
      for (const document of documents) (await tokenizer.encode(document, null, { addSpecialTokens: false })).getIds();
      best = Math.min(best, Number(process.hrtime.bigint() - begun) / 1e9);
    }
    rates.push((text.length / 1e6 / best).toFixed(1));
  }
  console.log(`| ${name} | ${rates.join(' | ')} |`);
}
