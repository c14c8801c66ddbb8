using ModelServe.Api.Models;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Requests;

/// <summary>The form that an output is asked to have → the grammar that is to be compiled. Pure.</summary>
internal static class FormReader
{
    private const string Field = "options.form";

    /// <summary>Reads a form.</summary>
    /// <param name="form">What the client set; null for any text.</param>
    /// <param name="stop">When the output ends.</param>
    /// <param name="stopIds">Ids that end the output.</param>
    /// <param name="wanted">The grammar; null for any text.</param>
    public static Rejection? Read(OutputForm? form, StopConditions stop, int[] stopIds, out WantedGrammar? wanted)
    {
        wanted = null;
        if (form is null)
        {
            return null;
        }

        if (CheckEnd(stop, stopIds, "a form of the output") is { } noEnd)
        {
            return noEnd;
        }

        wanted = form.FormCase switch
        {
            OutputForm.FormOneofCase.JsonObject when form.JsonObject => WantedGrammar.JsonObject(Field + ".json_object"),
            OutputForm.FormOneofCase.JsonSchema => WantedGrammar.JsonSchema(form.JsonSchema, Field + ".json_schema"),
            OutputForm.FormOneofCase.Regex => WantedGrammar.Regex(form.Regex, Field + ".regex"),
            OutputForm.FormOneofCase.Grammar => WantedGrammar.Ebnf(form.Grammar, Field + ".grammar"),
            OutputForm.FormOneofCase.Choice when form.Choice.Texts.Count > 0 && !form.Choice.Texts.Any(text => text.Length == 0 || text.Contains('\0', StringComparison.Ordinal)) =>
                WantedGrammar.Choice([.. form.Choice.Texts], Field + ".choice"),
            _ => null,
        };
        return wanted is null
            ? FieldCheck.Invalid(Field, "json_object true, a json_schema, a regex, a grammar, or a choice of one or more texts without U+0000", form.FormCase.ToString())
            : null;
    }

    /// <summary>Refuses what keeps an output that follows a grammar from ending where the grammar says.</summary>
    public static Rejection? CheckEnd(StopConditions stop, int[] stopIds, string what) =>
        stop.MinTokens > 0 ? FieldCheck.Invalid("options.stop.min_tokens", $"0 beside {what}", FieldCheck.Text(stop.MinTokens))
        : stopIds.Length == 0 ? FieldCheck.Invalid("options.stop.ignore_eos", $"false beside {what}, which must be able to end", "true")
        : null;

    /// <summary>Refuses a form for an answer whose reasoning the prompt has begun: the form would be kept inside the reasoning.</summary>
    public static Rejection? Check(ReadRequest read, AnswerReading? answer) =>
        read.Wanted is not null && answer is { Options.ReasoningBegun: true }
            ? new Rejection(RejectionReason.Unsupported, Field, "absent where the template begins the reasoning (switch thinking off by the template's argument)", "present")
            : null;
}
