namespace ModelServe.Codec.ToolCalls;

/// <summary>One complete tool call of an answer.</summary>
/// <param name="Id">The model's own id where its format has one before the arguments, else a new one.</param>
/// <param name="Name">The tool's name, as the model wrote it.</param>
/// <param name="Arguments">A JSON object as text.</param>
public sealed record ToolCall(string Id, string Name, string Arguments);
