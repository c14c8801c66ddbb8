using ModelServe.Codec.ToolCalls;

namespace ModelServe.Api.OpenAi;

/// <summary>Tool calls in the dialect's shape.</summary>
internal static class ToolCallJson
{
    /// <summary>One entry of a chunk's tool_calls: the start of a call, or more of its arguments.</summary>
    public static void WriteDelta(JsonText json, AnswerEvent piece)
    {
        json.Raw("{\"index\":"u8);
        json.Number(piece.CallIndex);
        if (piece.Kind == AnswerEventKind.CallStarted)
        {
            json.Raw(",\"id\":"u8);
            json.String(piece.CallId);
            json.Raw(",\"type\":\"function\",\"function\":{\"name\":"u8);
            json.String(piece.Text);
            json.Raw(",\"arguments\":\"\"}}"u8);
        }
        else
        {
            json.Raw(",\"function\":{\"arguments\":"u8);
            json.String(piece.Text);
            json.Raw("}}"u8);
        }
    }

    /// <summary>One entry of a message's tool_calls.</summary>
    public static void Write(JsonText json, ToolCall call)
    {
        json.Raw("{\"id\":"u8);
        json.String(call.Id);
        json.Raw(",\"type\":\"function\",\"function\":{\"name\":"u8);
        json.String(call.Name);
        json.Raw(",\"arguments\":"u8);
        json.String(call.Arguments);
        json.Raw("}}"u8);
    }
}
