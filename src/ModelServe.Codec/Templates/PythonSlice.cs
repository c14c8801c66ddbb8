using System.Numerics;
using System.Text;

namespace ModelServe.Codec.Templates;

/// <summary>Python's slicing of strings, lists, tuples and ranges.</summary>
internal static class PythonSlice
{
    /// <summary>The slice; null bounds take their defaults.</summary>
    /// <exception cref="TemplateException">The value cannot be sliced, a bound is no int, or the step is 0.</exception>
    public static object? Apply(RenderState state, object? value, object? start, object? stop, object? step)
    {
        state.Step();
        if (value is Undefined undefined)
        {
            throw undefined.Raise();
        }

        long length = value is string or Markup or TemplateSequence or TemplateRange ? PythonTypes.Length(value)
            : value is TemplateDict ? throw new TemplateException("unhashable type: 'slice'")
            : throw new TemplateException($"'{PythonTypes.NameOf(value)}' object is not subscriptable");
        long stride = step is null ? 1 : Bound(step);
        if (stride == 0)
        {
            throw new TemplateException("slice step cannot be zero");
        }

        long lowest = stride > 0 ? 0 : -1;
        long highest = stride > 0 ? length : length - 1;
        long first = start is null ? (stride > 0 ? lowest : highest) : Clamp(Bound(start), length, lowest, highest);
        long last = stop is null ? (stride > 0 ? highest : lowest) : Clamp(Bound(stop), length, lowest, highest);
        if (value is TemplateRange range)
        {
            return new TemplateRange(range.At(first), range.At(last), range.Step * stride);
        }

        var indices = new TemplateRange(first, last, stride);
        if (PythonTypes.AsText(value) is string text)
        {
            state.ChargeText(text.Length);
            string part = Pick(text, indices);
            return value is Markup ? new Markup(part) : part;
        }

        object?[] items = ((TemplateSequence)value!).Items;
        var picked = new object?[indices.Length];
        state.Charge(picked.Length);
        for (int i = 0; i < picked.Length; i++)
        {
            picked[i] = items[indices.At(i)];
        }

        return value is TemplateList ? new TemplateList(picked) : new TemplateTuple(picked);
    }

    private static string Pick(string text, TemplateRange indices)
    {
        if (indices.Step == 1)
        {
            return CodePoints.Substring(text, (int)indices.Start, (int)indices.Stop);
        }

        object?[] parts = [.. CodePoints.Split(text, isMarkup: false)];
        var picked = new StringBuilder();
        for (long i = 0; i < indices.Length; i++)
        {
            picked.Append((string)parts[indices.At(i)]!);
        }

        return picked.ToString();
    }

    private static long Bound(object? value) => value switch
    {
        long number => number,
        bool flag => flag ? 1 : 0,
        BigInteger number => number.Sign > 0 ? long.MaxValue : -long.MaxValue,
        Undefined undefined => throw undefined.Raise(),
        _ => throw new TemplateException("slice indices must be integers or None or have an __index__ method"),
    };

    private static long Clamp(long index, long length, long lowest, long highest) =>
        Math.Clamp(index < 0 ? index + length : index, lowest, highest);
}
