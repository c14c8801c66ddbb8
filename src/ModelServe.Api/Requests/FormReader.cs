using ModelServe.Api.Models;
using ModelServe.Codec.Grammars;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Requests;

/// <summary>The form that an output is asked to have → the constraint that keeps it. Thread-safe; compiles a form that it has not seen lately.</summary>
internal static class FormReader
{
    private const string Field = "options.form";

    /// <summary>Reads a form.</summary>
    /// <param name="form">What the client set; null for any text.</param>
    /// <param name="stop">When the output ends.</param>
    /// <param name="model">Whose vocabulary.</param>
    /// <param name="stopIds">Ids that end the output.</param>
    /// <param name="constraint">What the engine gets; null for any text.</param>
    public static Rejection? Read(OutputForm? form, StopConditions stop, ServedModel model, int[] stopIds, out ITokenConstraint? constraint)
    {
        constraint = null;
        if (form is null)
        {
            return null;
        }

        if (stop.MinTokens > 0)
        {
            return FieldCheck.Invalid("options.stop.min_tokens", "0 beside a form of the output", FieldCheck.Text(stop.MinTokens));
        }

        if (stopIds.Length == 0)
        {
            return FieldCheck.Invalid("options.stop.ignore_eos", "false beside a form of the output, which must be able to end", "true");
        }

        try
        {
            CompiledGrammar? grammar = form.FormCase switch
            {
                OutputForm.FormOneofCase.JsonObject when form.JsonObject => model.Grammars.Get(GrammarKind.JsonObject, ""),
                OutputForm.FormOneofCase.JsonSchema => model.Grammars.Get(GrammarKind.JsonSchema, form.JsonSchema),
                OutputForm.FormOneofCase.Regex => model.Grammars.Get(GrammarKind.Regex, form.Regex),
                OutputForm.FormOneofCase.Choice when form.Choice.Texts.Count > 0 && !form.Choice.Texts.Any(text => text.Length == 0 || text.Contains('\0', StringComparison.Ordinal)) =>
                    model.Grammars.Get(GrammarKind.Choice, string.Join('\0', form.Choice.Texts)),
                _ => null,
            };
            if (grammar is null)
            {
                return FieldCheck.Invalid(Field, "json_object true, a json_schema, a regex, or a choice of one or more texts without U+0000", form.FormCase.ToString());
            }

            constraint = new GrammarConstraint(grammar, stopIds);
            return null;
        }
        catch (InvalidGrammarException exception)
        {
            string place = exception.Place.Length == 0 ? "" : " at " + FieldCheck.Quote(exception.Place);
            return new Rejection(
                exception.IsUnsupported ? RejectionReason.Unsupported : RejectionReason.InvalidField,
                Field,
                "a form that can be kept" + place,
                exception.Message[(exception.Place.Length == 0 ? 0 : exception.Place.Length + 2)..]);
        }
    }

    /// <summary>Refuses a form for an answer whose reasoning the prompt has begun: the form would be kept inside the reasoning.</summary>
    public static Rejection? Check(ReadRequest read, AnswerReading? answer) =>
        read.Request.Sampling.Constraint is not null && answer is { Options.ReasoningBegun: true }
            ? new Rejection(RejectionReason.Unsupported, Field, "absent where the template begins the reasoning (switch thinking off by the template's argument)", "present")
            : null;
}
