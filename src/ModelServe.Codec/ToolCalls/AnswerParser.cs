using System.Security.Cryptography;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// Takes a model's answer apart as it streams in: content, reasoning, tool calls with their arguments as deltas. The answer must be
/// decoded with special tokens kept, and without its end token. The result does not depend on how the text is cut; text is
/// held back only while it may still be a marker. Takes constant time a char and never fails: a call that is malformed or cut
/// short is content. White space between a marker and the text beside it belongs to the marker. For one answer; not thread-safe.
/// </summary>
public sealed class AnswerParser
{
    private const string Alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    private readonly AnswerSink _sink;
    private readonly ReasoningSplitter _splitter;

    /// <summary>A parser for one answer.</summary>
    public AnswerParser(AnswerFormat format, AnswerOptions? options = null)
    {
        AnswerOptions given = options ?? new AnswerOptions();
        var schemas = new ToolSchemas(given.Tools);
        _sink = new AnswerSink(
            given.NewCallId ?? (format.Tools == ToolFormat.Mistral ? MistralId : DefaultId), given.KnownToolsOnly ? schemas.Names : null);
        var machine = new AnswerMachine(_sink, Scanner(format.Tools, _sink, schemas));
        _splitter = new ReasoningSplitter(_sink, machine, format.Reasoning, given.ReasoningBegun);
    }

    /// <summary>Takes a whole answer apart.</summary>
    public static ParsedAnswer Parse(string text, AnswerFormat format, AnswerOptions? options = null)
    {
        var parser = new AnswerParser(format, options);
        var events = new List<AnswerEvent>();
        parser.Append(text, events);
        parser.Complete(events);
        return ParsedAnswer.From(events);
    }

    /// <summary>Takes the next text and adds what is certain now.</summary>
    public void Append(ReadOnlySpan<char> delta, ICollection<AnswerEvent> output)
    {
        _sink.Begin(output);
        foreach (char value in delta)
        {
            _splitter.Step(value);
        }

        _sink.Flush();
    }

    /// <summary>Ends the answer and adds what was held back. The parser takes no further text.</summary>
    public void Complete(ICollection<AnswerEvent> output)
    {
        _sink.Begin(output);
        _splitter.Finish();
        _sink.Flush();
    }

    /// <summary>What reads the calls of a format; null where none are looked for.</summary>
    internal static CallScanner? Scanner(ToolFormat format, AnswerSink sink, ToolSchemas schemas) => format switch
    {
        ToolFormat.None => null,
        ToolFormat.Hermes => new HermesScanner(sink),
        ToolFormat.Qwen3Coder => new QwenCoderScanner(sink, schemas),
        ToolFormat.Llama3Json => new LlamaScanner(sink),
        ToolFormat.Pythonic => new PythonicScanner(sink),
        ToolFormat.Mistral => new MistralScanner(sink),
        ToolFormat.DeepSeek => new DeepSeekScanner(sink),
        ToolFormat.Harmony => new HarmonyScanner(sink),
        ToolFormat.Glm => new GlmScanner(sink, schemas),
        ToolFormat.KimiK2 => new KimiScanner(sink),
        ToolFormat.JsonList => new JsonListScanner(sink),
        ToolFormat.SeedOss => new QwenCoderScanner(sink, schemas, "seed:tool_call"),
        ToolFormat.DeepSeekMarkup => new InvokeScanner(sink, schemas, "｜DSML｜", ["｜DSML｜function_calls", "｜DSML｜tool_calls"]),
        ToolFormat.MiniMax => new InvokeScanner(sink, schemas, "", ["minimax:tool_call"]),
        ToolFormat.Gemma => new GemmaScanner(sink),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "no such tool format"),
    };

    private static string DefaultId() => "call_" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12));

    // Mistral's templates refuse any other length.
    private static string MistralId() => RandomNumberGenerator.GetString(Alphanumeric, 9);
}
