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

    /// <summary>GLM 4.5 and later: a name in <c>&lt;tool_call&gt;</c>, then <c>&lt;arg_key&gt;</c> and <c>&lt;arg_value&gt;</c> in turn.</summary>
    Glm,

    /// <summary>Kimi K2: <c>functions.name:0</c> and a JSON object between markers, in a section of calls.</summary>
    KimiK2,

    /// <summary>Granite, Phi-4-mini, Apriel, Command-R: a JSON list of calls behind a marker.</summary>
    JsonList,

    /// <summary>Seed-OSS: as Qwen3-Coder, in <c>&lt;seed:tool_call&gt;</c>.</summary>
    SeedOss,

    /// <summary>DeepSeek V3.2 and V4: <c>invoke</c> elements whose parameters say whether they are text or JSON.</summary>
    DeepSeekMarkup,

    /// <summary>MiniMax M2: <c>invoke</c> elements in <c>&lt;minimax:tool_call&gt;</c>.</summary>
    MiniMax,

    /// <summary>Gemma 4: <c>call:name{key:value}</c> between markers, strings quoted by a marker of their own.</summary>
    Gemma,
}
