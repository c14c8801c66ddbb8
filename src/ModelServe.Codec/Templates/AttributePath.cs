using System.Globalization;

namespace ModelServe.Codec.Templates;

/// <summary>The attribute argument of filters: a dotted path whose number parts are indices, or an index.</summary>
internal static class AttributePath
{
    /// <summary>The element at the path; <paramref name="fallback"/> takes the place of undefined ones where it is not null.</summary>
    public static object? Get(RenderState state, object? value, object? path, object? fallback = null)
    {
        if (path is null)
        {
            return value;
        }

        if (PythonTypes.AsText(path) is not string text)
        {
            return OrFallback(MemberLookup.Item(state, value, path), fallback);
        }

        foreach (string part in text.Split('.'))
        {
            bool isIndex = part.Length is > 0 and < 19 && part.All(char.IsAsciiDigit);
            object key = isIndex ? Boxed.Of(long.Parse(part, CultureInfo.InvariantCulture)) : part;
            value = OrFallback(MemberLookup.Item(state, value, key), fallback);
        }

        return value;
    }

    private static object? OrFallback(object? value, object? fallback) => value is Undefined && fallback is not null ? fallback : value;
}
