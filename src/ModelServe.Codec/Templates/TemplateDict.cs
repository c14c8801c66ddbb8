using System.Collections;

namespace ModelServe.Codec.Templates;

/// <summary>A dict in insertion order with Python's equality of keys; templates cannot change one they were given.</summary>
internal sealed class TemplateDict(int capacity = 0) : IEnumerable<KeyValuePair<object?, object?>>
{
    private static readonly object NoneKey = new();
    private readonly OrderedDictionary<object, object?> _entries = new(capacity, PythonKeyComparer.Instance);

    /// <summary>Number of entries.</summary>
    public int Count => _entries.Count;

    /// <summary>The keys in order.</summary>
    public object?[] Keys => [.. this.Select(entry => entry.Key)];

    /// <summary>The values in order.</summary>
    public object?[] Values => [.. _entries.Values];

    /// <summary>Key and value tuples in order.</summary>
    public object?[] Pairs => [.. this.Select(entry => new TemplateTuple([entry.Key, entry.Value]))];

    /// <summary>Adds or replaces while the dict is being made.</summary>
    /// <exception cref="TemplateException">The key is not hashable.</exception>
    public void Set(object? key, object? value) => _entries[Wrap(key)] = value;

    /// <summary>The value of a key.</summary>
    /// <exception cref="TemplateException">The key is not hashable.</exception>
    public bool TryGet(object? key, out object? value) => _entries.TryGetValue(Wrap(key), out value);

    /// <inheritdoc/>
    public IEnumerator<KeyValuePair<object?, object?>> GetEnumerator()
    {
        foreach (KeyValuePair<object, object?> entry in _entries)
        {
            yield return new(ReferenceEquals(entry.Key, NoneKey) ? null : entry.Key, entry.Value);
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static object Wrap(object? key) => key ?? NoneKey;
}

/// <summary>Python's equality and hash for dict keys and sets: 1, 1.0 and True are one key, lists and dicts are none.</summary>
internal sealed class PythonKeyComparer : IEqualityComparer<object>
{
    private const int MaxVisits = 10_000;

    private PythonKeyComparer()
    {
    }

    /// <summary>The only instance.</summary>
    public static PythonKeyComparer Instance { get; } = new();

    /// <inheritdoc/>
    public new bool Equals(object? x, object? y) =>
        ReferenceEquals(x, y) || (x is string a && y is string b ? a == b : PythonComparison.AreEqual(x, y));

    /// <inheritdoc/>
    public int GetHashCode(object obj)
    {
        int budget = MaxVisits;
        return Hash(obj, 0, ref budget);
    }

    private static int Hash(object? value, int depth, ref int budget)
    {
        PythonComparison.Visit(depth, ref budget);
        switch (value)
        {
            case string text:
                return text.GetHashCode(StringComparison.Ordinal);
            case Markup markup:
                return markup.Text.GetHashCode(StringComparison.Ordinal);
            case bool or long or double or System.Numerics.BigInteger:
                return PythonNumbers.ToDouble(value).GetHashCode();
            case TemplateTuple tuple:
                var hash = new HashCode();
                foreach (object? item in tuple.Items)
                {
                    hash.Add(Hash(item, depth + 1, ref budget));
                }

                return hash.ToHashCode();
            case TemplateList or TemplateDict:
                throw new TemplateException($"unhashable type: '{PythonTypes.NameOf(value)}'");
            case Undefined:
                return 1;
            default:
                return value?.GetHashCode() ?? 0;
        }
    }
}
