using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Grammars;

/// <summary>How JSON strings spell text: one spelling for each character where texts must be told apart, any where not. Pure.</summary>
internal static class JsonSpelling
{
    private static readonly (char Escape, char Value)[] ShortEscapes = [('b', '\b'), ('t', '\t'), ('n', '\n'), ('f', '\f'), ('r', '\r'), ('"', '"'), ('\\', '\\')];

    /// <summary>Characters that stand for themselves.</summary>
    public static CodePointSet Plain { get; } = CodePointSet.Of((0, 0x1F), ('"', '"'), ('\\', '\\')).Complement();

    /// <summary>One scalar value of a set as a string spells it, its first byte counting as one character.</summary>
    public static RuleNode Spelled(CodePointSet set)
    {
        var options = new List<RuleNode> { RuleNode.Characters(set.Intersect(Plain), EdgeMark.Counts) };
        foreach ((int low, int high) in set.Except(Plain).Ranges)
        {
            for (int value = low; value <= high; value++)
            {
                options.Add(new RuleNode.Literal(Encoding.ASCII.GetBytes(EscapeOf((char)value)), EdgeMark.Counts));
            }
        }

        return RuleNode.Either(options);
    }

    /// <summary>A text as a string's content, in its one spelling.</summary>
    public static string Spell(string text)
    {
        var spelled = new StringBuilder(text.Length + 2);
        foreach (char value in text)
        {
            spelled.Append(value is < ' ' or '"' or '\\' ? EscapeOf(value) : value.ToString());
        }

        return spelled.ToString();
    }

    /// <summary>What may follow a backslash. Half a surrogate pair alone is not text, so a high one is followed by a low one.</summary>
    public static RuleNode AnyEscape()
    {
        CodePointSet hex = CodePointSet.Of(('0', '9'), ('A', 'F'), ('a', 'f'));
        RuleNode digit = RuleNode.Characters(hex);
        RuleNode d = RuleNode.Characters(CodePointSet.Of(('D', 'D'), ('d', 'd')));
        RuleNode low = RuleNode.Characters(CodePointSet.Of(('0', '7')));
        RuleNode highHalf = RuleNode.Then(d, RuleNode.Characters(CodePointSet.Of(('8', '9'), ('A', 'B'), ('a', 'b'))), digit, digit);
        RuleNode lowHalf = RuleNode.Then(d, RuleNode.Characters(CodePointSet.Of(('C', 'F'), ('c', 'f'))), digit, digit);
        RuleNode notD = RuleNode.Characters(hex.Except(CodePointSet.Of(('D', 'D'), ('d', 'd'))));
        return RuleNode.Either(
            RuleNode.Characters(CodePointSet.Of(('"', '"'), ('/', '/'), ('\\', '\\'), ('b', 'b'), ('f', 'f'), ('n', 'n'), ('r', 'r'), ('t', 't'))),
            RuleNode.Then(RuleNode.Text("u"), RuleNode.Either(
                RuleNode.Then(notD, digit, digit, digit),
                RuleNode.Then(d, low, digit, digit),
                RuleNode.Then(highHalf, RuleNode.Text("\\u"), lowHalf))));
    }

    private static string EscapeOf(char value)
    {
        foreach ((char escape, char meant) in ShortEscapes)
        {
            if (meant == value)
            {
                return $"\\{escape}";
            }
        }

        return string.Create(CultureInfo.InvariantCulture, $"\\u{(int)value:x4}");
    }
}
