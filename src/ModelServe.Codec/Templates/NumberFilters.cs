using System.Globalization;
using System.Numerics;

namespace ModelServe.Codec.Templates;

/// <summary>The filters on numbers.</summary>
internal static class NumberFilters
{
    /// <summary>abs.</summary>
    public static object Abs(RenderState state, object? value, CallArguments arguments)
    {
        arguments.Bind("abs", 0);
        return value switch
        {
            double real => Math.Abs(real),
            bool or long or BigInteger => PythonNumbers.Normalize(BigInteger.Abs(PythonNumbers.ToBig(value))),
            Undefined undefined => throw undefined.Raise(),
            _ => throw new TemplateException($"bad operand type for abs(): '{PythonTypes.NameOf(value)}'"),
        };
    }

    /// <summary>int: what does not convert becomes the default.</summary>
    public static object? Int(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("int", 0, "default", "base");
        object? fallback = bound[0] is Missing ? Boxed.Of(0) : bound[0];
        switch (value)
        {
            case Undefined undefined:
                throw undefined.Raise();
            case bool or long or BigInteger:
                return PythonNumbers.Normalize(PythonNumbers.ToBig(value));
            case double real:
                return Truncated(real) ?? fallback;
            case string or Markup:
                string text = PythonTypes.AsText(value)!;
                long radix = bound[1] is Missing ? 10 : PythonNumbers.RequireLong(bound[1], "base");
                object? whole = radix is 0 or (>= 2 and <= 36) ? PythonNumbers.ParseInteger(text, (int)radix) : null;
                return whole ?? (PythonNumbers.ParseFloat(text) is double parsed ? Truncated(parsed) : null) ?? fallback;
            default:
                return fallback;
        }
    }

    /// <summary>float: what does not convert becomes the default.</summary>
    public static object? Float(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("float", 0, "default");
        object? fallback = bound[0] is Missing ? 0.0 : bound[0];
        return value switch
        {
            Undefined undefined => throw undefined.Raise(),
            string or Markup => PythonNumbers.ParseFloat(PythonTypes.AsText(value)!) is double parsed ? parsed : fallback,
            _ => PythonNumbers.IsNumber(value) ? PythonNumbers.ToDouble(value!) : fallback,
        };
    }

    /// <summary>round: common (ties to even), ceil or floor.</summary>
    public static object Round(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("round", 0, "precision", "method");
        long precision = bound[0] is Missing ? 0 : PythonNumbers.RequireLong(bound[0], "precision");
        string method = bound[1] is Missing ? "common" : PythonText.Str(state, bound[1]);
        if (method is not ("common" or "ceil" or "floor"))
        {
            throw new TemplateException("method must be common, ceil or floor");
        }

        if (!PythonNumbers.IsNumber(value))
        {
            throw value is Undefined undefined ? undefined.Raise()
                : new TemplateException($"type {PythonTypes.NameOf(value)} doesn't define __round__ method");
        }

        if (Math.Abs(precision) > 300)
        {
            throw new TemplateException("a precision beyond 300 is not supported");
        }

        double scale = Math.Pow(10, Math.Abs(precision));
        if (method == "common")
        {
            return value switch
            {
                double real when !double.IsFinite(real) => real,
                double real when precision >= 0 =>
                    double.Parse(NumberFormat.Fixed(real, (int)precision), CultureInfo.InvariantCulture),
                double real => Math.Round(real / scale, MidpointRounding.ToEven) * scale,
                _ when precision >= 0 => PythonNumbers.Normalize(PythonNumbers.ToBig(value!)),
                _ => throw new TemplateException("rounding an int to a negative precision is not supported"),
            };
        }

        double number = PythonNumbers.ToDouble(value!);
        double scaled = precision >= 0 ? number * scale : number / scale;
        scaled = method == "ceil" ? Math.Ceiling(scaled) : Math.Floor(scaled);
        return precision >= 0 ? scaled / scale : scaled * scale;
    }

    /// <summary>sum, of the elements or of an attribute of each.</summary>
    public static object? Sum(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("sum", 0, "attribute", "start");
        object? total = bound[1] is Missing ? Boxed.Of(0) : bound[1];
        if (PythonTypes.AsText(total) is not null)
        {
            throw new TemplateException("sum() can't sum strings [use ''.join(seq) instead]");
        }

        foreach (object? item in PythonIteration.ToArray(state, value))
        {
            object? part = bound[0] is Missing ? item : AttributePath.Get(state, item, bound[0]);
            total = PythonArithmetic.Apply(state, ArithmeticOperator.Add, total, part);
        }

        return total;
    }

    /// <summary>filesizeformat.</summary>
    public static object FileSize(RenderState state, object? value, CallArguments arguments)
    {
        object? binary = arguments.Bind("filesizeformat", 0, "binary")[0];
        double bytes = value switch
        {
            string or Markup => PythonNumbers.ParseFloat(PythonTypes.AsText(value)!)
                ?? throw new TemplateException($"could not convert string to float: {PythonText.Repr(state, value)}"),
            _ => PythonNumbers.IsNumber(value) ? PythonNumbers.ToDouble(value!)
                : throw new TemplateException($"float() argument must be a string or a real number, not '{PythonTypes.NameOf(value)}'"),
        };
        bool isBinary = binary is not Missing && PythonTypes.IsTrue(binary);
        double unit = isBinary ? 1024 : 1000;
        if (bytes < unit)
        {
            return bytes == 1 ? "1 Byte" : $"{PythonText.Str(state, Truncated(bytes))} Bytes";
        }

        string prefixes = isBinary ? "KMGTPEZY" : "kMGTPEZY";
        int index = 0;
        double scaled = bytes / unit;
        while (scaled >= unit && index < prefixes.Length - 1)
        {
            scaled /= unit;
            index++;
        }

        return $"{NumberFormat.Real(scaled, 'f', 1)} {prefixes[index]}{(isBinary ? "iB" : "B")}";
    }

    private static object? Truncated(double real) =>
        double.IsFinite(real) ? PythonNumbers.Normalize(new BigInteger(Math.Truncate(real))) : null;
}
