using System.Runtime.CompilerServices;
using Google.Protobuf;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.Facades.Vllm;
using ModelServe.V1;
using Own = ModelServe.V1.GenerateRequest;
using Theirs = ModelServe.Facades.Vllm.GenerateRequest;

namespace ModelServe.Api.Facades;

/// <summary>Requests of vllm.grpc.engine as requests of this server's own contract.</summary>
/// <remarks>What a client leaves unset gets the interface's own defaults, not the checkpoint's: the client has applied those itself.</remarks>
internal static class VllmRequests
{
    /// <summary>Own field names and theirs, longest prefix first.</summary>
    private static readonly (string Own, string Theirs)[] Names =
    [
        ("options.sampling.top_logprobs", "sampling_params.logprobs"),
        ("options.sampling.", "sampling_params."),
        ("options.stop.strings", "sampling_params.stop"),
        ("options.stop.token_ids", "sampling_params.stop_token_ids"),
        ("options.stop.", "sampling_params."),
        ("options.form.", "sampling_params."),
        ("options.form", "sampling_params.constraint"),
        ("options.request_id", "request_id"),
        ("token_ids", "tokenized.input_ids"),
        ("prompt", "input"),
    ];

    /// <summary>A refusal in the client's names.</summary>
    public static Rejection Rename(Rejection rejection) => FacadeFields.Rename(rejection, Names);

    /// <summary>Translates a request.</summary>
    /// <param name="request">What the client sent.</param>
    /// <param name="model">The model it is for.</param>
    /// <param name="own">The same in this server's contract, when the answer is null.</param>
    public static Rejection? Translate(Theirs request, string model, out Own own)
    {
        SamplingParams given = request.SamplingParams ?? new SamplingParams();
        own = new Own { Model = model, Options = Options(request, given) };
        switch (request.InputCase)
        {
            case Theirs.InputOneofCase.Tokenized:
                own.TokenIds = new TokenIds();
                own.TokenIds.Ids.Add(request.Tokenized.InputIds);
                break;
            case Theirs.InputOneofCase.Text:
                own.Text = request.Text;
                break;
            default:
                return new Rejection(RejectionReason.EmptyPrompt, "input", "tokenized or text", "neither");
        }

        return Refuse(request, given) ?? AddNumbers(given, own.Options);
    }

    private static Rejection? Refuse(Theirs request, SamplingParams given) =>
        FacadeFields.Unknown(("GenerateRequest", Of(request)), ("SamplingParams", Of(given)))
        ?? FacadeFields.Unsupported(request.KvTransferParams is not null, "kv_transfer_params")
        ?? FacadeFields.Unsupported(request.MmInputs is not null, "mm_inputs")
        ?? FacadeFields.Unsupported(request.HasKvTransferParamsJson, "kv_transfer_params_json")
        ?? FacadeFields.Unsupported(given.HasPromptLogprobs && given.PromptLogprobs == -1, "sampling_params.prompt_logprobs of -1")
        ?? FacadeFields.Unsupported(given.HasTruncatePromptTokens, "sampling_params.truncate_prompt_tokens")
        ?? FacadeFields.Unsupported(given.HasStructuralTag, "sampling_params.structural_tag")
        ?? FacadeFields.Unsupported(given.N > 1, "sampling_params.n above 1")
        ?? FacadeFields.Unsupported(given.HasLogprobs && given.Logprobs == -1, "sampling_params.logprobs of -1")
        ?? (request.HasDataParallelRank && request.DataParallelRank != 0
            ? FieldCheck.Invalid("data_parallel_rank", "0, the only rank", FieldCheck.Text(request.DataParallelRank))
            : null);

    private static GenerationOptions Options(Theirs request, SamplingParams given)
    {
        var options = new GenerationOptions
        {
            Sampling = new SamplingParameters
            {
                Temperature = given.HasTemperature ? given.Temperature : 1f,
                TopP = given.TopP == 0f ? 1f : given.TopP,
                MinP = given.MinP,
                FrequencyPenalty = given.FrequencyPenalty,
                PresencePenalty = given.PresencePenalty,
                RepetitionPenalty = given.RepetitionPenalty == 0f ? 1f : given.RepetitionPenalty,
            },
            Stop = new StopConditions { IgnoreEos = given.IgnoreEos, IncludeStopInOutput = given.IncludeStopStrInOutput },
            SkipSpecialTokens = given.SkipSpecialTokens,
            Form = FormOf(given),
        };
        options.Stop.Strings.Add(given.Stop);
        options.Stop.TokenIds.Add(given.StopTokenIds);
        if (request.RequestId.Length > 0)
        {
            options.RequestId = request.RequestId;
        }

        if (given.HasSeed)
        {
            options.Sampling.Seed = unchecked((ulong)given.Seed);
        }

        if (given.HasLogprobs)
        {
            options.Sampling.TopLogprobs = given.Logprobs;
        }

        if (given.HasPromptLogprobs)
        {
            options.Sampling.PromptLogprobs = given.PromptLogprobs;
        }

        return options;
    }

    private static OutputForm? FormOf(SamplingParams given) => given.ConstraintCase switch
    {
        SamplingParams.ConstraintOneofCase.JsonSchema => new OutputForm { JsonSchema = given.JsonSchema },
        SamplingParams.ConstraintOneofCase.Regex => new OutputForm { Regex = given.Regex },
        SamplingParams.ConstraintOneofCase.Grammar => new OutputForm { Grammar = given.Grammar },
        SamplingParams.ConstraintOneofCase.JsonObject => new OutputForm { JsonObject = given.JsonObject },
        SamplingParams.ConstraintOneofCase.Choice => new OutputForm { Choice = new TextChoices { Texts = { given.Choice.Choices } } },
        _ => null,
    };

    /// <summary>The numbers whose types differ, so that they could wrap.</summary>
    private static Rejection? AddNumbers(SamplingParams given, GenerationOptions options)
    {
        options.Sampling.TopK = (int)Math.Min(given.TopK, int.MaxValue);
        options.Stop.MinTokens = (int)Math.Min(given.MinTokens, int.MaxValue);
        if (given.HasMaxTokens)
        {
            options.Stop.MaxTokens = (int)Math.Min(given.MaxTokens, int.MaxValue);
        }

        foreach ((int id, float bias) in given.LogitBias)
        {
            if (id < 0)
            {
                return FieldCheck.Invalid("sampling_params.logit_bias", "token ids, at least 0", FieldCheck.Text(id));
            }

            options.Sampling.LogitBias[(uint)id] = bias;
        }

        return null;
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(Theirs message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(SamplingParams message);
}
