using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Api.Models;
using ModelServe.Codec.CallGrammars;
using ModelServe.Codec.ToolCalls;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Requests;

/// <summary>What a request says of its tools → the grammar that keeps it, where something is to be kept. Pure.</summary>
internal static class CallReader
{
    /// <summary>Where tools stand.</summary>
    public const string ToolsField = "chat.tools";

    private const string ChoiceField = "chat.tool_choice";
    private const string NoParameters = """{"type":"object","properties":{},"additionalProperties":false}""";

    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.");

    /// <summary>Whether a tool's name has the form that every format of calls can write.</summary>
    public static bool IsName(string? name) => !string.IsNullOrEmpty(name) && !name.AsSpan().ContainsAnyExcept(NameCharacters);

    /// <summary>Adds the grammar that keeps the rules; leaves the request as it is where the model may write what it likes.</summary>
    /// <param name="read">The request, checked otherwise.</param>
    /// <param name="rules">What it says of its tools.</param>
    /// <param name="stop">When the output ends.</param>
    /// <param name="answer">How the answer is taken apart; null where the model's form has nothing to take apart.</param>
    /// <param name="ruled">The request with its grammar.</param>
    public static Rejection? Read(ReadRequest read, ToolRules rules, StopConditions? stop, AnswerReading? answer, out ReadRequest ruled)
    {
        ruled = read;
        if (rules.Tools is not { Count: > 0 } tools)
        {
            return null;
        }

        bool isForced = rules.IsRequired || rules.Named is not null;
        string? field = isForced || rules.Allowed is not null ? ChoiceField
            : rules.IsSingle ? "chat.parallel_tool_calls"
            : tools.Any(IsStrict) ? ToolsField
            : null;
        if (field is null)
        {
            return null;
        }

        if (ReadTools(tools, rules, out List<CallableTool> callable) is { } badTool)
        {
            return badTool;
        }

        if (answer is null || answer.Format.Tools == ToolFormat.None)
        {
            // No text of such a model is read as a call, so that none can break the rules; but none can be made either.
            return isForced
                ? new Rejection(RejectionReason.Unsupported, field, "none or auto where the form of the model's calls is unknown", "a call that is required")
                : null;
        }

        if (read.Wanted is not null)
        {
            return FieldCheck.Invalid("options.form", "absent beside calls that are held to their tools", "present");
        }

        if (FormReader.CheckEnd(stop ?? new StopConditions(), [.. read.Request.StopTokenIds], "calls that are held to their tools") is { } noEnd)
        {
            return noEnd;
        }

        var demand = new CallDemand(answer.Format, isForced ? [.. callable.Select(tool => tool with { IsBound = true })] : callable)
        {
            IsForced = isForced,
            IsSingle = rules.IsSingle || rules.Named is not null,
            Reasoning = answer.Reasoning,
        };
        ruled = read with { Wanted = WantedGrammar.Calls(demand, field) };
        return null;
    }

    private static bool IsStrict(JsonNode? tool) =>
        (tool as JsonObject)?["function"] is JsonObject function && function["strict"] is JsonValue strict && strict.GetValueKind() == JsonValueKind.True;

    private static Rejection? ReadTools(JsonArray tools, ToolRules rules, out List<CallableTool> callable)
    {
        callable = [];
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < tools.Count; i++)
        {
            string place = $"tools[{FieldCheck.Text(i)}].function";
            string? name = ToolRules.NameOf(tools[i]);
            if (!IsName(name) || !names.Add(name!))
            {
                return FieldCheck.Invalid($"chat.{place}.name", "letters, digits, '_', '-' or '.', and none that another tool has", name is null ? "none" : FieldCheck.Quote(name));
            }

            JsonNode? parameters = tools[i]!["function"]!["parameters"];
            if (parameters is not null and not JsonObject)
            {
                return FieldCheck.Invalid($"chat.{place}.parameters", "a JSON Schema, which is an object", "another value");
            }

            if (rules.Names(name))
            {
                callable.Add(new CallableTool(name!, parameters?.ToJsonString() ?? NoParameters, IsStrict(tools[i]), place + ".parameters"));
            }
        }

        string? unknown = (rules.Allowed ?? []).Append(rules.Named).FirstOrDefault(one => one is not null && !names.Contains(one));
        return unknown is not null ? FieldCheck.Invalid(ChoiceField, "names of tools that are given", FieldCheck.Quote(unknown))
            : callable.Count == 0 ? FieldCheck.Invalid(ChoiceField, "at least one tool that may be called", "none")
            : null;
    }
}
