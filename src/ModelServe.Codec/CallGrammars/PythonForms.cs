using ModelServe.Codec.Grammars;
using ModelServe.Codec.ToolCalls;

namespace ModelServe.Codec.CallGrammars;

/// <summary>Calls as a Python list of calls with keyword arguments: <c>[f(a=1), g(b="x")]</c>. Pure.</summary>
internal static class PythonForms
{
    /// <summary>The bare list, and the list between the markers that the vocabulary has.</summary>
    public static IReadOnlyList<CallForm> Of(CallParts parts)
    {
        RuleNode call = parts.AnyTool(tool => RuleNode.Then(
            RuleNode.Text(Checked(tool.Name, dots: true) + "("),
            tool.Parameters(
                (name, schemas) => RuleNode.Then(RuleNode.Text(Checked(name, dots: false) + "="), tool.Value(schemas)),
                RuleNode.Then(RuleNode.Text(","), parts.Space)),
            RuleNode.Text(")")));
        RuleNode rest = parts.RestOfList(call);
        var forms = new List<CallForm> { new("[", RuleNode.Then(rest, parts.Space), OpeningPlace.TextStart) };
        foreach ((string opener, string end) in (ReadOnlySpan<(string, string)>)[("<|python_start|>", "<|python_end|>"), ("<|tool_call_start|>", "<|tool_call_end|>")])
        {
            if (parts.HasControl(opener))
            {
                forms.Add(new CallForm(opener, RuleNode.Then(parts.Space, RuleNode.Text("["), rest, parts.Space, parts.Marker(end))));
            }
        }

        return forms;
    }

    private static string Checked(string name, bool dots)
    {
        bool begins = true;
        foreach (char value in name)
        {
            bool fits = TextRules.BeginsName(value) || (!begins && (TextRules.ContinuesName(value) || (dots && value == '.')));
            begins = value == '.';
            if (!fits)
            {
                begins = true;
                break;
            }
        }

        return !begins && name.Length <= TextRules.MaxName
            ? name
            : throw new InvalidGrammarException("#", $"names that Python could have, in this format of calls; '{(name.Length <= 64 ? name : name[..64])}' is none", isUnsupported: true);
    }
}
