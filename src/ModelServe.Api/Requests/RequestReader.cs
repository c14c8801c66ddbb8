using Google.Protobuf.Collections;
using ModelServe.Api.Metrics;
using ModelServe.Api.Models;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Requests;

/// <summary>Messages → requests that the engine can take, or the rejection that names field, limit and value. Thread-safe.</summary>
internal sealed class RequestReader(ModelCatalog catalog, RequestLimits limits, CallerSalt callerSalt)
{
    private const int HighestPriority = 1000;

    private readonly ConversationReader _conversations = new(limits);
    private readonly SamplingReader _sampling = new(limits);

    /// <summary>Reads a prompt to continue.</summary>
    /// <param name="message">What the client sent.</param>
    /// <param name="caller">What tells one caller from another (its authorization header); null for none.</param>
    /// <param name="read">The request, when the answer is null.</param>
    public Rejection? Read(GenerateRequest message, string? caller, out ReadRequest? read)
    {
        read = null;
        if (UnknownFields.Find(message) is { } unknown)
        {
            return unknown;
        }

        if (!catalog.TryFind(message.Model, out ServedModel? model, out Rejection? noModel))
        {
            return noModel;
        }

        Rejection? badPrompt = ReadPrompt(message, model, out int[] prompt);
        return badPrompt ?? Resolve(message.Options, prompt, caller, model, out read);
    }

    /// <summary>Reads a conversation to answer.</summary>
    /// <inheritdoc cref="Read(GenerateRequest, string?, out ReadRequest?)"/>
    public Rejection? Read(ChatRequest message, string? caller, out ReadRequest? read)
    {
        read = null;
        if (UnknownFields.Find(message) is { } unknown)
        {
            return unknown;
        }

        if (!catalog.TryFind(message.Model, out ServedModel? model, out Rejection? noModel))
        {
            return noModel;
        }

        Rejection? rejection = _conversations.Read(message.Messages, message.Chat, model, out int[] prompt, out AnswerReading? answer, out ToolRules rules)
            ?? Resolve(message.Options, prompt, caller, model, out read);
        if (rejection is not null)
        {
            return rejection;
        }

        bool isParsed = message.Chat is not { HasParseAnswer: true, ParseAnswer: false };
        return AsChat(read!, rules, message.Options?.Stop, answer, isParsed, out read);
    }

    /// <summary>Makes a request a chat's: how its answer is taken apart, and what holds for its calls.</summary>
    /// <param name="read">The request, checked otherwise.</param>
    /// <param name="rules">What it says of its tools.</param>
    /// <param name="stop">When the output ends.</param>
    /// <param name="answer">How the answer can be taken apart; null where there is nothing to take apart.</param>
    /// <param name="isParsed">Whether it is to be.</param>
    /// <param name="chat">The request of the chat.</param>
    public static Rejection? AsChat(ReadRequest read, ToolRules rules, StopConditions? stop, AnswerReading? answer, bool isParsed, out ReadRequest? chat)
    {
        Rejection? rejection = FormReader.Check(read, answer) ?? CallReader.Read(read, rules, stop, answer, out read);
        OutputRules output = read.Output with { Answer = isParsed ? answer : null, IsNamedCall = rules.Named is not null };
        chat = rejection is null ? read with { Operation = GenAiMetrics.Chat, Output = output } : null;
        return rejection;
    }

    /// <summary>Reads a text or a conversation to encode.</summary>
    public Rejection? Read(TokenizeRequest message, out ServedModel? model, out int[] tokenIds)
    {
        tokenIds = [];
        model = null;
        if (UnknownFields.Find(message) is { } unknown)
        {
            return unknown;
        }

        if (!catalog.TryFind(message.Model, out model, out Rejection? noModel))
        {
            return noModel;
        }

        switch (message.InputCase)
        {
            case TokenizeRequest.InputOneofCase.Text:
                return ReadText(message.Text, model, out tokenIds);
            case TokenizeRequest.InputOneofCase.Chat:
                return _conversations.Read(message.Chat.Messages, message.Chat.Chat, model, out tokenIds, out _, out _);
            default:
                return FieldCheck.Invalid("input", "text or chat", "neither");
        }
    }

    /// <summary>Reads ids to decode.</summary>
    public Rejection? Read(DetokenizeRequest message, out ServedModel? model, out int[] tokenIds)
    {
        tokenIds = [];
        model = null;
        if (UnknownFields.Find(message) is { } unknown)
        {
            return unknown;
        }

        return catalog.TryFind(message.Model, out model, out Rejection? noModel)
            ? ReadIds("token_ids", message.TokenIds, model.Text.Tokenizer.VocabularySize, out tokenIds)
            : noModel;
    }

    /// <summary>What a request that sets nothing gets, for a model that clients look up.</summary>
    public static GenerationOptions Defaults(ServedModel model)
    {
        SamplingOptions sampling = SamplingReader.Defaults(model);
        GenerationOptions echo = Echo(sampling, new StopConditions(), new OutputRules(true, [], false, 0));
        echo.Sampling.ClearSeed();
        if (model.Text.Defaults.MaxNewTokens is { } maxTokens)
        {
            echo.Stop.MaxTokens = maxTokens;
        }

        return echo;
    }

    private Rejection? ReadPrompt(GenerateRequest message, ServedModel model, out int[] prompt)
    {
        prompt = [];
        return message.PromptCase switch
        {
            GenerateRequest.PromptOneofCase.Text => ReadText(message.Text, model, out prompt),
            GenerateRequest.PromptOneofCase.TokenIds =>
                ReadIds("token_ids", message.TokenIds.Ids, model.VocabularySize, out prompt),
            _ => new Rejection(RejectionReason.EmptyPrompt, "prompt", "text or token_ids", "neither"),
        };
    }

    /// <summary>Reads a text to encode as a prompt.</summary>
    public Rejection? ReadText(string text, ServedModel model, out int[] ids)
    {
        ids = [];
        if (text.Length == 0)
        {
            return new Rejection(RejectionReason.EmptyPrompt, "text", "at least 1 character", "none");
        }

        if (FieldCheck.Length("text", text, 1, limits.PromptCharacters) is { } tooLong)
        {
            return tooLong;
        }

        ids = model.Text.EncodePrompt(text);
        return null;
    }

    private static Rejection? ReadIds(string field, RepeatedField<uint> given, int vocabularySize, out int[] ids)
    {
        ids = new int[given.Count];
        for (int i = 0; i < ids.Length; i++)
        {
            if (FieldCheck.TokenId(field, given[i], vocabularySize) is { } rejection)
            {
                return rejection;
            }

            ids[i] = (int)given[i];
        }

        return null;
    }

    /// <summary>Whether prompts of that many tokens together have more log probabilities than an answer may carry.</summary>
    public Rejection? CheckPromptLogprobs(string field, SamplingParameters? sampling, int promptTokens)
    {
        int most = limits.PromptLogprobs / ((sampling?.PromptLogprobs ?? 0) + 1);
        return sampling?.HasPromptLogprobs == true && promptTokens > most
            ? FieldCheck.Invalid(
                field,
                $"at most {FieldCheck.Text(most)} prompt tokens with {FieldCheck.Text(sampling.PromptLogprobs)} alternatives each "
                    + $"({FieldCheck.Text(limits.PromptLogprobs)} log probabilities)",
                $"{FieldCheck.Text(promptTokens)} prompt tokens")
            : null;
    }

    /// <summary>Checks the options of a request whose prompt has been read, and puts the whole together.</summary>
    /// <param name="given">The options.</param>
    /// <param name="prompt">The prompt.</param>
    /// <param name="caller">What tells one caller from another.</param>
    /// <param name="model">The model.</param>
    /// <param name="read">The request, when the answer is null.</param>
    /// <param name="mayBeEmpty">Whether an answer without a generated token is one, as it is where the prompt is told of.</param>
    public Rejection? Resolve(
        GenerationOptions? given, int[] prompt, string? caller, ServedModel model, out ReadRequest? read, bool mayBeEmpty = false)
    {
        read = null;
        GenerationOptions options = given ?? new GenerationOptions();
        StopConditions stop = options.Stop ?? new StopConditions();
        SamplingOptions sampling = SamplingOptions.Greedy;
        int[] stopIds = [];
        WantedGrammar? wanted = null;
        if ((CheckPromptLength(prompt, model)
            ?? _sampling.Read(options.Sampling, model, out sampling)
            ?? CheckPromptLogprobs("options.sampling.prompt_logprobs", options.Sampling, prompt.Length)
            ?? CheckStops(stop, prompt.Length, model, mayBeEmpty || sampling.PromptLogprobs is not null, out stopIds)
            ?? CheckNames(options)
            ?? FormReader.Read(options.Form, stop, stopIds, out wanted)) is { } rejection)
        {
            return rejection;
        }

        int maxTokens = stop.HasMaxTokens ? stop.MaxTokens : DefaultMaxTokens(prompt.Length, model);
        if (FieldCheck.Range("options.stop.min_tokens", stop.MinTokens, 0, maxTokens) is { } badMinimum)
        {
            return badMinimum;
        }

        var output = new OutputRules(
            !options.HasSkipSpecialTokens || options.SkipSpecialTokens,
            [.. stop.Strings],
            stop.IncludeStopInOutput,
            stop.MinTokens);
        var request = new GenerationRequest
        {
            RequestId = options.HasRequestId ? options.RequestId : Guid.CreateVersion7().ToString("N"),
            PromptTokenIds = prompt,
            MaxTokens = maxTokens,
            Sampling = sampling with { MinTokens = stop.MinTokens, StopTokenIds = stopIds },
            StopTokenIds = stopIds,
            Priority = options.Priority,
            Tier = TierOf(options.Tier),
            CacheSalt = callerSalt.Of(caller, options.CacheSalt),
            BypassPrefixCache = options.BypassPrefixCache,
        };
        read = new ReadRequest(model, request, output, EchoAll(request, stop, output, options)) { Wanted = wanted };
        return null;
    }

    private static Rejection? CheckPromptLength(int[] prompt, ServedModel model)
    {
        if (prompt.Length == 0)
        {
            return new Rejection(RejectionReason.EmptyPrompt, "prompt", "at least 1 token", "0");
        }

        return prompt.Length >= model.ContextTokens
            ? new Rejection(
                RejectionReason.PromptTooLong,
                "prompt",
                $"fewer than the {FieldCheck.Text(model.ContextTokens)} tokens of the context window",
                $"{FieldCheck.Text(prompt.Length)} tokens")
            : null;
    }

    private Rejection? CheckStops(StopConditions stop, int promptTokens, ServedModel model, bool mayBeEmpty, out int[] stopIds)
    {
        stopIds = [];
        int room = model.ContextTokens - promptTokens;
        int least = mayBeEmpty ? 0 : 1;
        if (stop.HasMaxTokens && (stop.MaxTokens < least || stop.MaxTokens > room))
        {
            return FieldCheck.Invalid(
                "options.stop.max_tokens",
                $"an integer in [{FieldCheck.Text(least)}, {FieldCheck.Text(room)}] (context of {FieldCheck.Text(model.ContextTokens)} less "
                    + $"{FieldCheck.Text(promptTokens)} prompt tokens)",
                FieldCheck.Text(stop.MaxTokens));
        }

        if ((FieldCheck.Count("options.stop.strings", stop.Strings.Count, limits.StopStrings)
            ?? FieldCheck.Count("options.stop.token_ids", stop.TokenIds.Count, limits.StopTokenIds)) is { } tooMany)
        {
            return tooMany;
        }

        foreach (string text in stop.Strings)
        {
            if (FieldCheck.Length("options.stop.strings", text, 1, limits.StopStringCharacters) is { } badLength)
            {
                return badLength;
            }
        }

        if (ReadIds("options.stop.token_ids", stop.TokenIds, model.VocabularySize, out int[] ownIds) is { } badId)
        {
            return badId;
        }

        stopIds = stop.IgnoreEos ? ownIds : [.. model.Text.StopTokenIds.Union(ownIds)];
        return null;
    }

    private Rejection? CheckNames(GenerationOptions options) =>
        FieldCheck.Range("options.priority", options.Priority, -HighestPriority, HighestPriority)
        ?? (options.HasTier && options.Tier is not (Tier.Flex or Tier.Default or Tier.Priority)
            ? FieldCheck.Invalid("options.tier", "TIER_FLEX, TIER_DEFAULT or TIER_PRIORITY", FieldCheck.Text((int)options.Tier))
            : null)
        ?? (options.HasCacheSalt
            ? FieldCheck.Length("options.cache_salt", options.CacheSalt, 1, limits.NameCharacters)
            : null)
        ?? (options.HasRequestId
            ? FieldCheck.VisibleAscii("options.request_id", options.RequestId, limits.NameCharacters)
            : null);

    private static ServiceTier TierOf(Tier tier) => tier switch
    {
        Tier.Flex => ServiceTier.Flex,
        Tier.Priority => ServiceTier.Priority,
        _ => ServiceTier.Default,
    };

    private static int DefaultMaxTokens(int promptTokens, ServedModel model)
    {
        int room = model.ContextTokens - promptTokens;
        return Math.Min(model.Text.Defaults.MaxNewTokens ?? room, room);
    }

    private static GenerationOptions EchoAll(
        GenerationRequest request, StopConditions stop, OutputRules output, GenerationOptions given)
    {
        GenerationOptions echo = Echo(request.Sampling, stop, output);
        echo.Stop.MaxTokens = request.MaxTokens;
        echo.Stop.TokenIds.Add(stop.TokenIds);
        echo.Priority = request.Priority;
        echo.BypassPrefixCache = request.BypassPrefixCache;
        echo.RequestId = request.RequestId;
        echo.Form = given.Form;
        if (given.HasTier)
        {
            echo.Tier = given.Tier;
        }

        if (given.HasCacheSalt)
        {
            echo.CacheSalt = given.CacheSalt;
        }

        return echo;
    }

    private static GenerationOptions Echo(SamplingOptions sampling, StopConditions stop, OutputRules output)
    {
        var echo = new GenerationOptions
        {
            Sampling = SamplingReader.Echo(sampling),
            Stop = new StopConditions
            {
                MinTokens = output.MinTokens,
                IgnoreEos = stop.IgnoreEos,
                IncludeStopInOutput = output.IncludeStop,
            },
            SkipSpecialTokens = output.SkipSpecialTokens,
            Priority = 0,
            BypassPrefixCache = false,
        };
        echo.Stop.Strings.Add(output.StopStrings);
        return echo;
    }
}
