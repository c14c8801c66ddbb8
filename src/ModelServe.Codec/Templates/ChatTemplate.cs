using System.Text.Json.Nodes;
using ModelServe.Codec.Chat;

namespace ModelServe.Codec.Templates;

/// <summary>
/// A model's chat template: a Jinja2 program, rendered as the transformers library does it (trimmed blocks, immutable sandbox,
/// loop controls, generation tag, its own tojson). Parsed once; any number of threads may render at the same time. The
/// program is untrusted: it sees no host object and runs within <see cref="TemplateLimits"/>.
/// </summary>
public sealed class ChatTemplate
{
    private readonly Program _default;
    private readonly Program? _toolUse;
    private readonly TemplateLimits _limits;
    private readonly TimeProvider _time;

    private ChatTemplate(string source, string? toolUse, TemplateLimits? limits, TimeProvider? time)
    {
        _default = Program.Parse(source);
        _toolUse = toolUse is null ? null : Program.Parse(toolUse);
        _limits = limits ?? TemplateLimits.Default;
        _time = time ?? TimeProvider.System;
    }

    /// <summary>
    /// The template of a checkpoint: chat_template.jinja (with additional_chat_templates/tool_use.jinja), else the chat_template
    /// of tokenizer_config.json, a string or a list of named ones; null when it has none.
    /// </summary>
    /// <param name="directory">The checkpoint's directory.</param>
    /// <param name="limits">What a render may use up; the defaults where null.</param>
    /// <param name="time">The clock of strftime_now and of the time limit; the system's where null.</param>
    /// <exception cref="InvalidTextModelException">tokenizer_config.json is no JSON or its chat_template has another shape.</exception>
    /// <exception cref="UnsupportedFeatureException">The template uses what this engine does not implement; says the line.</exception>
    public static ChatTemplate? Load(string directory, TemplateLimits? limits = null, TimeProvider? time = null) =>
        TemplateFiles.Read(directory) is (string source, var toolUse) ? new ChatTemplate(source, toolUse, limits, time) : null;

    /// <summary>A template from its source.</summary>
    /// <param name="source">Jinja2 source text.</param>
    /// <param name="limits">What a render may use up; the defaults where null.</param>
    /// <param name="time">The clock of strftime_now and of the time limit; the system's where null.</param>
    /// <exception cref="UnsupportedFeatureException">The template uses what this engine does not implement; says the line.</exception>
    public static ChatTemplate Parse(string source, TemplateLimits? limits = null, TimeProvider? time = null) =>
        new(source, null, limits, time);

    /// <summary>
    /// The conversation as the model's prompt. The template sees messages, tools and documents (none unless an argument gives
    /// them), add_generation_prompt, the special tokens and the options' arguments, which win over all of these.
    /// </summary>
    /// <exception cref="TemplateException">The template refused the conversation, failed, or exceeded a limit.</exception>
    public string Render(IReadOnlyList<ChatMessage> messages, ChatRenderOptions options, TemplateTokens tokens)
    {
        TemplateDict context = RenderContext.Create(messages, options, tokens);
        return Render(options.Tools is not null && _toolUse is not null ? _toolUse : _default, context);
    }

    /// <summary>The text of the default template for exactly these variables; those not given are undefined.</summary>
    /// <exception cref="TemplateException">The template refused its input, failed, or exceeded a limit.</exception>
    public string Render(JsonObject variables) => Render(_default, JsonImport.Convert(variables));

    private string Render(Program program, TemplateDict context)
    {
        var state = new RenderState(context, _limits, _time);
        Statement.ExecuteAll(program.Statements, state, Frame.Enter(program.Layout, null, state));
        return state.Text;
    }

    private sealed record Program(Statement[] Statements, ScopeLayout Layout)
    {
        public static Program Parse(string source)
        {
            Statement[] statements = StatementParser.Parse(source);
            return new Program(statements, ScopeBinder.Bind(statements));
        }
    }
}
