using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace ModelServe.Client;

/// <summary>Puts the pieces of tool calls together as they stream in. For one answer; not thread-safe.</summary>
internal sealed class CallCollector
{
    private readonly Dictionary<int, (string Id, string Name, StringBuilder Arguments)> _open = [];

    /// <summary>Takes pieces; the calls that are complete with them. One that was given up is forgotten: its text comes as text.</summary>
    public IEnumerable<FunctionCallContent> Take(IEnumerable<V1.ToolCallDelta> pieces)
    {
        foreach (V1.ToolCallDelta piece in pieces)
        {
            if (piece.HasName)
            {
                _open[piece.Index] = (piece.Id, piece.Name, new StringBuilder());
            }

            if (!_open.TryGetValue(piece.Index, out (string Id, string Name, StringBuilder Arguments) call))
            {
                throw new InvalidDataException($"tool call {piece.Index} goes on without having begun");
            }

            call.Arguments.Append(piece.Arguments);
            if (piece.State != V1.ToolCallState.Unspecified)
            {
                _open.Remove(piece.Index);
            }

            if (piece.State == V1.ToolCallState.Complete)
            {
                yield return FunctionCallContent.CreateFromParsedArguments(call.Arguments.ToString(), call.Id, call.Name, Parse);
            }
        }
    }

    private static Dictionary<string, object?>? Parse(string arguments) =>
        (Dictionary<string, object?>?)JsonSerializer.Deserialize(arguments, AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(Dictionary<string, object?>)));
}
