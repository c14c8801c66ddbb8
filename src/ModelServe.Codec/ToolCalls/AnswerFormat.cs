using ModelServe.Codec.Templates;

namespace ModelServe.Codec.ToolCalls;

/// <summary>How a model's answers are to be read.</summary>
/// <param name="Tools">How tool calls are written.</param>
/// <param name="Reasoning">What stands around the reasoning; null where there is none, or where the tool format has its own.</param>
public sealed record AnswerFormat(ToolFormat Tools, ReasoningMarkers? Reasoning)
{
    private static readonly (string Name, AnswerFormat Format)[] Known =
    [
        ("none", new(ToolFormat.None, null)),
        ("reasoning", new(ToolFormat.None, ReasoningMarkers.Think)),
        ("hermes", new(ToolFormat.Hermes, ReasoningMarkers.Think)),
        ("qwen3-coder", new(ToolFormat.Qwen3Coder, ReasoningMarkers.Think)),
        ("llama3-json", new(ToolFormat.Llama3Json, null)),
        ("pythonic", new(ToolFormat.Pythonic, null)),
        ("mistral", new(ToolFormat.Mistral, ReasoningMarkers.MistralThink)),
        ("deepseek", new(ToolFormat.DeepSeek, ReasoningMarkers.Think)),
        ("harmony", new(ToolFormat.Harmony, null)),
        ("glm", new(ToolFormat.Glm, ReasoningMarkers.Think)),
        ("kimi-k2", new(ToolFormat.KimiK2, ReasoningMarkers.Think)),
        ("json-list", new(ToolFormat.JsonList, ReasoningMarkers.Think)),
        ("command-r", new(ToolFormat.JsonList, ReasoningMarkers.CommandThink)),
        ("seed-oss", new(ToolFormat.SeedOss, ReasoningMarkers.SeedThink)),
        ("deepseek-markup", new(ToolFormat.DeepSeekMarkup, ReasoningMarkers.Think)),
        ("minimax", new(ToolFormat.MiniMax, ReasoningMarkers.Think)),
        ("gemma", new(ToolFormat.Gemma, ReasoningMarkers.GemmaThought)),
    ];

    // Texts that only one format has, the more particular ones first.
    private static readonly (string Marker, ToolFormat Format)[] Markers =
    [
        ("[TOOL_CALLS]", ToolFormat.Mistral),
        ("<｜tool▁call▁begin｜>", ToolFormat.DeepSeek),
        ("<|tool_call_argument_begin|>", ToolFormat.KimiK2),
        ("<seed:tool_call>", ToolFormat.SeedOss),
        ("<minimax:tool_call>", ToolFormat.MiniMax),
        ("<|tool_call>call:", ToolFormat.Gemma),
        ("<|START_ACTION|>[", ToolFormat.JsonList),
        ("<tool_calls>[", ToolFormat.JsonList),
        ("<|tool_call|>", ToolFormat.JsonList),
        ("<|python_start|>", ToolFormat.Pythonic),
        ("<|tool_call_start|>", ToolFormat.Pythonic),
        ("<|tool_list_start|>", ToolFormat.Pythonic),
    ];

    /// <summary>Neither calls nor reasoning: an answer is its content.</summary>
    public static AnswerFormat None { get; } = new(ToolFormat.None, null);

    /// <summary>The names that <see cref="Parse"/> knows.</summary>
    public static IEnumerable<string> Names => Known.Select(entry => entry.Name);

    /// <summary>The format of a name.</summary>
    /// <exception cref="FormatException">The name is unknown; the message lists the known ones.</exception>
    public static AnswerFormat Parse(string name) =>
        Array.Find(Known, entry => entry.Name == name).Format
        ?? throw new FormatException($"format: expected one of {string.Join(", ", Names)}; got '{name}'");

    /// <summary>The format that a chat template's text shows. Calls in a form that is not known are left in the content.</summary>
    public static AnswerFormat Detect(string template)
    {
        ToolFormat tools = Tool(template);
        ReasoningMarkers? reasoning = tools == ToolFormat.Harmony ? null
            : Has(template, "[THINK]") ? ReasoningMarkers.MistralThink
            : Has(template, "<seed:think>") ? ReasoningMarkers.SeedThink
            : Has(template, "<|START_THINKING|>") ? ReasoningMarkers.CommandThink
            : Has(template, "<|channel>thought") ? ReasoningMarkers.GemmaThought
            : Has(template, "<think>") || Has(template, "</think>") ? ReasoningMarkers.Think
            : null;
        return new AnswerFormat(tools, reasoning);
    }

    /// <summary>The format of a checkpoint: from its chat templates; <see cref="None"/> where it has none.</summary>
    /// <exception cref="InvalidTextModelException">tokenizer_config.json is no JSON or its chat_template has another shape.</exception>
    public static AnswerFormat Load(string directory) =>
        TemplateFiles.Read(directory) is (string source, var toolUse) ? Detect(source + toolUse) : None;

    private static ToolFormat Tool(string template)
    {
        if (Has(template, "<|start|>assistant") && Has(template, "<|channel|>"))
        {
            return ToolFormat.Harmony;
        }

        foreach ((string marker, ToolFormat format) in Markers)
        {
            if (Has(template, marker))
            {
                return format;
            }
        }

        if (Has(template, "｜DSML｜") && Has(template, "invoke name="))
        {
            return ToolFormat.DeepSeekMarkup;
        }

        if (Has(template, "<tool_call>"))
        {
            return Has(template, "<arg_key>") ? ToolFormat.Glm
                : Has(template, "<function=") ? ToolFormat.Qwen3Coder
                : ToolFormat.Hermes;
        }

        bool llama = Has(template, "<|start_header_id|>") && Has(template, "{\"name\": ") && Has(template, "\"parameters\": ");
        return llama && !Has(template, "<function=") ? ToolFormat.Llama3Json : ToolFormat.None;
    }

    private static bool Has(string template, string text) => template.Contains(text, StringComparison.Ordinal);
}
