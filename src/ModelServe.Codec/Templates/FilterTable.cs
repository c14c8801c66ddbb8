using System.Collections.Frozen;

namespace ModelServe.Codec.Templates;

/// <summary>What a filter makes of a value.</summary>
internal delegate object? TemplateFilter(RenderState state, object? value, CallArguments arguments);

/// <summary>The filters by name: those of Jinja2, with transformers' own tojson.</summary>
internal static class FilterTable
{
    private static readonly FrozenDictionary<string, TemplateFilter> Filters = new Dictionary<string, TemplateFilter>
    {
        ["abs"] = NumberFilters.Abs,
        ["attr"] = SelectionFilters.Attr,
        ["batch"] = SequenceFilters.Batch,
        ["capitalize"] = (state, value, arguments) => TextFilters.Map(state, value, arguments, "capitalize", TextCase.Capitalize),
        ["center"] = TextFilters.Center,
        ["count"] = SequenceFilters.Length,
        ["d"] = SelectionFilters.Default,
        ["default"] = SelectionFilters.Default,
        ["dictsort"] = OrderFilters.DictSort,
        ["e"] = TextFilters.Escape,
        ["escape"] = TextFilters.Escape,
        ["filesizeformat"] = NumberFilters.FileSize,
        ["first"] = SequenceFilters.First,
        ["float"] = NumberFilters.Float,
        ["forceescape"] = (state, value, _) => new Markup(Markup.Escape(PythonText.Str(state, value))),
        ["format"] = TextFilters.Format,
        ["groupby"] = OrderFilters.GroupBy,
        ["indent"] = TextFilters.Indent,
        ["int"] = NumberFilters.Int,
        ["items"] = SequenceFilters.Items,
        ["join"] = SequenceFilters.Join,
        ["last"] = SequenceFilters.Last,
        ["length"] = SequenceFilters.Length,
        ["list"] = (state, value, _) => new TemplateList(PythonIteration.ToArray(state, value)),
        ["lower"] = (state, value, arguments) => TextFilters.Map(state, value, arguments, "lower", TextCase.Lower),
        ["map"] = SelectionFilters.Map,
        ["max"] = (state, value, arguments) => OrderFilters.Extreme(state, value, arguments, "max", 1),
        ["min"] = (state, value, arguments) => OrderFilters.Extreme(state, value, arguments, "min", -1),
        ["reject"] = (state, value, arguments) => SelectionFilters.Select(state, value, arguments, false, false),
        ["rejectattr"] = (state, value, arguments) => SelectionFilters.Select(state, value, arguments, false, true),
        ["replace"] = TextFilters.Replace,
        ["reverse"] = SequenceFilters.Reverse,
        ["round"] = NumberFilters.Round,
        ["safe"] = (state, value, _) => new Markup(PythonText.Str(state, value)),
        ["select"] = (state, value, arguments) => SelectionFilters.Select(state, value, arguments, true, false),
        ["selectattr"] = (state, value, arguments) => SelectionFilters.Select(state, value, arguments, true, true),
        ["slice"] = SequenceFilters.Slice,
        ["sort"] = OrderFilters.Sort,
        ["string"] = (state, value, _) => value is Markup ? value : PythonText.Str(state, value),
        ["striptags"] = TextFilters.StripTags,
        ["sum"] = NumberFilters.Sum,
        ["title"] = (state, value, arguments) => TextFilters.Map(state, value, arguments, "title", TextFilters.TitleWords),
        ["tojson"] = TextFilters.ToJson,
        ["trim"] = TextFilters.Trim,
        ["truncate"] = TextFilters.Truncate,
        ["unique"] = OrderFilters.Unique,
        ["upper"] = (state, value, arguments) => TextFilters.Map(state, value, arguments, "upper", TextCase.Upper),
        ["urlencode"] = TextFilters.UrlEncode,
        ["wordcount"] = TextFilters.WordCount,
    }.ToFrozenDictionary();

    private static readonly FrozenSet<string> Unimplemented =
        new[] { "pprint", "random", "urlize", "wordwrap", "xmlattr" }.ToFrozenSet();

    /// <summary>The filter; null when there is none of that name.</summary>
    public static TemplateFilter? Find(string name) => Filters.GetValueOrDefault(name);

    /// <summary>Refuses the filters that Jinja2 has and this engine does not.</summary>
    /// <exception cref="UnsupportedFeatureException">The filter is one of them.</exception>
    public static void RequireImplemented(int line, string name)
    {
        if (Unimplemented.Contains(name))
        {
            throw TemplateSyntax.Error(line, $"the filter '{name}' is not supported");
        }
    }
}
