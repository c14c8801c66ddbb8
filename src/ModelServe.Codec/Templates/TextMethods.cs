using System.Collections.Frozen;

namespace ModelServe.Codec.Templates;

/// <summary>What a method of a string does.</summary>
internal delegate object? TextMethod(RenderState state, string text, CallArguments arguments);

/// <summary>The methods of strings. On markup, arguments are escaped where Python's does so, and the results are markup.</summary>
internal static class TextMethods
{
    private static readonly FrozenDictionary<string, TextMethod> Methods = new Dictionary<string, TextMethod>
    {
        ["capitalize"] = (_, text, _) => TextCase.Capitalize(text),
        ["casefold"] = (_, text, _) => TextCase.Lower(text),
        ["center"] = TextShape.Center,
        ["count"] = TextSearch.Count,
        ["endswith"] = TextSearch.EndsWith,
        ["find"] = (state, text, arguments) => TextSearch.Find(state, text, arguments, "find", last: false),
        ["format"] = (state, text, arguments) => BraceFormat.Format(state, text, arguments),
        ["index"] = (state, text, arguments) => TextSearch.Find(state, text, arguments, "index", last: false),
        ["isalnum"] = (_, text, _) => TextCase.All(text, c => char.IsLetterOrDigit(c)),
        ["isalpha"] = (_, text, _) => TextCase.All(text, char.IsLetter),
        ["isascii"] = (_, text, _) => Boxed.Of(text.All(char.IsAscii)),
        ["isdecimal"] = (_, text, _) => TextCase.All(text, char.IsDigit),
        ["isdigit"] = (_, text, _) => TextCase.All(text, c => char.IsDigit(c) || "²³¹".Contains(c, StringComparison.Ordinal)),
        ["islower"] = (_, text, _) => Boxed.Of(text.Any(char.IsLower) && !text.Any(char.IsUpper)),
        ["isnumeric"] = (_, text, _) => TextCase.All(text, char.IsNumber),
        ["isspace"] = (_, text, _) => TextCase.All(text, TemplateSyntax.IsSpace),
        ["istitle"] = (_, text, _) => Boxed.Of(text.Any(char.IsLetter) && TextCase.Title(text) == text),
        ["isupper"] = (_, text, _) => Boxed.Of(text.Any(char.IsUpper) && !text.Any(char.IsLower)),
        ["join"] = TextShape.Join,
        ["ljust"] = (state, text, arguments) => TextShape.Justify(state, text, arguments, "ljust"),
        ["lower"] = (_, text, _) => TextCase.Lower(text),
        ["lstrip"] = (_, text, arguments) => TextShape.Strip(text, arguments, "lstrip"),
        ["partition"] = (_, text, arguments) => TextSplit.Partition(text, arguments, "partition"),
        ["removeprefix"] = (_, text, arguments) => TextShape.Remove(text, arguments, "removeprefix"),
        ["removesuffix"] = (_, text, arguments) => TextShape.Remove(text, arguments, "removesuffix"),
        ["replace"] = TextShape.Replace,
        ["rfind"] = (state, text, arguments) => TextSearch.Find(state, text, arguments, "rfind", last: true),
        ["rindex"] = (state, text, arguments) => TextSearch.Find(state, text, arguments, "rindex", last: true),
        ["rjust"] = (state, text, arguments) => TextShape.Justify(state, text, arguments, "rjust"),
        ["rpartition"] = (_, text, arguments) => TextSplit.Partition(text, arguments, "rpartition"),
        ["rsplit"] = (state, text, arguments) => TextSplit.Split(state, text, arguments, "rsplit"),
        ["rstrip"] = (_, text, arguments) => TextShape.Strip(text, arguments, "rstrip"),
        ["split"] = (state, text, arguments) => TextSplit.Split(state, text, arguments, "split"),
        ["splitlines"] = TextSplit.Lines,
        ["startswith"] = TextSearch.StartsWith,
        ["strip"] = (_, text, arguments) => TextShape.Strip(text, arguments, "strip"),
        ["swapcase"] = (_, text, _) => TextCase.Swap(text),
        ["title"] = (_, text, _) => TextCase.Title(text),
        ["upper"] = (_, text, _) => TextCase.Upper(text),
        ["zfill"] = TextShape.ZeroFill,
    }.ToFrozenDictionary();

    private static readonly FrozenSet<string> Unimplemented =
        new[] { "encode", "expandtabs", "format_map", "isidentifier", "isprintable", "maketrans", "translate" }.ToFrozenSet();

    /// <summary>The methods of markup that give markup; the rest behave as those of strings.</summary>
    private static readonly FrozenSet<string> MarkupMethods = new[]
    {
        "capitalize", "center", "format", "join", "ljust", "lower", "lstrip", "partition", "replace", "rjust", "rpartition", "rsplit", "rstrip",
        "split", "splitlines", "strip", "swapcase", "title", "upper", "zfill",
    }.ToFrozenSet();

    private static readonly FrozenSet<string> Unescaped =
        new[] { "split", "rsplit", "splitlines", "partition", "rpartition" }.ToFrozenSet();

    /// <summary>The method bound to the string; <see cref="Missing"/> where there is none of that name.</summary>
    public static object? Find(string text, bool isMarkup, string name)
    {
        if (!Methods.TryGetValue(name, out TextMethod? method))
        {
            return Unimplemented.Contains(name) ? MemberLookup.Unimplemented(text, name) : Missing.Value;
        }

        return isMarkup && MarkupMethods.Contains(name)
            ? new TemplateFunction(name, (state, arguments) =>
            {
                state.ChargeText(text.Length);
                return Mark(method(state, text, Unescaped.Contains(name) ? arguments : EscapeAll(state, name, arguments)));
            })
            : new TemplateFunction(name, (state, arguments) =>
            {
                state.ChargeText(text.Length);
                return method(state, text, arguments);
            });
    }

    /// <summary>The text escaped unless it is markup already.</summary>
    public static string Escaped(RenderState state, object? value) =>
        value is Markup markup ? markup.Text : Markup.Escape(PythonText.Str(state, value));

    private static CallArguments EscapeAll(RenderState state, string name, CallArguments arguments)
    {
        object? EscapeOne(object? value) => name == "join"
            ? new TemplateList([.. PythonIteration.ToArray(state, value).Select(item => (object?)Escaped(state, item))])
            : value is string or Markup ? Escaped(state, value) : value;

        return new CallArguments([.. arguments.Positional.Select(EscapeOne)],
            [.. arguments.Named.Select(item => new KeyValuePair<string, object?>(item.Key, EscapeOne(item.Value)))]);
    }

    private static object? Mark(object? value) => value switch
    {
        string text => new Markup(text),
        TemplateList list => new TemplateList([.. list.Items.Select(Mark)]),
        TemplateTuple tuple => new TemplateTuple([.. tuple.Items.Select(Mark)]),
        _ => value,
    };
}
