using System.CommandLine;
using System.Security.Cryptography;
using ModelServe.Codec;
using ModelServe.Codec.Chat;
using ModelServe.Engine.Admission;
using ModelServe.Host.Models;
using ModelServe.Host.Options;

namespace ModelServe.Host.Commands;

/// <summary><c>modelserve run "prompt"</c>: loads a model, streams one answer to standard output, exits.</summary>
/// <remarks>Nothing but the answer is written to standard output; progress and errors go to standard error.</remarks>
internal sealed class RunCommand : Command
{
    private readonly Argument<string?> _prompt = new("prompt") { Description = "the user's message (or the raw text with --raw)", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<string> _model = new("--model") { Description = "checkpoint folder, or the name of a shipped model", DefaultValueFactory = _ => ShippedModels.Default };
    private readonly Option<bool> _raw = new("--raw") { Description = "feed the text as it is, without the chat template" };
    private readonly Option<int[]?> _tokenIds = new("--token-ids") { Description = "feed these ids, such as 1,2,3, instead of a text", CustomParser = TokenIdList.Parse };
    private readonly Option<int?> _maxTokens = new("--max-tokens") { Description = "most new tokens (default: what the context leaves)" };
    private readonly Option<float?> _temperature = new("--temperature") { Description = "0 is greedy (default: the checkpoint's)" };
    private readonly Option<float?> _topP = new("--top-p") { Description = "nucleus share in (0, 1]" };
    private readonly Option<int?> _topK = new("--top-k") { Description = "most likely tokens kept; 0 keeps all" };
    private readonly Option<ulong?> _seed = new("--seed") { Description = "key of the random draw (default: a fresh one)" };
    private readonly Option<bool> _ignoreEos = new("--ignore-eos") { Description = "do not stop at the end-of-sequence token" };
    private readonly Option<int?> _logprobs = new("--logprobs") { Description = "report log probabilities and this many alternatives (with --json)" };
    private readonly Option<bool> _json = new("--json") { Description = "one JSON line a token, then one with the ending" };
    private readonly ModelOptionSet _modelOptions = new();

    /// <summary>Declares arguments, options and action.</summary>
    public RunCommand()
        : base("run", "Answer one prompt on the terminal and exit")
    {
        Arguments.Add(_prompt);
        ModelOptionSet.AddRange(_maxTokens, 1, 1 << 20);
        ModelOptionSet.AddRange(_temperature, 0f, 100f);
        ModelOptionSet.AddRange(_topP, float.Epsilon, 1f);
        ModelOptionSet.AddRange(_topK, 0, 1 << 20);
        ModelOptionSet.AddRange(_logprobs, 0, 20);
        foreach (Option option in new Option[] { _model, _raw, _tokenIds, _maxTokens, _temperature, _topP, _topK, _seed, _ignoreEos, _logprobs, _json })
        {
            Options.Add(option);
        }

        _modelOptions.AddTo(this);
        Validators.Add(result =>
        {
            bool hasIds = result.GetResult(_tokenIds) is { Implicit: false };
            if (hasIds == (result.GetValue(_prompt) is not null))
            {
                result.AddError("run: give a prompt or --token-ids, and not both");
            }

            if (result.GetResult(_logprobs) is { Implicit: false } && !result.GetValue(_json))
            {
                result.AddError("--logprobs: only --json can show them");
            }

            if (hasIds && result.GetValue(_raw))
            {
                result.AddError("--raw: --token-ids have no chat template to leave out");
            }
        });
        SetAction(RunAsync);
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        EngineSettings settings = _modelOptions.Read(parsed, maxRunning: 1);
        using HostedModel model = HostedModel.Load(new ModelReference("run", ShippedModels.Resolve(parsed.GetValue(_model)!)), settings, requireText: parsed.GetValue(_prompt) is not null, TimeProvider.System);
        int[] prompt = parsed.GetValue(_tokenIds) is { Length: > 0 } ids ? ids : Encode(model.Text, parsed.GetValue(_prompt)!, parsed.GetValue(_raw));
        GenerationRequest request = Request(parsed, model, prompt);
        await using Stream output = Console.OpenStandardOutput();
        using AnswerWriter writer = new(output, parsed.GetValue(_json), prompt.Length);
        await foreach (GeneratedToken token in new LocalGeneration(model).StreamAsync(request, cancellationToken))
        {
            writer.Write(token);
        }

        return writer.ExitCode;
    }

    private GenerationRequest Request(ParseResult parsed, HostedModel model, int[] prompt)
    {
        SamplingOptions defaults = model.DefaultSampling;
        IReadOnlyList<int> stops = parsed.GetValue(_ignoreEos) ? [] : model.StopTokenIds;
        return new GenerationRequest
        {
            RequestId = "run",
            PromptTokenIds = prompt,
            MaxTokens = parsed.GetValue(_maxTokens) ?? Math.Max(1, model.Engine.Geometry.MaxModelLength - prompt.Length),
            StopTokenIds = stops,
            Sampling = defaults with
            {
                Temperature = parsed.GetValue(_temperature) ?? defaults.Temperature,
                TopP = parsed.GetValue(_topP) ?? defaults.TopP,
                TopK = parsed.GetValue(_topK) ?? defaults.TopK,
                Seed = parsed.GetValue(_seed) ?? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
                TopLogprobs = parsed.GetValue(_logprobs),
                StopTokenIds = stops,
            },
        };
    }

    private static int[] Encode(TextModel text, string prompt, bool raw) =>
        raw ? text.EncodePrompt(prompt) : text.EncodeChat([new ChatMessage("user", prompt)], new ChatRenderOptions());
}
