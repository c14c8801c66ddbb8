using System.Globalization;

namespace ModelServe.Codec.Grammars;

/// <summary>Numbers within bounds and of given multiples. Pure.</summary>
internal static class NumberRules
{
    private const int LargestMultiple = 10_000;

    /// <summary>The numbers that a shape admits.</summary>
    /// <exception cref="InvalidGrammarException">A multiple is not supported.</exception>
    public static RuleNode Of(SchemaShape shape, GrammarLimits limits)
    {
        if ((shape.Kinds & ValueKinds.Integer) == 0)
        {
            throw new InvalidGrammarException("type", "numbers without the integers are not supported", isUnsupported: true);
        }

        bool hasFraction = (shape.Kinds & ValueKinds.Fraction) != 0;
        bool isBounded = shape.Low is not null || shape.High is not null;
        if (!isBounded && shape.Multiples.Count == 0)
        {
            return hasFraction ? JsonRules.Number : JsonRules.Integer();
        }

        RuleNode node = NumberRange.Between(shape.Low, shape.High, hasFraction);
        if (shape.Multiples.Count == 0)
        {
            return node;
        }

        Automaton numbers = Determinizer.Compile(node, limits, "number");
        foreach ((string multiple, string place) in shape.Multiples)
        {
            Automaton multiples = Determinizer.Compile(Multiples(multiple, hasFraction, place), limits, place);
            numbers = Determinizer.Combine(numbers, multiples, except: false, limits, place);
        }

        return new RuleNode.Embedded(numbers, KeepsMarks: false);
    }

    private static RuleNode Multiples(string multiple, bool hasFraction, string place)
    {
        NumberRange.Bound? bound = NumberRange.Bound.Parse(multiple, false);
        if (bound is { IsNegative: false, Fraction.Length: 0 } whole && !whole.Digits.IsZero && whole.Digits <= LargestMultiple)
        {
            RuleNode zeros = RuleNode.Maybe(RuleNode.Then(RuleNode.Text("."), new RuleNode.Repeat(RuleNode.Text("0"), 1, null)));
            return RuleNode.Then(Divisible((int)whole.Digits), hasFraction ? zeros : RuleNode.Empty);
        }

        // One tenth, one hundredth, …: a matter of how many digits follow the point.
        if (bound is { IsNegative: false } part && part.Digits.IsZero && part.Fraction.EndsWith('1') && part.Fraction.Trim('0') == "1")
        {
            RuleNode digit = RuleNode.Characters(CodePointSet.Of(('0', '9')));
            RuleNode fraction = RuleNode.Then(RuleNode.Text("."), new RuleNode.Repeat(digit, 1, part.Fraction.Length), new RuleNode.Repeat(RuleNode.Text("0"), 0, null));
            return RuleNode.Then(JsonRules.Integer(), hasFraction ? RuleNode.Maybe(fraction) : RuleNode.Empty);
        }

        throw new InvalidGrammarException(
            place,
            string.Create(CultureInfo.InvariantCulture, $"a multiple is a whole number up to {LargestMultiple}, or 0.1, 0.01 and so on; got {multiple}"),
            isUnsupported: true);
    }

    // Long division: the state is the remainder of the digits so far. State 0 is the start, 1 after a sign, then a state for each remainder.
    private static RuleNode.Graph Divisible(int divisor)
    {
        var moves = new List<(int, RuleNode, int)> { (0, RuleNode.Text("-"), 1), (0, RuleNode.Empty, 1) };
        int zero = divisor + 2;
        moves.Add((1, RuleNode.Text("0"), zero));
        for (int digit = 1; digit <= 9; digit++)
        {
            moves.Add((1, Digit(digit), 2 + (digit % divisor)));
        }

        for (int remainder = 0; remainder < divisor; remainder++)
        {
            for (int digit = 0; digit <= 9; digit++)
            {
                moves.Add((2 + remainder, Digit(digit), 2 + (((remainder * 10) + digit) % divisor)));
            }
        }

        return new RuleNode.Graph(divisor + 3, moves, [zero, 2]);
    }

    private static RuleNode Digit(int digit) => RuleNode.Text(((char)('0' + digit)).ToString());
}
