using System.Collections.Frozen;

namespace ModelServe.Codec.Templates;

/// <summary>The methods of dicts, lists and tuples; those that change the object are hidden, as the immutable sandbox does.</summary>
internal static class ContainerMethods
{
    private static readonly FrozenSet<string> DictChanges =
        new[] { "clear", "pop", "popitem", "setdefault", "update" }.ToFrozenSet();

    private static readonly FrozenSet<string> ListChanges =
        new[] { "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort" }.ToFrozenSet();

    /// <summary>The method of a dict; <see cref="Missing"/> where it has none of that name.</summary>
    public static object? Find(TemplateDict dict, string name) => name switch
    {
        "items" => View(dict, name, "dict_items", () => dict.Pairs),
        "keys" => View(dict, name, "dict_keys", () => dict.Keys),
        "values" => View(dict, name, "dict_values", () => dict.Values),
        "get" => new TemplateFunction(name, (_, arguments) =>
        {
            object?[] bound = arguments.Bind("get", 1, "key", "default");
            return dict.TryGet(bound[0], out object? value) ? value : bound[1] is Missing ? null : bound[1];
        }),
        "copy" => new TemplateFunction(name, (_, arguments) =>
        {
            arguments.Bind("copy", 0);
            return dict;
        }),
        "fromkeys" => MemberLookup.Unimplemented(dict, name),
        _ => DictChanges.Contains(name) ? Undefined.Unsafe(dict, name) : Missing.Value,
    };

    /// <summary>The method of a list or tuple; <see cref="Missing"/> where it has none of that name.</summary>
    public static object? Find(TemplateSequence sequence, string name) => name switch
    {
        "count" => new TemplateFunction(name, (state, arguments) =>
        {
            object? item = arguments.Bind("count", 1, "value")[0];
            state.Charge(sequence.Items.Length);
            return Boxed.Of(sequence.Items.LongCount(other => PythonComparison.AreEqual(other, item, state)));
        }),
        "index" => new TemplateFunction(name, (state, arguments) => Index(state, sequence, arguments)),
        "grouper" when sequence is TemplateTuple { IsGroup: true } => sequence.Items[0],
        "list" when sequence is TemplateTuple { IsGroup: true } => sequence.Items[1],
        "copy" when sequence is TemplateList => new TemplateFunction(name, (_, arguments) =>
        {
            arguments.Bind("copy", 0);
            return sequence;
        }),
        _ => sequence is TemplateList && ListChanges.Contains(name) ? Undefined.Unsafe(sequence, name) : Missing.Value,
    };

    private static TemplateFunction View(TemplateDict dict, string name, string type, Func<object?[]> items) =>
        new(name, (state, arguments) =>
        {
            arguments.Bind(name, 0);
            state.Charge(dict.Count);
            return new DictView(type, items());
        });

    private static object Index(RenderState state, TemplateSequence sequence, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("index", 1, "value", "start", "stop");
        long length = sequence.Items.Length;
        long start = bound[1] is Missing ? 0 : PythonNumbers.RequireLong(bound[1], "index() start");
        long stop = bound[2] is Missing ? length : PythonNumbers.RequireLong(bound[2], "index() stop");
        stop = Math.Min(stop < 0 ? stop + length : stop, length);
        for (long i = Math.Max(0, start < 0 ? start + length : start); i < stop; i++)
        {
            state.Charge(1);
            if (PythonComparison.AreEqual(sequence.Items[i], bound[0], state))
            {
                return Boxed.Of(i);
            }
        }

        throw new TemplateException($"{PythonText.Repr(state, bound[0])} is not in {PythonTypes.NameOf(sequence)}");
    }
}
