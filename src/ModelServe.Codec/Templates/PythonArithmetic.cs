using System.Numerics;

namespace ModelServe.Codec.Templates;

/// <summary>Python's arithmetic on numbers, strings, lists and tuples.</summary>
internal static class PythonArithmetic
{
    private static readonly string[] Symbols = ["+", "-", "*", "/", "//", "%", "** or pow()"];

    /// <summary>The result of a binary operation.</summary>
    /// <exception cref="TemplateException">The types do not go together, division by zero, or a result past the limits.</exception>
    public static object? Apply(RenderState state, ArithmeticOperator op, object? left, object? right)
    {
        state.Step();
        if (op == ArithmeticOperator.Modulo && PythonTypes.AsText(left) is string format)
        {
            return PrintfFormat.Format(state, format, right, left is Markup);
        }

        if (left is Undefined || right is Undefined)
        {
            throw ((Undefined)(left is Undefined ? left : right!)).Raise();
        }

        if (left is long a && right is long b && TryFast(op, a, b, out long fast))
        {
            return Boxed.Of(fast);
        }

        if (PythonNumbers.IsNumber(left) && PythonNumbers.IsNumber(right))
        {
            return left is double || right is double || op == ArithmeticOperator.Divide
                ? Floats(op, PythonNumbers.ToDouble(left!), PythonNumbers.ToDouble(right!))
                : Integers(op, PythonNumbers.ToBig(left!), PythonNumbers.ToBig(right!));
        }

        return op switch
        {
            ArithmeticOperator.Add => Add(state, left, right),
            ArithmeticOperator.Multiply when PythonNumbers.IsInteger(right) => Repeat(state, left, right!) ?? throw Mismatch(op, left, right),
            ArithmeticOperator.Multiply when PythonNumbers.IsInteger(left) => Repeat(state, right, left!) ?? throw Mismatch(op, left, right),
            _ => throw Mismatch(op, left, right),
        };
    }

    /// <summary>The signed operand.</summary>
    /// <exception cref="TemplateException">It is no number.</exception>
    public static object Sign(bool negate, object? operand) => operand switch
    {
        double number => negate ? -number : number,
        bool or long or BigInteger => PythonNumbers.Normalize(negate ? -PythonNumbers.ToBig(operand) : PythonNumbers.ToBig(operand)),
        Undefined undefined => throw undefined.Raise(),
        _ => throw new TemplateException($"bad operand type for unary {(negate ? '-' : '+')}: '{PythonTypes.NameOf(operand)}'"),
    };

    private static TemplateException Mismatch(ArithmeticOperator op, object? left, object? right) => new(
        $"unsupported operand type(s) for {Symbols[(int)op]}: '{PythonTypes.NameOf(left)}' and '{PythonTypes.NameOf(right)}'");

    private static bool TryFast(ArithmeticOperator op, long a, long b, out long result)
    {
        Int128 wide;
        switch (op)
        {
            case ArithmeticOperator.Add:
                wide = (Int128)a + b;
                break;
            case ArithmeticOperator.Subtract:
                wide = (Int128)a - b;
                break;
            case ArithmeticOperator.Modulo when b > 0:
                wide = ((a % b) + b) % (Int128)b;
                break;
            default:
                result = 0;
                return false;
        }

        result = (long)wide;
        return wide == result;
    }

    private static object Integers(ArithmeticOperator op, BigInteger a, BigInteger b)
    {
        switch (op)
        {
            case ArithmeticOperator.Add:
                return PythonNumbers.Normalize(a + b);
            case ArithmeticOperator.Subtract:
                return PythonNumbers.Normalize(a - b);
            case ArithmeticOperator.Multiply:
                return PythonNumbers.Normalize(a * b);
            case ArithmeticOperator.Power when b.Sign < 0:
                return a.IsZero ? throw new TemplateException("0.0 cannot be raised to a negative power") : Math.Pow((double)a, (double)b);
            case ArithmeticOperator.Power:
                return PythonNumbers.Power(a, b);
            default:
                if (b.IsZero)
                {
                    throw new TemplateException("integer division or modulo by zero");
                }

                BigInteger quotient = BigInteger.DivRem(a, b, out BigInteger remainder);
                if (!remainder.IsZero && (remainder.Sign < 0) != (b.Sign < 0))
                {
                    remainder += b;
                    quotient -= 1;
                }

                return PythonNumbers.Normalize(op == ArithmeticOperator.Modulo ? remainder : quotient);
        }
    }

    private static double Floats(ArithmeticOperator op, double a, double b)
    {
        if (b == 0 && op is ArithmeticOperator.Divide or ArithmeticOperator.FloorDivide or ArithmeticOperator.Modulo)
        {
            throw new TemplateException("division by zero");
        }

        switch (op)
        {
            case ArithmeticOperator.Add:
                return a + b;
            case ArithmeticOperator.Subtract:
                return a - b;
            case ArithmeticOperator.Multiply:
                return a * b;
            case ArithmeticOperator.Divide:
                return a / b;
            case ArithmeticOperator.Power:
                double power = Math.Pow(a, b);
                return double.IsInfinity(power) && !double.IsInfinity(a) && !double.IsInfinity(b) ? throw new TemplateException("Numerical result out of range")
                    : double.IsNaN(power) && !double.IsNaN(a) && !double.IsNaN(b) ? throw new TemplateException("complex numbers are not supported")
                    : power;
            default:
                double remainder = a % b;
                if (remainder != 0 && (remainder < 0) != (b < 0))
                {
                    remainder += b;
                }

                return op == ArithmeticOperator.Modulo ? (remainder == 0 ? Math.CopySign(0, b) : remainder) : Math.Round((a - remainder) / b);
        }
    }

    private static object Add(RenderState state, object? left, object? right)
    {
        string? a = PythonTypes.AsText(left);
        string? b = PythonTypes.AsText(right);
        if (a is not null && b is not null)
        {
            state.ChargeText((long)a.Length + b.Length);
            return left is Markup || right is Markup
                ? new Markup((left is Markup ? a : Markup.Escape(a)) + (right is Markup ? b : Markup.Escape(b)))
                : a + b;
        }

        if (a is not null)
        {
            throw new TemplateException($"can only concatenate str (not \"{PythonTypes.NameOf(right)}\") to str");
        }

        if (left is TemplateSequence first && right is TemplateSequence second && left.GetType() == right.GetType())
        {
            state.Charge((long)first.Items.Length + second.Items.Length);
            object?[] items = [.. first.Items, .. second.Items];
            return left is TemplateList ? new TemplateList(items) : new TemplateTuple(items);
        }

        throw left is TemplateSequence
            ? new TemplateException($"can only concatenate {PythonTypes.NameOf(left)} (not \"{PythonTypes.NameOf(right)}\") to {PythonTypes.NameOf(left)}")
            : Mismatch(ArithmeticOperator.Add, left, right);
    }

    private static object? Repeat(RenderState state, object? value, object count)
    {
        BigInteger times = BigInteger.Max(PythonNumbers.ToBig(count), BigInteger.Zero);
        long length = value switch
        {
            string text => text.Length,
            Markup markup => markup.Text.Length,
            TemplateSequence sequence => sequence.Items.Length,
            _ => -1,
        };
        if (length < 0)
        {
            return null;
        }

        long total = (long)BigInteger.Min(times * length, long.MaxValue);
        int repeat = length == 0 ? 0 : (int)BigInteger.Min(times, int.MaxValue);
        if (PythonTypes.AsText(value) is string part)
        {
            state.ChargeText(total);
            string text = string.Concat(Enumerable.Repeat(part, repeat));
            return value is Markup ? new Markup(text) : text;
        }

        state.Charge(total);
        object?[] items = [.. Enumerable.Repeat(((TemplateSequence)value!).Items, repeat).SelectMany(item => item)];
        return value is TemplateList ? new TemplateList(items) : new TemplateTuple(items);
    }
}
