namespace ModelServe.Codec.ToolCalls;

/// <summary>What a piece of a parsed answer is.</summary>
public enum AnswerEventKind
{
    /// <summary>Text for the user.</summary>
    Content,

    /// <summary>Text of the model's reasoning.</summary>
    Reasoning,

    /// <summary>A tool call begins: name and id are known.</summary>
    CallStarted,

    /// <summary>More of the JSON text of the call's arguments.</summary>
    CallArguments,

    /// <summary>The call is complete: its argument pieces put together are a JSON object.</summary>
    CallEnded,

    /// <summary>What had begun as a call is none; its whole text follows as content.</summary>
    CallAbandoned,
}
