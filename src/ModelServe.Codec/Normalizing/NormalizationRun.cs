using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>Normalizes stretches of text one after another, each by the letter of the standard; reuses its buffers. Not thread-safe.</summary>
/// <param name="form">The form.</param>
internal sealed class NormalizationRun(NormalizationForm form)
{
    private const int LongestInsertion = 32;

    private readonly NormalizationData _data = NormalizationData.Unicode9;
    private int[] _codes = new int[64];
    private byte[] _classes = new byte[64];
    private char[] _chars = new char[128];
    private int _count;

    /// <summary>The normalized stretch; valid until the next call.</summary>
    /// <param name="stretch">Text that begins at a boundary or at the start.</param>
    public ReadOnlySpan<char> Normalize(ReadOnlySpan<char> stretch)
    {
        _count = 0;
        foreach (Rune rune in stretch.EnumerateRunes())
        {
            Decompose(rune.Value);
        }
        Order();
        if (form is NormalizationForm.FormC or NormalizationForm.FormKC)
        {
            Compose();
        }
        if (_chars.Length < _count * 2)
        {
            _chars = new char[_count * 2];
        }
        int length = 0;
        for (int index = 0; index < _count; index++)
        {
            length += new Rune(_codes[index]).EncodeToUtf16(_chars.AsSpan(length));
        }
        return _chars.AsSpan(0, length);
    }

    private void Decompose(int code)
    {
        if (HangulSyllables.Contains(code))
        {
            Span<int> letters = stackalloc int[3];
            foreach (int letter in letters[..HangulSyllables.Decompose(code, letters)])
            {
                Add(letter, 0);
            }
            return;
        }
        CodePointRecord record = _data.Of(code);
        if (record.Decomposition(form) is not { } parts)
        {
            Add(code, record.Class);
            return;
        }
        foreach (int part in parts)
        {
            Add(part, _data.Of(part).Class);
        }
    }

    private void Add(int code, byte kind)
    {
        if (_count == _codes.Length)
        {
            Array.Resize(ref _codes, _count * 2);
            Array.Resize(ref _classes, _count * 2);
        }
        _codes[_count] = code;
        _classes[_count++] = kind;
    }

    /// <summary>Sorts each run of marks by class; marks of one class keep their order.</summary>
    private void Order()
    {
        int index = 0;
        while (index < _count)
        {
            int start = index;
            while (index < _count && _classes[index] != 0)
            {
                index++;
            }
            if (index - start > 1)
            {
                Sort(start, index);
            }
            index += index == start ? 1 : 0;
        }
    }

    private void Sort(int start, int end)
    {
        if (end - start > LongestInsertion)
        {
            long[] keys = new long[end - start];
            for (int index = 0; index < keys.Length; index++)
            {
                keys[index] = ((long)_classes[start + index] << 32) | (uint)index;
            }
            int[] codes = _codes[start..end];
            Array.Sort(keys, codes);
            for (int index = 0; index < keys.Length; index++)
            {
                _codes[start + index] = codes[index];
                _classes[start + index] = (byte)(keys[index] >> 32);
            }
            return;
        }
        for (int index = start + 1; index < end; index++)
        {
            (int code, byte kind) = (_codes[index], _classes[index]);
            int place = index;
            while (place > start && _classes[place - 1] > kind)
            {
                _codes[place] = _codes[place - 1];
                _classes[place] = _classes[place - 1];
                place--;
            }
            _codes[place] = code;
            _classes[place] = kind;
        }
    }

    private void Compose()
    {
        int starter = -1;
        int kept = 0;
        for (int index = 0; index < _count; index++)
        {
            (int code, byte kind) = (_codes[index], _classes[index]);
            // A mark is cut off from the starter by what was kept between them, unless that is of a lower class.
            bool reaches = starter >= 0 && (kept - 1 == starter || (_classes[kept - 1] != 0 && _classes[kept - 1] < kind));
            int composite = reaches ? _data.Compose(_codes[starter], code) : -1;
            if (composite >= 0)
            {
                _codes[starter] = composite;
                continue;
            }
            starter = kind == 0 ? kept : starter;
            _codes[kept] = code;
            _classes[kept++] = kind;
        }
        _count = kept;
    }
}
