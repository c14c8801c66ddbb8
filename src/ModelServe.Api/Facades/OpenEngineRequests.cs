using System.Globalization;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.Facades.OpenEngine;
using ModelServe.V1;
using Own = ModelServe.V1.GenerateRequest;
using Theirs = ModelServe.Facades.OpenEngine.GenerateRequest;

namespace ModelServe.Api.Facades;

/// <summary>Requests of openengine.v1 as requests of this server's own contract.</summary>
internal static class OpenEngineRequests
{
    /// <summary>Own field names and theirs, longest prefix first.</summary>
    private static readonly (string Own, string Theirs)[] Names =
    [
        ("options.sampling.top_logprobs", "response.output_candidates.top_n"),
        ("options.sampling.prompt_logprobs", "response.prompt_candidates.top_n"),
        ("options.sampling.", "sampling."),
        ("options.stop.strings", "stopping.conditions.stop_text"),
        ("options.stop.token_ids", "stopping.conditions.stop_token_id"),
        ("options.stop.", "stopping."),
        ("options.form.grammar", "guided.ebnf_grammar"),
        ("options.form", "guided"),
        ("options.cache_salt", "kv.cache_salt"),
        ("options.priority", "openengine-priority"),
        ("options.request_id", "request_id"),
        ("prompt", "input"),
        ("text", "prompt"),
    ];

    /// <summary>A refusal in the client's names.</summary>
    public static Rejection Rename(Rejection rejection) => FacadeFields.Rename(rejection, Names);

    /// <summary>Translates a request.</summary>
    /// <param name="request">What the client sent.</param>
    /// <param name="priority">What its metadata says.</param>
    /// <param name="own">The same in this server's contract, when the answer is null.</param>
    public static Rejection? Translate(Theirs request, int? priority, out Own own)
    {
        own = new Own
        {
            Options = new GenerationOptions { Sampling = new SamplingParameters(), Stop = new StopConditions(), Form = FormOf(request.Guided) },
        };
        if (request.Model.Length > 0)
        {
            own.Model = request.Model;
        }

        if (request.RequestId.Length > 0)
        {
            own.Options.RequestId = request.RequestId;
        }

        if (priority is { } level)
        {
            own.Options.Priority = level;
        }

        switch (request.InputCase)
        {
            case Theirs.InputOneofCase.TokenIds:
                own.TokenIds = new V1.TokenIds();
                own.TokenIds.Ids.Add(request.TokenIds.Ids);
                break;
            case Theirs.InputOneofCase.Prompt:
                own.Text = request.Prompt;
                break;
            default:
                return new Rejection(RejectionReason.EmptyPrompt, "input", "prompt or token_ids", "neither");
        }

        return Refuse(request)
            ?? ReadSampling(request.Sampling, own.Options.Sampling)
            ?? ReadStopping(request.Stopping, own.Options.Stop)
            ?? ReadResponse(request.Response, own.Options.Sampling)
            ?? ReadCache(request.Kv, own.Options);
    }

    private static Rejection? Refuse(Theirs request) =>
        FacadeFields.Unknown(("GenerateRequest", Of(request)))
        ?? FacadeFields.Unsupported(request.Guided is { HasStructuralTag: true }, "guided.structural_tag")
        ?? FacadeFields.Unsupported(request.Media.Count > 0, "media")
        ?? FacadeFields.Unsupported(request.LoraName.Length > 0, "lora_name");

    // One without a guide becomes a form without one, which is refused.
    private static OutputForm? FormOf(GuidedDecoding? given) => given?.GuideCase switch
    {
        null => null,
        GuidedDecoding.GuideOneofCase.JsonSchema => new OutputForm { JsonSchema = given.JsonSchema },
        GuidedDecoding.GuideOneofCase.Regex => new OutputForm { Regex = given.Regex },
        GuidedDecoding.GuideOneofCase.EbnfGrammar => new OutputForm { Grammar = given.EbnfGrammar },
        GuidedDecoding.GuideOneofCase.Choice => new OutputForm { Choice = new TextChoices { Texts = { given.Choice.Choices } } },
        GuidedDecoding.GuideOneofCase.JsonObject => new OutputForm { JsonObject = true },
        _ => new OutputForm(),
    };

    private static Rejection? ReadSampling(SamplingParams? given, SamplingParameters own)
    {
        if (given is null)
        {
            return null;
        }

        Set(given.HasTemperature, given.Temperature, value => own.Temperature = value);
        Set(given.HasTopP, given.TopP, value => own.TopP = value);
        Set(given.HasMinP, given.MinP, value => own.MinP = value);
        Set(given.HasFrequencyPenalty, given.FrequencyPenalty, value => own.FrequencyPenalty = value);
        Set(given.HasPresencePenalty, given.PresencePenalty, value => own.PresencePenalty = value);
        Set(given.HasRepetitionPenalty, given.RepetitionPenalty, value => own.RepetitionPenalty = value);
        if (given.HasTopK)
        {
            own.TopK = given.TopK;
        }

        if (given.HasSeed)
        {
            own.Seed = given.Seed;
        }

        return FacadeFields.Unknown(("SamplingParams", Of(given)))
            ?? (given.HasNumSequences && given.NumSequences == 0
                ? FieldCheck.Invalid("sampling.num_sequences", "at least 1", "0")
                : FacadeFields.Unsupported(given.HasNumSequences && given.NumSequences > 1, "sampling.num_sequences above 1"));
    }

    private static Rejection? ReadStopping(StoppingOptions? given, StopConditions own)
    {
        if (given is null)
        {
            return null;
        }

        if (given.HasMaxTokens)
        {
            own.MaxTokens = (int)Math.Min(given.MaxTokens, int.MaxValue);
        }

        own.MinTokens = (int)Math.Min(given.MinTokens, int.MaxValue);
        own.IgnoreEos = given.IgnoreEos;
        own.IncludeStopInOutput = given.IncludeStopInOutput;
        foreach (StopCondition condition in given.Conditions)
        {
            switch (condition.ConditionCase)
            {
                case StopCondition.ConditionOneofCase.StopText:
                    own.Strings.Add(condition.StopText);
                    break;
                case StopCondition.ConditionOneofCase.StopTokenId:
                    own.TokenIds.Add(condition.StopTokenId);
                    break;
                default:
                    return FieldCheck.Invalid("stopping.conditions", "stop_text or stop_token_id", "neither");
            }
        }

        return FacadeFields.Unknown(("StoppingOptions", Of(given)));
    }

    private static Rejection? ReadResponse(ResponseOptions? given, SamplingParameters own)
    {
        if (given is null)
        {
            return null;
        }

        CandidateTokenSelection? wanted = given.OutputCandidates;
        if (wanted?.SelectionCase == CandidateTokenSelection.SelectionOneofCase.TopN)
        {
            own.TopLogprobs = (int)Math.Min(wanted.TopN, int.MaxValue);
        }

        if (given.ReturnOutputLogprobs)
        {
            own.Logprobs = true;
        }

        CandidateTokenSelection? ofPrompt = given.PromptCandidates;
        if (given.ReturnPromptLogprobs || ofPrompt is not null)
        {
            own.PromptLogprobs = (int)Math.Min(ofPrompt?.TopN ?? 0, int.MaxValue);
        }
        else if (given.HasPromptLogprobStart)
        {
            return FieldCheck.Invalid(
                "response.prompt_logprob_start", "absent unless return_prompt_logprobs", given.PromptLogprobStart.ToString(CultureInfo.InvariantCulture));
        }

        return RefuseOthers(wanted, "response.output_candidates other than top_n")
            ?? RefuseOthers(ofPrompt, "response.prompt_candidates other than top_n");
    }

    private static Rejection? RefuseOthers(CandidateTokenSelection? wanted, string field) => FacadeFields.Unsupported(
        wanted is not null && wanted.SelectionCase != CandidateTokenSelection.SelectionOneofCase.TopN, field);

    private static Rejection? ReadCache(KvOptions? given, GenerationOptions own)
    {
        if (given is null)
        {
            return null;
        }

        own.BypassPrefixCache = given.BypassPrefixCache;
        if (given.HasCacheSalt)
        {
            own.CacheSalt = given.CacheSalt;
        }

        return FacadeFields.Unsupported(given.Session is not null, "kv.session");
    }

    // A value beyond a float's range becomes infinite, and is refused as such.
    private static void Set(bool isSet, double value, Action<float> set)
    {
        if (isSet)
        {
            set((float)value);
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(Theirs message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(SamplingParams message);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_unknownFields")]
    private static extern ref UnknownFieldSet? Of(StoppingOptions message);
}
