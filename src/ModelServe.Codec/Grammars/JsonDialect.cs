namespace ModelServe.Codec.Grammars;

/// <summary>How JSON values are written where they stand: as JSON, inside of markup, or as Python would. One of a few; immutable.</summary>
internal sealed class JsonDialect
{
    private JsonDialect(string[] words, Automaton anyText, Automaton anyString, char? forbidden)
    {
        (Null, True, False) = (words[0], words[1], words[2]);
        AnyText = anyText;
        AnyString = anyString;
        CountedString = JsonAutomata.CountedString(anyText);
        Forbidden = forbidden;
    }

    /// <summary>RFC 8259.</summary>
    public static JsonDialect Plain { get; } = new(
        ["null", "true", "false"], JsonAutomata.AnyText(CodePointSet.All), JsonAutomata.AnyString(JsonSpelling.Plain), forbidden: null);

    /// <summary>JSON between markers that begin with <c>&lt;</c>: no string has that character but as an escape, so that none ends the value.</summary>
    public static JsonDialect InMarkup { get; } = OfMarkup();

    /// <summary>A Python literal: its own words, and strings spelled with the escapes that both languages read alike.</summary>
    public static JsonDialect Python { get; } = OfPython();

    /// <summary>The word for null.</summary>
    public string Null { get; }

    /// <summary>The word for true.</summary>
    public string True { get; }

    /// <summary>The word for false.</summary>
    public string False { get; }

    /// <summary>The content of any string in its one spelling, without quotes.</summary>
    public Automaton AnyText { get; }

    /// <summary>Any string, in any spelling.</summary>
    public Automaton AnyString { get; }

    /// <summary>Any string in its one spelling, every character counting.</summary>
    public Automaton CountedString { get; }

    /// <summary>A character that no string may contain; null for none.</summary>
    public char? Forbidden { get; }

    /// <summary>Refuses a given text that cannot be written.</summary>
    /// <exception cref="InvalidGrammarException">It contains the forbidden character.</exception>
    public string Checked(string text, string place) => Forbidden is { } one && text.Contains(one, StringComparison.Ordinal)
        ? throw new InvalidGrammarException(place, $"texts with '{one}' are not supported in this format of calls", isUnsupported: true)
        : text;

    private static JsonDialect OfMarkup()
    {
        CodePointSet without = CodePointSet.Of('<').Complement();
        return new JsonDialect(
            ["null", "true", "false"], JsonAutomata.AnyText(without), JsonAutomata.AnyString(JsonSpelling.Plain.Intersect(without)), forbidden: '<');
    }

    private static JsonDialect OfPython()
    {
        Automaton text = JsonAutomata.AnyText(CodePointSet.All);
        return new JsonDialect(["None", "True", "False"], text, JsonAutomata.UncountedString(text), forbidden: null);
    }
}
