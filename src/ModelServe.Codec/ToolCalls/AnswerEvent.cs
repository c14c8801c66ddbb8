namespace ModelServe.Codec.ToolCalls;

/// <summary>One piece of an answer, in the order of the text.</summary>
/// <param name="Kind">What the piece is.</param>
/// <param name="Text">Text of content, reasoning or arguments; the tool's name where a call starts; else empty.</param>
/// <param name="CallIndex">Number of the call from 0 up, abandoned ones counted; -1 outside calls.</param>
/// <param name="CallId">The call's id where it starts; else null.</param>
public readonly record struct AnswerEvent(AnswerEventKind Kind, string Text, int CallIndex = -1, string? CallId = null);
