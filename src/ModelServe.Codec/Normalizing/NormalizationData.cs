using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>
/// The properties of Unicode 9 that the normalization forms rest on: combining classes, decompositions, compositions. That is the
/// version by which tokenizer.json's own library normalizes; later code points are inert. The data is a resource of this
/// assembly, made by tests/oracles/unicode/normalization_data.py, so that results depend on neither ICU nor the runtime.
/// Immutable and thread-safe.
/// </summary>
internal sealed class NormalizationData
{
    private const int BlockBits = 7;
    private const int BlockSize = 1 << BlockBits;

    private readonly ushort[] _blocks = new ushort[0x110000 >> BlockBits];
    private readonly List<ushort> _numbers = [.. new ushort[BlockSize]];
    private readonly List<CodePointRecord> _records = [CodePointRecord.Inert];
    private readonly Dictionary<long, int> _composites = [];

    private NormalizationData(VarintReader reader)
    {
        ReadClasses(reader);
        ReadDecompositions(reader);
        MarkBoundaries();
    }

    /// <summary>The data.</summary>
    public static NormalizationData Unicode9 { get; } = Load();

    /// <summary>The properties of a code point; Hangul syllables, which are arithmetic, have none.</summary>
    public CodePointRecord Of(int code) => _records[_numbers[_blocks[code >> BlockBits] + (code & (BlockSize - 1))]];

    /// <summary>
    /// Whether text may be cut before the code point, which is itself normalized: what stands before it never changes it.
    /// </summary>
    public bool IsBoundary(int code, NormalizationForm form) =>
        HangulSyllables.Contains(code) ? HangulSyllables.AreNormalized(form) : Of(code).IsBoundary(form);

    /// <summary>The code point that two compose to, or -1.</summary>
    public int Compose(int first, int second)
    {
        int syllable = HangulSyllables.Compose(first, second);
        return syllable >= 0 ? syllable : _composites.GetValueOrDefault(Pair(first, second), -1);
    }

    private static NormalizationData Load()
    {
        using Stream stream = typeof(NormalizationData).Assembly.GetManifestResourceStream("ModelServe.Codec.Normalizing.NormalizationData.bin")
            ?? throw new InvalidOperationException("The assembly lacks its resource NormalizationData.bin.");
        byte[] content = new byte[stream.Length];
        stream.ReadExactly(content);
        return new NormalizationData(new VarintReader(content));
    }

    private void ReadClasses(VarintReader reader)
    {
        int code = 0;
        for (int left = reader.Next(); left > 0; left--)
        {
            code += reader.Next();
            int length = reader.Next();
            byte kind = (byte)reader.Next();
            for (int end = code + length; code < end; code++)
            {
                Change(code).Class = kind;
            }
        }
    }

    private void ReadDecompositions(VarintReader reader)
    {
        int code = 0;
        List<(int Code, int[] Step, bool Compatibility)> steps = [];
        for (int left = reader.Next(); left > 0; left--)
        {
            code += reader.Next();
            int head = reader.Next();
            int[] step = new int[head >> 2];
            for (int index = 0; index < step.Length; index++)
            {
                step[index] = reader.Next();
            }
            steps.Add((code, step, (head & 1) != 0));
            if ((head & 2) != 0)
            {
                _composites.Add(Pair(step[0], step[1]), code);
                Change(step[1]).ComposesBackward = true;
                Change(code).IsComposite = true;
            }
        }
        Dictionary<int, (int[] Step, bool Compatibility)> byCode = steps.ToDictionary(item => item.Code, item => (item.Step, item.Compatibility));
        foreach ((int Code, int[] Step, bool Compatibility) item in steps)
        {
            CodePointRecord record = Change(item.Code);
            record.Canonical = item.Compatibility ? null : Expand(item.Code, compatibility: false, byCode);
            record.Compatible = Expand(item.Code, compatibility: true, byCode);
        }
        for (int jamo = HangulSyllables.FirstVowel; jamo <= HangulSyllables.LastVowel; jamo++)
        {
            Change(jamo).ComposesBackward = true;
        }
        for (int jamo = HangulSyllables.FirstFinal; jamo <= HangulSyllables.LastFinal; jamo++)
        {
            Change(jamo).ComposesBackward = true;
        }
    }

    private static int[] Expand(int code, bool compatibility, Dictionary<int, (int[] Step, bool Compatibility)> steps) =>
        steps.TryGetValue(code, out (int[] Step, bool Compatibility) found) && (compatibility || !found.Compatibility)
            ? [.. found.Step.SelectMany(part => Expand(part, compatibility, steps))]
            : [code];

    private void MarkBoundaries()
    {
        foreach (CodePointRecord record in _records)
        {
            bool starts = record.Class == 0;
            bool joins = record.ComposesBackward
                || (record.Canonical is { } parts && Of(parts[0]).ComposesBackward)
                || (record.Compatible is { } further && Of(further[0]).ComposesBackward);
            bool stable = record.Canonical is null || record.IsComposite;
            record.SetBoundaries(
                d: starts && record.Canonical is null,
                kd: starts && record.Compatible is null,
                c: starts && stable && !joins,
                kc: starts && stable && !joins && (record.Compatible is null || record.Compatible.AsSpan().SequenceEqual(record.Canonical)));
        }
    }

    /// <summary>The record of a code point, its own from now on.</summary>
    private CodePointRecord Change(int code)
    {
        int block = code >> BlockBits;
        if (_blocks[block] == 0)
        {
            _blocks[block] = (ushort)_numbers.Count;
            _numbers.AddRange(new ushort[BlockSize]);
        }
        int place = _blocks[block] + (code & (BlockSize - 1));
        if (_numbers[place] == 0)
        {
            _numbers[place] = (ushort)_records.Count;
            _records.Add(new CodePointRecord());
        }
        return _records[_numbers[place]];
    }

    private static long Pair(int first, int second) => ((long)first << 32) | (uint)second;
}
