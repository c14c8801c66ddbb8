using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using Microsoft.AspNetCore.Http;
using ModelServe.Api.OpenAi;
using ModelServe.Api.Requests;
using ModelServe.Api.Services;
using ModelServe.Codec;
using ModelServe.Engine.Admission;

namespace ModelServe.Benchmarks;

/// <summary>What one token costs from its id to a chunk of a chat's stream, behind the engine and before the socket.</summary>
[MemoryDiagnoser]
[SuppressMessage("Design", "CA1001", Justification = "The harness calls Stop; it disposes nothing.")]
public class SseChunkBenchmarks
{
    private const int Tokens = 1024;
    private readonly TokenDelta _delta = new();
    private int[] _ids = [];
    private SseStream? _stream;
    private ChatChoiceWriter? _writer;
    private OutputText? _text;

    /// <summary>A stream to nowhere, and tokens of English text.</summary>
    [GlobalSetup]
    public void Start()
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(AppContext.BaseDirectory, "models", "tiny-mini"));
        string text = string.Join(' ', Enumerable.Repeat("The harbour was quiet before \"the rain\" came.\n", 256));
        _ids = tokenizer.EncodeIds(text, addSpecialTokens: false, parseSpecialTokens: false)[..Tokens];
        _stream = new SseStream(new DefaultHttpContext(), TimeProvider.System);
        var shape = new OutputShape(true, false, false, 1);
        _writer = new ChatChoiceWriter(
            _stream, shape, new AnswerHead("chatcmpl-0", "chat.completion.chunk", 0, "tiny-mini"), 0, new PromptPart(null!, null, shape));
        _text = new OutputText(tokenizer, new OutputRules(true, [], false, 0));
    }

    /// <summary>One token a delta. The request is asked for nothing but log probabilities and usage, which are off.</summary>
    [Benchmark(OperationsPerInvoke = Tokens)]
    public async Task Chunk()
    {
        foreach (int id in _ids)
        {
            _delta.Clear();
            _delta.TokenIds.Add(id);
            _text!.Append(id);
            await _writer!.WriteAsync(null!, _delta, 1, _text);
            _text.Clear();
        }
    }

    /// <summary>Ends the stream.</summary>
    [GlobalCleanup]
    public void Stop() => _stream?.Dispose();
}
