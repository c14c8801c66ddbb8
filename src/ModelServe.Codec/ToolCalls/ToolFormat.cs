namespace ModelServe.Codec.ToolCalls;

/// <summary>How a model writes tool calls.</summary>
public enum ToolFormat
{
    /// <summary>No tool calls are looked for.</summary>
    None,

    /// <summary>Hermes, Qwen 2.5 and 3: a JSON object in <c>&lt;tool_call&gt;</c>.</summary>
    Hermes,

    /// <summary>Qwen3-Coder, Qwen 3.5, Nemotron 3: <c>&lt;function=name&gt;</c> with one element a parameter.</summary>
    Qwen3Coder,

    /// <summary>Llama 3: a bare JSON object with name and parameters, or <c>&lt;|python_tag|&gt;</c>.</summary>
    Llama3Json,

    /// <summary>Llama 3.2 and 4, LFM2: a Python list of calls with literal keyword arguments.</summary>
    Pythonic,

    /// <summary>Mistral: <c>[TOOL_CALLS]</c> with a JSON array, or with a name and <c>[ARGS]</c>.</summary>
    Mistral,

    /// <summary>DeepSeek V3, R1 and V3.1.</summary>
    DeepSeek,

    /// <summary>gpt-oss: messages in channels; the analysis channel is the reasoning.</summary>
    Harmony,
}
