using System.Text.Json;

namespace ModelServe.Codec.Loading;

/// <summary>
/// What the files beside tokenizer.json say about tokens: tokenizer_config.json, and special_tokens_map.json for what that does
/// not say. Holds its documents open until disposed.
/// </summary>
internal sealed class TokenizerSettings : IDisposable
{
    private static readonly string[] TokenNames =
        ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    private readonly JsonDocument? _config;
    private readonly JsonDocument? _map;
    private readonly Dictionary<string, string> _named = new(StringComparer.Ordinal);

    private TokenizerSettings(JsonDocument? config, JsonDocument? map)
    {
        _config = config;
        _map = map;
    }

    /// <summary>The flags and contents of added tokens by id, where tokenizer_config.json lists them.</summary>
    public JsonPart? AddedTokensDecoder { get; private set; }

    /// <summary>The Python class that transformers would make, without the ending Fast; empty where unknown.</summary>
    public string TokenizerClass { get; private set; } = "";

    /// <summary>add_bos_token; null where the file is silent.</summary>
    public bool? AddBos { get; private set; }

    /// <summary>add_eos_token; null where the file is silent.</summary>
    public bool? AddEos { get; private set; }

    /// <summary>bos_token, eos_token, … and additional_special_tokens.</summary>
    public IReadOnlyList<string> NamedTokens { get; private set; } = [];

    /// <summary>The named tokens that a chat template may print besides bos, eos, pad and unk, by their full name.</summary>
    public IReadOnlyDictionary<string, string> FurtherTokens => _named
        .Where(token => token.Key is "sep_token" or "cls_token" or "mask_token")
        .ToDictionary(token => token.Key, token => token.Value, StringComparer.Ordinal);

    /// <summary>pat_str: the split pattern of a tiktoken rank file, which holds none itself; null where the file is silent.</summary>
    public string? Pattern { get; private set; }

    /// <summary>Reads the files of a checkpoint directory; both may be absent.</summary>
    public static TokenizerSettings Load(string directory)
    {
        var settings = new TokenizerSettings(
            JsonPart.ReadOptional(directory, "tokenizer_config.json"), JsonPart.ReadOptional(directory, "special_tokens_map.json"));
        try
        {
            settings.Read();
            return settings;
        }
        catch
        {
            settings.Dispose();
            throw;
        }
    }

    /// <summary>The text of a named token (<c>bos_token</c>, …), or null.</summary>
    public string? Named(string name) => _named.GetValueOrDefault(name);

    /// <inheritdoc/>
    public void Dispose()
    {
        _config?.Dispose();
        _map?.Dispose();
    }

    private void Read()
    {
        List<string> all = [];
        if (_config is not null)
        {
            var config = new JsonPart(_config.RootElement, "tokenizer_config.json", "");
            string tokenizerClass = config.OptionalText("tokenizer_class") ?? "";
            TokenizerClass = tokenizerClass.EndsWith("Fast", StringComparison.Ordinal) ? tokenizerClass[..^4] : tokenizerClass;
            AddBos = config.Child("add_bos_token").IsNull ? null : config.Flag("add_bos_token", absent: false);
            AddEos = config.Child("add_eos_token").IsNull ? null : config.Flag("add_eos_token", absent: false);
            AddedTokensDecoder = config.Child("added_tokens_decoder").IsNull ? null : config.Child("added_tokens_decoder");
            Pattern = config.OptionalText("pat_str");
            Collect(config, all);
        }
        if (_map is not null)
        {
            Collect(new JsonPart(_map.RootElement, "special_tokens_map.json", ""), all);
        }
        NamedTokens = all;
    }

    private void Collect(JsonPart file, List<string> all)
    {
        foreach (string name in TokenNames)
        {
            if (Content(file.Child(name)) is { } content && _named.TryAdd(name, content))
            {
                all.Add(content);
            }
        }
        JsonPart additional = file.Child("additional_special_tokens");
        if (!additional.IsNull)
        {
            all.AddRange(additional.Items().Select(Content).OfType<string>());
        }
    }

    private static string? Content(JsonPart token) =>
        token.IsNull ? null : token.IsObject ? token.Child("content").Text() : token.Text();
}
