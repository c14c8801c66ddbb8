using System.CommandLine;
using System.Text.Json;
using ModelServe.Codec;
using ModelServe.Host.Models;

namespace ModelServe.Host.Commands;

/// <summary><c>modelserve tokenize --model DIR "text"</c>: the ids as one JSON array.</summary>
internal sealed class TokenizeCommand : Command
{
    private readonly Argument<string> _text = new("text") { Description = "the text to encode" };
    private readonly Option<string> _model = new("--model") { Description = "checkpoint folder, or the name of a shipped model", DefaultValueFactory = _ => ShippedModels.Default };
    private readonly Option<bool> _noSpecial = new("--no-special") { Description = "without the tokens that the tokenizer adds around a text" };
    private readonly Option<bool> _parseSpecial = new("--parse-special") { Description = "read control tokens written in the text as such" };

    /// <summary>Declares arguments, options and action.</summary>
    public TokenizeCommand()
        : base("tokenize", "Print the token ids of a text as JSON")
    {
        Arguments.Add(_text);
        Options.Add(_model);
        Options.Add(_noSpecial);
        Options.Add(_parseSpecial);
        SetAction(parsed =>
        {
            HfTokenizer tokenizer = HfTokenizer.Load(ShippedModels.Resolve(parsed.GetValue(_model)!));
            int[] ids = tokenizer.EncodeIds(parsed.GetValue(_text)!, addSpecialTokens: !parsed.GetValue(_noSpecial), parseSpecialTokens: parsed.GetValue(_parseSpecial));
            Console.Out.WriteLine(JsonSerializer.Serialize(ids));
            return 0;
        });
    }
}
