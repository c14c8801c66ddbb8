using System.Text.Json;
using ModelServe.Api.Requests;
using ModelServe.V1;

namespace ModelServe.Api.OpenAi;

/// <summary>What the output must be: OpenAI's response_format, or vLLM's structured_outputs. Pure.</summary>
internal static class FormFields
{
    /// <summary>Reads both; errors stay with the fields. Null for any text.</summary>
    public static OutputForm? Read(JsonFields fields)
    {
        OutputForm? format = ReadFormat(fields);
        OutputForm? structured = ReadStructured(fields);
        if (format is not null && structured is not null)
        {
            fields.Refuse("structured_outputs", "absent beside response_format", "present");
        }

        return format ?? structured;
    }

    private static OutputForm? ReadFormat(JsonFields fields)
    {
        JsonFields? format = fields.Object("response_format");
        if (format is null)
        {
            return null;
        }

        OutputForm? form = null;
        switch (format.Text("type"))
        {
            case "text":
                break;
            case "json_object":
                form = new OutputForm { JsonObject = true };
                break;
            case "json_schema":
                form = ReadSchema(format);
                break;
            case var other:
                format.Refuse("type", "'text', 'json_object' or 'json_schema'", other is null ? "none" : FieldCheck.Quote(other));
                break;
        }

        fields.Close(format);
        return form;
    }

    // The schema is kept whether it is called strict or not: a model that may leave it is of no use to anybody.
    private static OutputForm? ReadSchema(JsonFields format)
    {
        JsonFields? given = format.Object("json_schema");
        if (given is null)
        {
            format.Refuse("json_schema", "an object with a name and a schema", "none");
            return null;
        }

        given.Text("name");
        given.Text("description");
        given.Flag("strict");
        JsonElement? schema = given.Of("schema", JsonValueKind.Object, "a JSON Schema");
        if (schema is null)
        {
            given.Refuse("schema", "a JSON Schema", "none");
        }

        format.Close(given);
        return schema is { } element ? new OutputForm { JsonSchema = element.GetRawText() } : null;
    }

    private static OutputForm? ReadStructured(JsonFields fields)
    {
        JsonFields? given = fields.Object("structured_outputs");
        if (given is null)
        {
            return null;
        }

        var forms = new List<OutputForm>();
        if (given.TryGet("json", out JsonElement schema))
        {
            forms.Add(new OutputForm { JsonSchema = schema.ValueKind == JsonValueKind.String ? schema.GetString() : schema.GetRawText() });
        }

        if (given.Flag("json_object") == true)
        {
            forms.Add(new OutputForm { JsonObject = true });
        }

        if (given.Text("regex") is { } pattern)
        {
            forms.Add(new OutputForm { Regex = pattern });
        }

        if (given.Text("grammar") is { } grammar)
        {
            forms.Add(new OutputForm { Grammar = grammar });
        }

        if (given.Of("choice", JsonValueKind.Array, "a list of texts") is { } choice)
        {
            var texts = new TextChoices();
            foreach (JsonElement text in choice.EnumerateArray())
            {
                if (text.ValueKind == JsonValueKind.String)
                {
                    texts.Texts.Add(text.GetString());
                }
                else
                {
                    given.Refuse("choice", "a list of texts", JsonFields.Show(text));
                }
            }

            forms.Add(new OutputForm { Choice = texts });
        }

        if (forms.Count != 1)
        {
            given.Refuse("json", "exactly one of json, json_object, regex, grammar and choice", FieldCheck.Text(forms.Count));
        }

        fields.Close(given);
        return forms.FirstOrDefault();
    }
}
