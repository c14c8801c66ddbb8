using System.Numerics;

namespace ModelServe.Codec.Templates;

/// <summary>Python's equality, order and membership.</summary>
internal static class PythonComparison
{
    private const int MaxVisits = 100_000;
    private static readonly string[] Symbols = ["==", "!=", "<", "<=", ">", ">="];

    /// <summary>Whether the comparison holds.</summary>
    /// <exception cref="TemplateException">The types have no order, or the container none of membership.</exception>
    public static bool Holds(RenderState state, ComparisonOperator op, object? left, object? right)
    {
        switch (op)
        {
            case ComparisonOperator.Equal:
                return AreEqual(left, right, state);
            case ComparisonOperator.NotEqual:
                return !AreEqual(left, right, state);
            case ComparisonOperator.In:
                return Contains(state, right, left);
            case ComparisonOperator.NotIn:
                return !Contains(state, right, left);
            default:
                if ((left is double a && double.IsNaN(a)) || (right is double b && double.IsNaN(b)))
                {
                    return false;
                }

                int order = Order(left, right, Symbols[(int)op]);
                return op switch
                {
                    ComparisonOperator.Less => order < 0,
                    ComparisonOperator.LessOrEqual => order <= 0,
                    ComparisonOperator.Greater => order > 0,
                    _ => order >= 0,
                };
        }
    }

    /// <summary>Python's ==.</summary>
    /// <exception cref="TemplateException">The values nest too deep or have too many parts to compare.</exception>
    public static bool AreEqual(object? left, object? right, RenderState? state = null)
    {
        int budget = MaxVisits;
        return AreEqual(left, right, 0, ref budget, state);
    }

    /// <summary>Python's order as a sign; <paramref name="symbol"/> names the operator in the exception.</summary>
    /// <exception cref="TemplateException">The types have no order.</exception>
    public static int Order(object? left, object? right, string symbol)
    {
        int budget = MaxVisits;
        return Order(left, right, symbol, 0, ref budget);
    }

    /// <summary>Counts a part that a comparison or hash looks at: values may share parts, so their size is not bounded by their making.</summary>
    public static void Visit(int depth, ref int budget)
    {
        PythonTypes.RequireDepth(depth);
        if (--budget < 0)
        {
            throw new TemplateException($"a value of more than {MaxVisits} parts is compared");
        }
    }

    private static bool AreEqual(object? left, object? right, int depth, ref int budget, RenderState? state)
    {
        Visit(depth, ref budget);
        if (left is string a && right is string b)
        {
            return a == b;
        }

        if (PythonNumbers.IsNumber(left) && PythonNumbers.IsNumber(right))
        {
            return left is double || right is double
                ? NumberOrder(left!, right!) == 0
                : PythonNumbers.ToBig(left!) == PythonNumbers.ToBig(right!);
        }

        switch (left, right)
        {
            case (null, null):
            case (Undefined, Undefined):
                return true;
            case (string or Markup, string or Markup):
                return PythonTypes.AsText(left) == PythonTypes.AsText(right);
            case (TemplateList, TemplateList) or (TemplateTuple, TemplateTuple):
                return ReferenceEquals(left, right) || SequencesEqual((TemplateSequence)left, (TemplateSequence)right, depth, ref budget, state);
            case (TemplateDict first, TemplateDict second):
                return DictsEqual(first, second, depth, ref budget, state);
            case (TemplateRange first, TemplateRange second):
                return first.Length == second.Length
                    && (first.Length == 0 || (first.Start == second.Start && (first.Length == 1 || first.Step == second.Step)));
            default:
                return ReferenceEquals(left, right);
        }
    }

    private static int Order(object? left, object? right, string symbol, int depth, ref int budget)
    {
        Visit(depth, ref budget);
        if (left is Undefined || right is Undefined)
        {
            throw ((Undefined)(left is Undefined ? left : right!)).Raise();
        }

        if (PythonNumbers.IsNumber(left) && PythonNumbers.IsNumber(right))
        {
            return NumberOrder(left!, right!);
        }

        if (PythonTypes.AsText(left) is string a && PythonTypes.AsText(right) is string b)
        {
            return CodePoints.Compare(a, b);
        }

        if (left is TemplateSequence first && right is TemplateSequence second && left.GetType() == right.GetType())
        {
            int shared = Math.Min(first.Items.Length, second.Items.Length);
            for (int i = 0; i < shared; i++)
            {
                if (!AreEqual(first.Items[i], second.Items[i], depth + 1, ref budget, null))
                {
                    return Order(first.Items[i], second.Items[i], symbol, depth + 1, ref budget);
                }
            }

            return first.Items.Length.CompareTo(second.Items.Length);
        }

        throw new TemplateException(
            $"'{symbol}' not supported between instances of '{PythonTypes.NameOf(left)}' and '{PythonTypes.NameOf(right)}'");
    }

    /// <summary>Python's <c>item in container</c>.</summary>
    /// <exception cref="TemplateException">The container is none, or a string is asked for what is no string.</exception>
    public static bool Contains(RenderState state, object? container, object? item)
    {
        switch (container)
        {
            case string or Markup:
                string text = PythonTypes.AsText(container)!;
                if (PythonTypes.AsText(item) is not string part)
                {
                    throw new TemplateException($"'in <string>' requires string as left operand, not {PythonTypes.NameOf(item)}");
                }

                state.ChargeText(text.Length);
                return text.Contains(part, StringComparison.Ordinal);
            case TemplateDict dict:
                return dict.TryGet(item, out _);
            case TemplateRange range when item is long number:
                long offset = number - range.Start;
                return range.Length > 0 && offset % range.Step == 0 && offset / range.Step >= 0 && offset / range.Step < range.Length;
            default:
                if (!PythonIteration.TryEnumerate(state, container, out IEnumerator<object?>? items))
                {
                    throw new TemplateException($"argument of type '{PythonTypes.NameOf(container)}' is not iterable");
                }

                while (items.MoveNext())
                {
                    state.Charge(1);
                    if (AreEqual(items.Current, item, state))
                    {
                        return true;
                    }
                }

                return false;
        }
    }

    private static int NumberOrder(object left, object right)
    {
        if (left is not double && right is not double)
        {
            return PythonNumbers.ToBig(left).CompareTo(PythonNumbers.ToBig(right));
        }

        if (left is double a && right is double b)
        {
            return double.IsNaN(a) || double.IsNaN(b) ? -2 : a.CompareTo(b);
        }

        double real = left is double x ? x : (double)right;
        int sign = left is double ? 1 : -1;
        if (double.IsNaN(real))
        {
            return -2;
        }

        if (double.IsInfinity(real))
        {
            return real > 0 ? sign : -sign;
        }

        BigInteger whole = PythonNumbers.ToBig(left is double ? right : left);
        var floor = new BigInteger(Math.Floor(real));
        int order = floor.CompareTo(whole);
        return sign * (order == 0 && real > Math.Floor(real) ? 1 : order);
    }

    private static bool SequencesEqual(TemplateSequence left, TemplateSequence right, int depth, ref int budget, RenderState? state)
    {
        if (left.Items.Length != right.Items.Length)
        {
            return false;
        }

        state?.Charge(left.Items.Length);
        for (int i = 0; i < left.Items.Length; i++)
        {
            if (!AreEqual(left.Items[i], right.Items[i], depth + 1, ref budget, state))
            {
                return false;
            }
        }

        return true;
    }

    private static bool DictsEqual(TemplateDict left, TemplateDict right, int depth, ref int budget, RenderState? state)
    {
        if (left.Count != right.Count)
        {
            return false;
        }

        state?.Charge(left.Count);
        foreach ((object? key, object? value) in left)
        {
            if (!right.TryGet(key, out object? other) || !AreEqual(value, other, depth + 1, ref budget, state))
            {
                return false;
            }
        }

        return true;
    }
}
