using System.Globalization;
using System.Text;
using ModelServe.Codec.ToolCalls;

namespace ModelServe.Codec.CallGrammars;

/// <summary>How the tool calls of one answer are held to their tools. Immutable.</summary>
/// <param name="Format">How the model writes calls and reasoning.</param>
/// <param name="Tools">The tools that may be called.</param>
public sealed record CallDemand(AnswerFormat Format, IReadOnlyList<CallableTool> Tools)
{
    /// <summary>Whether the answer is calls and nothing else; else it may be any text, with calls behind it or not.</summary>
    public bool IsForced { get; init; }

    /// <summary>Whether there is at most one call.</summary>
    public bool IsSingle { get; init; }

    /// <summary>Whether reasoning may come first; it is never held to anything.</summary>
    public ReasoningPlace Reasoning { get; init; }

    /// <summary>A text that is the same for equal demands only.</summary>
    public string Key()
    {
        var key = new StringBuilder();
        key.Append(CultureInfo.InvariantCulture, $"{Format.Tools} {Format.Reasoning?.Open} {Format.Reasoning?.Close} {IsForced} {IsSingle} {Reasoning}");
        foreach (CallableTool tool in Tools)
        {
            key.Append(CultureInfo.InvariantCulture, $"\0{tool.Name}\0{tool.IsBound}\0{tool.Place}\0{tool.Schema.Length}\0{tool.Schema}");
        }

        return key.ToString();
    }
}

/// <summary>One tool that may be called.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Schema">The JSON Schema of its arguments.</param>
/// <param name="IsBound">Whether the arguments must fit the schema; else they are any object, where the format's arguments are JSON.</param>
/// <param name="Place">Where the schema stands, for refusals.</param>
public sealed record CallableTool(string Name, string Schema, bool IsBound, string Place);

/// <summary>Where an answer's reasoning stands when the answer begins.</summary>
public enum ReasoningPlace
{
    /// <summary>None comes: the model has none, or the prompt has closed it.</summary>
    None,

    /// <summary>The model may open it.</summary>
    Possible,

    /// <summary>The prompt has opened it.</summary>
    Begun,
}
