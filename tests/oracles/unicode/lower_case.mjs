// Writes LowerCaseTable.cs from this Node.js's own Unicode tables, which must be those of Unicode 17 (process.versions.unicode), the
// version of the reference library; normalization.mjs checks that. usage: node lower_case.mjs
import fs from 'node:fs';
import path from 'node:path';

const version = '17.0';
if (process.versions.unicode !== version) {
  console.error(`this Node.js has Unicode ${process.versions.unicode}; ${version} is needed`);
  process.exit(1);
}
const rows = [];
for (let code = 0x80; code < 0x110000; code++) {
  const lower = code >= 0xd800 && code < 0xe000 ? '' : String.fromCodePoint(code).toLowerCase();
  // U+0130 becomes two characters and is treated apart.
  if (lower === '' || code === 0x130 || lower.codePointAt(0) === code) continue;
  const delta = lower.codePointAt(0) - code;
  const last = rows.at(-1);
  const gap = last ? code - last.end : 0;
  if (last && last.delta === delta && (last.step === 0 ? gap <= 2 : gap === last.step)) Object.assign(last, { step: gap, end: code });
  else rows.push({ start: code, end: code, step: 0, delta });
}
const hex = value => (value < 0 ? '-0x' : '0x') + Math.abs(value).toString(16).toUpperCase();
const lines = [];
for (const { start, end, step, delta } of rows) {
  const row = `${hex(start)}, ${hex(end)}, ${Math.max(1, step)}, ${hex(delta)},`;
  if (lines.length > 0 && lines.at(-1).length + row.length < 110) lines[lines.length - 1] += ' ' + row;
  else lines.push(row);
}
fs.writeFileSync(path.join(import.meta.dirname, '../../../src/ModelServe.Codec/Normalizing/LowerCaseTable.cs'), `namespace ModelServe.Codec.Normalizing;

/// <summary>
/// The lower case of single code points by Unicode ${version}, beyond ASCII and without U+0130, whose lower case is two characters.
/// Written by tests/oracles/unicode/lower_case.mjs; the runtime's own mapping depends on the ICU of the machine.
/// </summary>
internal static class LowerCaseTable
{
    // First and last capital of each row, the step between capitals, and what leads from a capital to its small letter.
    private static readonly int[] Rows =
    [
${lines.map(line => '        ' + line).join('\n')}
    ];

    /// <summary>The small letter of a capital beyond ASCII; any other code point is its own.</summary>
    public static int Lower(int code)
    {
        int low = 0;
        int high = (Rows.Length / 4) - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            int row = middle * 4;
            if (code < Rows[row])
            {
                high = middle - 1;
            }
            else if (code > Rows[row + 1])
            {
                low = middle + 1;
            }
            else
            {
                return (code - Rows[row]) % Rows[row + 2] == 0 ? code + Rows[row + 3] : code;
            }
        }
        return code;
    }
}
`);
console.log(`${rows.length} rows`);
