using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Codec.Chat;
using ModelServe.Codec.Templates;
using ModelServe.Codec.ToolCalls;
using ModelServe.Host.Models;

namespace ModelServe.Host.Commands;

/// <summary>
/// <c>modelserve parse --format NAME | --model DIR</c>: a model's whole output from standard input as one JSON object with content,
/// reasoning and tool_calls. With a model, its chat template tells the format and whether the prompt opens the reasoning;
/// <c>--format</c> wins over it.
/// </summary>
internal sealed class ParseCommand : Command
{
    private readonly Option<string?> _format = new("--format") { Description = "one of " + string.Join(", ", AnswerFormat.Names) };
    private readonly Option<string?> _model = new("--model") { Description = "checkpoint folder, or the name of a shipped model" };
    private readonly Option<bool> _reasoningOpen = new("--reasoning-open") { Description = "the output begins inside the reasoning" };
    private readonly Option<string?> _tools = new("--tools") { Description = "file with the request's tools as JSON: gives the types of values written as plain text" };

    /// <summary>Declares options and action.</summary>
    public ParseCommand()
        : base("parse", "Split a model's output into content, reasoning and tool calls")
    {
        foreach (Option option in new Option[] { _format, _model, _reasoningOpen, _tools })
        {
            Options.Add(option);
        }

        Validators.Add(result =>
        {
            if (result.GetValue(_format) is null && result.GetValue(_model) is null)
            {
                result.AddError("parse: give --format or --model");
            }
        });
        SetAction(Run);
    }

    private int Run(ParseResult parsed)
    {
        string? directory = parsed.GetValue(_model) is { } model ? ShippedModels.Resolve(model) : null;
        AnswerFormat format = parsed.GetValue(_format) is { } name ? AnswerFormat.Parse(name) : AnswerFormat.Load(directory!);
        var options = new AnswerOptions
        {
            ReasoningBegun = parsed.GetValue(_reasoningOpen) || (directory is not null && PromptOpensReasoning(directory, format)),
            Tools = parsed.GetValue(_tools) is { } file ? ReadTools(file) : null,
        };
        ParsedAnswer answer = AnswerParser.Parse(JsonLines.ReadAll(), format, options);
        JsonLines.Write(new JsonObject
        {
            ["content"] = OrNull(answer.Content),
            ["reasoning"] = OrNull(answer.Reasoning),
            ["tool_calls"] = new JsonArray([.. answer.ToolCalls.Select(call => (JsonNode)new JsonObject
            {
                ["id"] = call.Id,
                ["name"] = call.Name,
                ["arguments"] = call.Arguments,
            })]),
        });
        return 0;
    }

    private static bool PromptOpensReasoning(string directory, AnswerFormat format)
    {
        if (format.Reasoning is null || ChatTemplate.Load(directory) is not { } template)
        {
            return false;
        }

        try
        {
            return format.Reasoning.IsOpenedBy(template.Render([new ChatMessage("user", "Hello")], new ChatRenderOptions(), TemplateTokens.None));
        }
        catch (TemplateException exception)
        {
            throw new FormatException($"{directory}: the chat template does not tell whether it opens the reasoning; give --format instead of --model: {exception.Message}", exception);
        }
    }

    private static JsonArray ReadTools(string file)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(file)) as JsonArray ?? throw new FormatException($"{file}: expected a JSON array of tools");
        }
        catch (JsonException exception)
        {
            throw new FormatException($"{file}: not JSON: {exception.Message}", exception);
        }
    }

    private static JsonValue? OrNull(string text) => text.Length == 0 ? null : JsonValue.Create(text);
}
