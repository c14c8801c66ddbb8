using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Codec;
using ModelServe.Codec.Chat;
using ModelServe.Codec.Templates;
using ModelServe.Host.Models;

namespace ModelServe.Host.Commands;

/// <summary>
/// <c>modelserve render --model DIR | --template FILE</c>: one JSON context a line of standard input gives <c>{"ok":text}</c> or
/// <c>{"err":message}</c>. With a model, special tokens are given and messages, tools, documents and add_generation_prompt have
/// transformers' defaults; with a template file, the context is all there is. <c>now</c> sets the clock.
/// </summary>
internal sealed class RenderCommand : Command
{
    private readonly Option<string?> _model = new("--model") { Description = "checkpoint folder, or the name of a shipped model" };
    private readonly Option<string?> _template = new("--template") { Description = "file with a Jinja chat template" };

    /// <summary>Declares options and action.</summary>
    public RenderCommand()
        : base("render", "Render chat templates: one JSON context a line in, one result a line out")
    {
        Options.Add(_model);
        Options.Add(_template);
        Validators.Add(result =>
        {
            if ((result.GetValue(_model) is null) == (result.GetValue(_template) is null))
            {
                result.AddError("render: give --model or --template, and not both");
            }
        });
        SetAction(Run);
    }

    private int Run(ParseResult parsed)
    {
        var clock = new ContextClock();
        Func<JsonObject, string> render = parsed.GetValue(_template) is { } file
            ? ChatTemplate.Parse(File.ReadAllText(file), limits: null, clock).Render
            : OfModel(ShippedModels.Resolve(parsed.GetValue(_model)!), clock);
        JsonLines.Answer(line =>
        {
            JsonObject context = line as JsonObject ?? throw new FormatException("expected a JSON object with the template's variables");
            clock.Now = TakeNow(context);
            return new JsonObject { ["ok"] = render(context) };
        });
        return 0;
    }

    private static Func<JsonObject, string> OfModel(string directory, ContextClock clock)
    {
        ChatTemplate template = ChatTemplate.Load(directory, limits: null, clock)
            ?? throw new UnsupportedFeatureException($"{directory}: the checkpoint has no chat template");
        TemplateTokens tokens = TextModel.Load(directory).TemplateTokens;
        return context => template.Render(
            [],
            new ChatRenderOptions { AddGenerationPrompt = false, Tools = context["tools"] as JsonArray, Arguments = context },
            tokens);
    }

    private static DateTime? TakeNow(JsonObject context)
    {
        if (!context.Remove("now", out JsonNode? now) || now is null)
        {
            return null;
        }

        return now.GetValueKind() == JsonValueKind.String
            && DateTimeOffset.TryParse(now.GetValue<string>(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time)
            ? time.DateTime
            : throw new FormatException($"now: expected a time such as 2026-01-05T09:07:03; got {now.ToJsonString()}");
    }

    /// <summary>The system's clock, or a time of day that a context has set, read as local time.</summary>
    private sealed class ContextClock : TimeProvider
    {
        /// <summary>The time that templates see; the system's where null.</summary>
        public DateTime? Now { get; set; }

        /// <inheritdoc/>
        public override TimeZoneInfo LocalTimeZone => Now is null ? System.LocalTimeZone : TimeZoneInfo.Utc;

        /// <inheritdoc/>
        public override DateTimeOffset GetUtcNow() => Now is { } now ? new DateTimeOffset(now, TimeSpan.Zero) : System.GetUtcNow();
    }
}
