using ModelServe.Engine.Admission;

namespace ModelServe.Api.Metrics;

/// <summary>What OpenTelemetry's conventions for generative models ask of a server, for one model. Any thread; recording allocates nothing.</summary>
/// <remarks>The provider is this server itself. An ending that is not a whole answer is its own error type.</remarks>
internal sealed class GenAiMetrics
{
    /// <summary>gen_ai.provider.name.</summary>
    public const string Provider = "modelserve";

    /// <summary>gen_ai.operation.name of a conversation.</summary>
    public const string Chat = "chat";

    /// <summary>gen_ai.operation.name of a prompt that is continued.</summary>
    public const string TextCompletion = "text_completion";

    private static readonly string[] Operations = [Chat, TextCompletion];
    private static readonly FinishReason[] Endings = Enum.GetValues<FinishReason>();

    private readonly LabelledCounts[] _durations;
    private readonly LabelledCounts[] _firstTokens;
    private readonly LabelledCounts[] _outputTokens;
    private readonly Histogram[] _all;

    /// <summary>Empty counts of a model.</summary>
    public GenAiMetrics(string model, ServerMeter? meter)
    {
        _all = new Histogram[Operations.Length * (Endings.Length + 2)];
        var durations = new List<LabelledCounts>();
        var firstTokens = new List<LabelledCounts>();
        var outputTokens = new List<LabelledCounts>();
        for (int operation = 0; operation < Operations.Length; operation++)
        {
            string labels = $"gen_ai_operation_name=\"{Operations[operation]}\",gen_ai_provider_name=\"{Provider}\",gen_ai_request_model=\"{model}\"";
            KeyValuePair<string, object?>[] tags =
            [
                new("gen_ai.operation.name", Operations[operation]),
                new("gen_ai.provider.name", Provider),
                new("gen_ai.request.model", model),
            ];
            foreach (FinishReason ending in Endings)
            {
                string? error = ErrorType(ending);
                Histogram counts = new(
                    MetricBuckets.GenAiDuration,
                    meter?.GenAiDuration,
                    error is null ? tags : [.. tags, new("error.type", error)]);
                _all[Index(operation, (int)ending)] = counts;
                // Stop, Length and ContextFull share the one series without an error.
                if (error is not null)
                {
                    durations.Add(new LabelledCounts($"{labels},error_type=\"{error}\"", counts));
                }
                else if (ending == FinishReason.Stop)
                {
                    durations.Add(new LabelledCounts(labels, counts));
                }
            }

            Histogram first = new(MetricBuckets.GenAiFirstToken, meter?.GenAiFirstToken, tags);
            Histogram output = new(MetricBuckets.GenAiOutputToken, meter?.GenAiOutputToken, tags);
            _all[Index(operation, Endings.Length)] = first;
            _all[Index(operation, Endings.Length + 1)] = output;
            firstTokens.Add(new LabelledCounts(labels, first));
            outputTokens.Add(new LabelledCounts(labels, output));
        }

        _durations = [.. durations];
        _firstTokens = [.. firstTokens];
        _outputTokens = [.. outputTokens];
    }

    /// <summary>gen_ai.server.request.duration; a kind of error has no series before it has happened.</summary>
    public IEnumerable<LabelledCounts> Durations => _durations.Where(
        series => series.Counts.Sum > 0 || !series.Labels.Contains("error_type", StringComparison.Ordinal));

    /// <summary>gen_ai.server.time_to_first_token.</summary>
    public IEnumerable<LabelledCounts> FirstTokens => _firstTokens;

    /// <summary>gen_ai.server.time_per_output_token.</summary>
    public IEnumerable<LabelledCounts> OutputTokens => _outputTokens;

    /// <summary>error.type of an ending; null for one that is a whole answer.</summary>
    public static string? ErrorType(FinishReason ending) =>
        ending is FinishReason.Stop or FinishReason.Length or FinishReason.ContextFull or FinishReason.None ? null : ending.ToString();

    /// <summary>A request has ended.</summary>
    public void CountEnded(string operation, FinishReason ending, int outputTokens, RequestTimings timings)
    {
        int at = operation == Chat ? 0 : 1;
        bool whole = ErrorType(ending) is null;
        if (timings.Finished is not { } finished)
        {
            return;
        }

        _all[Index(at, whole ? (int)FinishReason.Stop : (int)ending)].Observe((finished - timings.Arrived).TotalSeconds);
        if (whole && timings.FirstToken is { } first)
        {
            _all[Index(at, Endings.Length)].Observe((first - timings.Arrived).TotalSeconds);
            if (outputTokens > 1)
            {
                _all[Index(at, Endings.Length + 1)].Observe((finished - first).TotalSeconds / (outputTokens - 1));
            }
        }
    }

    private static int Index(int operation, int histogram) => (operation * (Endings.Length + 2)) + histogram;
}
