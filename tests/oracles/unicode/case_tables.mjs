// Writes CaseTables.cs from this Node.js's own Unicode tables, which must be those of Unicode 17 (process.versions.unicode), the
// version of the reference library; normalization.mjs checks that for lower case. usage: node case_tables.mjs
import fs from 'node:fs';
import path from 'node:path';

const version = '17.0';
if (process.versions.unicode !== version) {
  console.error(`this Node.js has Unicode ${process.versions.unicode}; ${version} is needed`);
  process.exit(1);
}
const hex = value => (value < 0 ? '-0x' : '0x') + Math.abs(value).toString(16).toUpperCase();

/** First and last code point of each row, the step between them, and what leads from one to its counterpart. */
function table(map) {
  const rows = [];
  for (let code = 0x80; code < 0x110000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const mapped = [...map(String.fromCodePoint(code))];
    const delta = mapped[0].codePointAt(0) - code;
    if (mapped.length > 1 || delta === 0) continue;
    const last = rows.at(-1);
    const gap = last ? code - last.end : 0;
    if (last && last.delta === delta && (last.step === 0 ? gap <= 2 : gap === last.step)) Object.assign(last, { step: gap, end: code });
    else rows.push({ start: code, end: code, step: 0, delta });
  }
  const lines = [];
  for (const { start, end, step, delta } of rows) {
    const row = `${hex(start)}, ${hex(end)}, ${Math.max(1, step)}, ${hex(delta)},`;
    if (lines.length > 0 && lines.at(-1).length + row.length < 115) lines[lines.length - 1] += ' ' + row;
    else lines.push(row);
  }
  return lines.map(line => '        ' + line).join('\n');
}

fs.writeFileSync(path.join(import.meta.dirname, '../../../src/ModelServe.Codec/Normalizing/CaseTables.cs'), `namespace ModelServe.Codec.Normalizing;

/// <summary>
/// The case mappings of single code points beyond ASCII to single code points by Unicode ${version}. Written by
/// tests/oracles/unicode/case_tables.mjs; the runtime's own mappings depend on the ICU of the machine.
/// </summary>
internal static class CaseTables
{
    // First and last code point of each row, the step between them, and what leads from one to its counterpart.
    private static readonly int[] Capitals =
    [
${table(text => text.toLowerCase())}
    ];

    private static readonly int[] SmallLetters =
    [
${table(text => text.toUpperCase())}
    ];

    /// <summary>The small letter of a capital beyond ASCII; any other code point is its own.</summary>
    public static int Lower(int code) => Find(Capitals, code);

    /// <summary>The capital of a small letter beyond ASCII; any other code point is its own.</summary>
    public static int Upper(int code) => Find(SmallLetters, code);

    private static int Find(int[] rows, int code)
    {
        int low = 0;
        int high = (rows.Length / 4) - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            int row = middle * 4;
            if (code < rows[row])
            {
                high = middle - 1;
            }
            else if (code > rows[row + 1])
            {
                low = middle + 1;
            }
            else
            {
                return (code - rows[row]) % rows[row + 2] == 0 ? code + rows[row + 3] : code;
            }
        }
        return code;
    }
}
`);
