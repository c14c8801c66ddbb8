using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Codec;
using ModelServe.Host.Models;

namespace ModelServe.Host.Commands;

/// <summary>
/// <c>modelserve tokenize --model DIR "text"</c>: the ids as one JSON array. With <c>--jsonl</c>, one JSON string a line of standard
/// input gives <c>{"ids":[…],"tokens":[…]}</c>; with <c>--decode</c>, ids give their text.
/// </summary>
internal sealed class TokenizeCommand : Command
{
    private readonly Argument<string?> _text = new("text") { Description = "the text to encode", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<string> _model = new("--model") { Description = "checkpoint folder, or the name of a shipped model", DefaultValueFactory = _ => ShippedModels.Default };
    private readonly Option<bool> _jsonl = new("--jsonl") { Description = "read one JSON string a line from standard input; print {\"ids\",\"tokens\"} a line" };
    private readonly Option<bool> _decode = new("--decode") { Description = "read {\"ids\":[…]} or […] a line from standard input; print the text as a JSON string a line" };
    private readonly Option<bool> _noSpecial = new("--no-special") { Description = "without the tokens that the tokenizer adds around a text; with --decode, without special tokens" };
    private readonly Option<bool> _parseSpecial = new("--parse-special") { Description = "read control tokens written in the text as such" };

    /// <summary>Declares arguments, options and action.</summary>
    public TokenizeCommand()
        : base("tokenize", "Print the token ids of a text as JSON, or the texts of ids")
    {
        Arguments.Add(_text);
        foreach (Option option in new Option[] { _model, _jsonl, _decode, _noSpecial, _parseSpecial })
        {
            Options.Add(option);
        }

        Validators.Add(result =>
        {
            bool lines = result.GetValue(_jsonl) || result.GetValue(_decode);
            if (lines == (result.GetValue(_text) is not null))
            {
                result.AddError("tokenize: give a text, or --jsonl or --decode for standard input, and not both");
            }
        });
        SetAction(Run);
    }

    private int Run(ParseResult parsed)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(ShippedModels.Resolve(parsed.GetValue(_model)!));
        bool addSpecial = !parsed.GetValue(_noSpecial);
        bool parseSpecial = parsed.GetValue(_parseSpecial);
        if (parsed.GetValue(_text) is { } text)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(tokenizer.EncodeIds(text, addSpecial, parseSpecial)));
        }
        else if (parsed.GetValue(_decode))
        {
            JsonLines.Answer(line => JsonValue.Create(tokenizer.DecodeIds(Ids(line), skipSpecialTokens: !addSpecial)));
        }
        else
        {
            JsonLines.Answer(line => Encoded(tokenizer, tokenizer.EncodeIds(Text(line), addSpecial, parseSpecial)));
        }

        return 0;
    }

    private static JsonObject Encoded(HfTokenizer tokenizer, int[] ids) => new()
    {
        ["ids"] = new JsonArray([.. ids.Select(id => (JsonNode)JsonValue.Create(id))]),
        ["tokens"] = new JsonArray([.. ids.Select(id => (JsonNode?)tokenizer.TokenText(id))]),
    };

    private static string Text(JsonNode? line) => line is JsonValue value && value.GetValueKind() == JsonValueKind.String
        ? value.GetValue<string>()
        : throw new FormatException($"expected a JSON string; got {Kind(line)}");

    private static int[] Ids(JsonNode? line)
    {
        JsonNode? list = line is JsonObject entries ? entries["ids"] : line;
        return list is JsonArray items
            ? [.. items.Select(Id)]
            : throw new FormatException($"ids: expected an array of token ids; got {Kind(list)}");
    }

    private static int Id(JsonNode? item, int index) => item is JsonValue value && value.TryGetValue(out int id) && id >= 0
        ? id
        : throw new FormatException($"ids[{index}]: expected an integer of 0..{int.MaxValue}; got {item?.ToJsonString() ?? "null"}");

    private static string Kind(JsonNode? node) => node is null ? "null" : node.GetValueKind().ToString();
}
