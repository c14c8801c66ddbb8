using System.Globalization;
using System.Text.Json.Nodes;

namespace ModelServe.Trainer.Data;

/// <summary>Filling a small JSON object from a sentence.</summary>
internal static class Extraction
{
    private static readonly string[] Leads = ["Return JSON with {0}: {1}", "Return JSON with {0}: {1}", "Write JSON with {0}: {1}"];

    public static Problem Make(Random random, bool hard)
    {
        string name = random.Next(3) == 0 ? Pick.One(random, Words.Names) : Pick.Invented(random);
        string city = random.Next(3) == 0 ? Pick.One(random, Words.Cities) : Pick.Invented(random);
        string job = Pick.One(random, Words.Jobs);
        int age = random.Next(5, 100);
        return hard
            ? random.Next(3) switch
            {
                0 => Build(random, name, $"{name} is {age} years old and lives in {city}.", ("name", name), ("age", age), ("city", city)),
                1 => Build(
                    random, name, $"{name} is {age} years old, lives in {city} and works as a {job}.",
                    ("name", name), ("age", age), ("city", city), ("job", job)),
                _ => Build(random, name, $"{name} works as a {job} in {city}.", ("name", name), ("job", job), ("city", city)),
            }
            : random.Next(6) switch
            {
                0 => Build(random, name, $"My name is {name}.", ("name", name)),
                1 => Build(random, name, $"{name} lives in {city}.", ("name", name), ("city", city)),
                2 => Build(random, name, $"{name} works as a {job}.", ("name", name), ("job", job)),
                3 => Build(random, name, $"My friend {name} is {age}.", ("name", name), ("age", age)),
                _ => Build(random, name, $"{name} is {age} years old.", ("name", name), ("age", age)),
            };
    }

    private static Problem Build(Random random, string name, FormattableString sentence, params (string Key, object Value)[] fields)
    {
        string text = sentence.ToString(CultureInfo.InvariantCulture);
        string[] keys = [.. fields.Select(f => f.Key)];
        string asked = keys.Length == 1 ? keys[0] : string.Join(", ", keys[..^1]) + " and " + keys[^1];
        string question = string.Format(CultureInfo.InvariantCulture, Pick.One(random, Leads), asked, text);
        IEnumerable<string> pairs = fields.Select(f => f.Value is int
            ? string.Create(CultureInfo.InvariantCulture, $"\"{f.Key}\": {f.Value}")
            : $"\"{f.Key}\": \"{f.Value}\"");
        JsonObject properties = [];
        foreach ((string key, object value) in fields)
        {
            properties[key] = new JsonObject { ["type"] = value is int ? "integer" : "string" };
        }

        JsonObject schema = new()
        {
            ["type"] = "object",
            ["properties"] = properties,
            ["required"] = new JsonArray([.. keys.Select(k => (JsonNode)k)]),
            ["additionalProperties"] = false,
        };
        return new("json", "json:" + name + text, question, "{" + string.Join(", ", pairs) + "}") { Schema = schema };
    }
}
