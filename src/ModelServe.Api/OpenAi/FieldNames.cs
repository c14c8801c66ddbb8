using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>Names of modelserve.v1 fields as the HTTP dialect spells them, so that a refusal names what the client wrote.</summary>
internal static class FieldNames
{
    private static readonly (string Own, string Theirs)[] Known =
    [
        ("options.stop.strings", "stop"),
        ("options.stop.token_ids", "stop_token_ids"),
        ("options.stop.include_stop_in_output", "include_stop_str_in_output"),
        ("options.stop.", ""),
        ("options.sampling.", ""),
        ("options.form.regex", "structured_outputs.regex"),
        ("options.form.grammar", "structured_outputs.grammar"),
        ("options.form.choice", "structured_outputs.choice"),
        ("options.form.json_schema", "response_format"),
        ("options.form.json_object", "response_format"),
        ("options.form", "response_format"),
        ("options.", ""),
        ("token_ids", "prompt"),
        ("text", "prompt"),
        ("chat.", ""),
    ];

    /// <summary>The same rejection with the client's name of its field.</summary>
    public static Rejection Translate(Rejection rejection)
    {
        foreach ((string own, string theirs) in Known)
        {
            bool isPrefix = own.EndsWith('.');
            if (isPrefix ? rejection.Field.StartsWith(own, StringComparison.Ordinal) : rejection.Field == own)
            {
                return rejection with { Field = isPrefix ? theirs + rejection.Field[own.Length..] : theirs };
            }
        }

        return rejection;
    }
}
