using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>A whole answer, taken apart.</summary>
/// <param name="Content">Text for the user; empty where there is none.</param>
/// <param name="Reasoning">Text of the reasoning; empty where there is none.</param>
/// <param name="ToolCalls">Complete calls, in order.</param>
public sealed record ParsedAnswer(string Content, string Reasoning, IReadOnlyList<ToolCall> ToolCalls)
{
    /// <summary>What the pieces of one answer add up to; abandoned calls are left out, as their text is content.</summary>
    public static ParsedAnswer From(IEnumerable<AnswerEvent> events)
    {
        var content = new StringBuilder();
        var reasoning = new StringBuilder();
        var arguments = new StringBuilder();
        var calls = new List<ToolCall>();
        AnswerEvent started = default;
        foreach (AnswerEvent piece in events)
        {
            switch (piece.Kind)
            {
                case AnswerEventKind.Content:
                    content.Append(piece.Text);
                    break;
                case AnswerEventKind.Reasoning:
                    reasoning.Append(piece.Text);
                    break;
                case AnswerEventKind.CallStarted:
                    started = piece;
                    arguments.Clear();
                    break;
                case AnswerEventKind.CallArguments:
                    arguments.Append(piece.Text);
                    break;
                case AnswerEventKind.CallEnded:
                    calls.Add(new ToolCall(started.CallId!, started.Text, arguments.ToString()));
                    break;
                default:
                    break;
            }
        }

        return new ParsedAnswer(content.ToString(), reasoning.ToString(), calls);
    }
}
