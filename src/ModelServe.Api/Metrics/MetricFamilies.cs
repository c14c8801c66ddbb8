using ModelServe.Api.Health;
using ModelServe.Engine.Admission;
using static ModelServe.Api.Metrics.MetricFamily;

namespace ModelServe.Api.Metrics;

/// <summary>Every metric that this server has, in the order of its page: vLLM's names first, then its own.</summary>
internal static class MetricFamilies
{
    // vLLM knows four endings; each of the server's own belongs to one of them.
    private static readonly FinishReason[][] VllmEndings =
    [
        [FinishReason.Stop],
        [FinishReason.Length, FinishReason.ContextFull],
        [FinishReason.Cancelled, FinishReason.Deadline, FinishReason.SlowReader, FinishReason.Drained],
        [FinishReason.Error, FinishReason.Exhausted],
    ];

    private static readonly FinishReason[] Endings = [.. Enum.GetValues<FinishReason>().Where(reason => reason != FinishReason.None)];
    private static readonly RejectionReason[] Rejections = Enum.GetValues<RejectionReason>();

    /// <summary>All of them, the histograms of requests included.</summary>
    public static IReadOnlyList<MetricFamily> All { get; } = [.. Gauges(), .. Counters(), .. RequestHistograms.Values, .. Steps(), .. GenAi(), .. Own(), .. Server()];

    /// <summary>The histograms that requests fill.</summary>
    public static IReadOnlyDictionary<ModelHistogram, MetricFamily> RequestHistograms => Histograms.All;

    /// <summary>The bounds of a histogram that requests fill.</summary>
    public static double[] BoundsOf(ModelHistogram histogram) => histogram switch
    {
        ModelHistogram.TimeToFirstToken => MetricBuckets.FirstToken,
        ModelHistogram.InterToken or ModelHistogram.TimePerOutputToken => MetricBuckets.InterToken,
        ModelHistogram.PromptTokens or ModelHistogram.OutputTokens or ModelHistogram.MaxOutputTokens
            or ModelHistogram.MaxTokens or ModelHistogram.PrefillComputed => MetricBuckets.Tokens,
        _ => MetricBuckets.Request,
    };

    private static IEnumerable<MetricFamily> Gauges() =>
    [
        PerModel("vllm:num_requests_running", MetricKind.Gauge, "Requests that hold a slot.", r => r.Status.Running),
        PerModel("vllm:num_requests_waiting", MetricKind.Gauge, "Requests that wait for a slot.", r => r.Status.Waiting),
        new("vllm:num_requests_waiting_by_reason", MetricKind.Gauge, "Requests that wait, by what they wait for.")
        {
            Label = "reason", Values = ["capacity"], OfModel = (r, _) => r.Status.Waiting,
        },
        PerModel("vllm:kv_cache_usage_perc", MetricKind.Gauge, "Share of key-value blocks in use, 0 to 1.", r => r.BlockUse),
        PerModel("vllm:engine_healthy", MetricKind.Gauge, "1 while the engine works, 0 once it has failed or stands still.",
            r => r.Condition is ModelCondition.Failed or ModelCondition.Stalled ? 0 : 1),
        new("vllm:cache_config_info", MetricKind.Gauge, "Sizes of the key-value cache, as labels.")
        {
            OfModel = (_, _) => 1,
            MoreLabels = r => $",block_size=\"{r.Geometry.BlockTokens}\",num_gpu_blocks=\"{r.Status.BlockCount}\"",
        },
    ];

    private static IEnumerable<MetricFamily> Counters() =>
    [
        Count("vllm:num_incoming_requests_total", "Requests that named the model, refused ones included.",
            r => r.Metrics.StreamsCreated + r.Metrics.RejectedInAll),
        Count("vllm:prompt_tokens_total", "Prompt tokens accepted.", r => r.Status.PromptTokens),
        Count("vllm:prompt_tokens_cached_total", "Prompt tokens from the prefix cache.", r => r.Status.CachedPromptTokens),
        PerValue("vllm:prompt_tokens_by_source_total", "Prompt tokens, by where their keys and values came from.", "source",
            ["local_compute", "local_cache_hit"],
            (r, i) => i == 0 ? r.Status.PromptTokens - r.Status.CachedPromptTokens : r.Status.CachedPromptTokens),
        Count("vllm:generation_tokens_total", "Tokens generated.", r => r.Status.GeneratedTokens),
        Count("vllm:num_preemptions_total", "Sequences preempted.", r => r.Status.Preemptions),
        Count("vllm:prefix_cache_queries_total", "Tokens asked of the prefix cache.", r => r.Status.PrefixQueries),
        Count("vllm:prefix_cache_hits_total", "Tokens that the prefix cache had.", r => r.Status.PrefixHits),
        Count("vllm:corrupted_requests_total", "Requests that failed alone because their logits were not finite.",
            r => r.Status.FailedSequences),
        PerValue("vllm:request_success_total", "Requests that ended, by the four reasons that vLLM knows.", "finished_reason",
            ["stop", "length", "abort", "error"], (r, i) => VllmEndings[i].Sum(r.Metrics.Ended)),
    ];

    private static IEnumerable<MetricFamily> Steps() =>
    [
        new("vllm:iteration_tokens_total", MetricKind.Histogram, "Tokens of a step, prompt and output.")
        {
            Buckets = r => new StepCounts(r.Status.StepTokens),
        },
        new("modelserve:engine_step_seconds", MetricKind.Histogram, "Time of a step, from submission to settlement.")
        {
            Buckets = r => new StepCounts(r.Status.StepSeconds),
        },
    ];

    private static IEnumerable<MetricFamily> GenAi() =>
    [
        new("gen_ai_server_request_duration_seconds", MetricKind.Histogram, "From acceptance to the end.")
        {
            Labelled = r => r.Metrics.GenAi.Durations,
        },
        new("gen_ai_server_time_to_first_token_seconds", MetricKind.Histogram, "From acceptance to the first token, of requests that ended well.")
        {
            Labelled = r => r.Metrics.GenAi.FirstTokens,
        },
        new("gen_ai_server_time_per_output_token_seconds", MetricKind.Histogram, "Mean time a token after the first, of requests that ended well.")
        {
            Labelled = r => r.Metrics.GenAi.OutputTokens,
        },
    ];

    private static IEnumerable<MetricFamily> Own() =>
    [
        Count("modelserve:streams_created_total", "Streams opened.", r => r.Metrics.StreamsCreated),
        Count("modelserve:streams_released_total", "Streams closed; equal to those opened when nothing runs.",
            r => r.Metrics.StreamsReleased),
        Count("modelserve:tokens_sampled_total", "Tokens that steps produced.", r => r.Status.GeneratedTokens),
        Count("modelserve:tokens_sent_total", "Tokens sent to clients.", r => r.Metrics.TokensSent),
        Count("modelserve:tokens_dropped_total", "Tokens produced and not sent: past a stop string.", r => r.Metrics.TokensDropped),
        Count("modelserve:messages_sent_total", "Token messages sent.", r => r.Metrics.MessagesSent),
        Count("modelserve:merged_tokens_total", "Tokens that shared a message with an earlier one.", r => r.Metrics.MergedTokens),
        Count("modelserve:aborted_by_stall_total", "Streams ended because their reader did not read.",
            r => r.Metrics.Ended(FinishReason.SlowReader)),
        Count("modelserve:recomputed_tokens_total", "Tokens computed again after preemption, of requests that have ended.",
            r => r.Metrics.RecomputedTokens),
        Count("modelserve:exhausted_steps_total", "Steps for which the device had no memory, so that what ran was computed again.",
            r => r.Status.ExhaustedSteps),
        Count("modelserve:postponed_tokens_total", "Tokens that were a step late because the mask of their grammar was not ready.",
            r => r.Status.PostponedTokens),
        Count("modelserve:scored_prompt_tokens_total", "Prompt tokens whose log probabilities were asked for and computed.", r => r.Status.ScoredTokens),
        PerModel("modelserve:kv_blocks", MetricKind.Gauge, "Key-value blocks of the pool.", r => r.Status.BlockCount),
        PerModel("modelserve:kv_blocks_free", MetricKind.Gauge, "Key-value blocks that no sequence holds.",
            r => r.Status.BlockCount - r.Status.BlocksInUse),
        PerModel("modelserve:max_running", MetricKind.Gauge, "Slots: requests that can run at once.",
            r => r.Geometry.MaxSequences),
        PerModel("modelserve:waiting_tokens", MetricKind.Gauge, "Prompt tokens of the waiting requests.", r => r.Status.WaitingTokens),
        Count("modelserve:engine_steps_total", "Steps completed.", r => r.Status.Steps),
        Count("modelserve:engine_healings_total", "Times that slots and blocks were found missing at rest, and rebuilt.",
            r => r.Status.Healings),
        PerModel("modelserve:last_progress_age_seconds", MetricKind.Gauge, "Since the engine's last sign of life; grows at rest.",
            r => Math.Max(0, (r.Now - r.Status.LastProgress).TotalSeconds)),
        PerModel("modelserve:model_ready", MetricKind.Gauge, "1 while the model takes requests.",
            r => r.Condition == ModelCondition.Serving ? 1 : 0),
        PerValue("modelserve:requests_ended_total", "Requests that ended, by exact reason.", "reason",
            [.. Endings.Select(reason => reason.ToString())], (r, i) => r.Metrics.Ended(Endings[i])),
        PerValue("modelserve:requests_rejected_total", "Requests refused, by reason.", "reason",
            [.. Rejections.Select(reason => reason.ToString())], (r, i) => r.Metrics.Rejected(Rejections[i])),
    ];

    private static IEnumerable<MetricFamily> Server() =>
    [
        PerServer("modelserve:requests_without_model_total", MetricKind.Counter, "Requests that named no served model.",
            s => s.RejectedWithoutModel),
        PerServer("modelserve:live_requests", MetricKind.Gauge, "Requests whose calls have not ended.", s => s.LiveRequests),
        PerServer("modelserve:draining", MetricKind.Gauge, "1 while the server takes no new request.", s => s.Draining ? 1 : 0),
        PerServer("modelserve:uptime_seconds", MetricKind.Gauge, "Since the server was made.", s => s.UptimeSeconds),
        PerServer("modelserve:managed_heap_bytes", MetricKind.Gauge, "Managed heap after the last collection.", s => s.HeapBytes),
        PerServer("process_cpu_seconds_total", MetricKind.Counter, "Processor time of the process.", s => s.CpuSeconds),
        PerServer("process_resident_memory_bytes", MetricKind.Gauge, "Memory of the process in RAM.", s => s.ResidentBytes),
    ];

    private static MetricFamily Count(string name, string help, Func<ModelReading, double> value) =>
        PerModel(name, MetricKind.Counter, help, value);

    /// <summary>Names of the histograms that requests fill; apart, so that they exist before <see cref="All"/> gathers them.</summary>
    private static class Histograms
    {
        public static IReadOnlyDictionary<ModelHistogram, MetricFamily> All { get; } = new Dictionary<ModelHistogram, MetricFamily>
        {
            [ModelHistogram.TimeToFirstToken] = Name(ModelHistogram.TimeToFirstToken, "vllm:time_to_first_token_seconds", "From acceptance to the first token."),
            [ModelHistogram.InterToken] = Name(ModelHistogram.InterToken, "vllm:inter_token_latency_seconds", "Between tokens."),
            [ModelHistogram.TimePerOutputToken] = Name(ModelHistogram.TimePerOutputToken, "vllm:request_time_per_output_token_seconds", "Mean time a token."),
            [ModelHistogram.EndToEnd] = Name(ModelHistogram.EndToEnd, "vllm:e2e_request_latency_seconds", "From acceptance to the end."),
            [ModelHistogram.Queue] = Name(ModelHistogram.Queue, "vllm:request_queue_time_seconds", "From acceptance to the first step."),
            [ModelHistogram.Inference] = Name(ModelHistogram.Inference, "vllm:request_inference_time_seconds", "From the first step to the end."),
            [ModelHistogram.Prefill] = Name(ModelHistogram.Prefill, "vllm:request_prefill_time_seconds", "From the first step to the first token."),
            [ModelHistogram.Decode] = Name(ModelHistogram.Decode, "vllm:request_decode_time_seconds", "From the first token to the end."),
            [ModelHistogram.PromptTokens] = Name(ModelHistogram.PromptTokens, "vllm:request_prompt_tokens", "Prompt tokens of a request."),
            [ModelHistogram.OutputTokens] = Name(ModelHistogram.OutputTokens, "vllm:request_generation_tokens", "Output tokens of a request."),
            [ModelHistogram.MaxOutputTokens] = Name(ModelHistogram.MaxOutputTokens, "vllm:request_max_num_generation_tokens", "Most output tokens among a request's sequences."),
            [ModelHistogram.MaxTokens] = Name(ModelHistogram.MaxTokens, "vllm:request_params_max_tokens", "Output tokens that a request allowed."),
            [ModelHistogram.PrefillComputed] = Name(ModelHistogram.PrefillComputed, "vllm:request_prefill_kv_computed_tokens", "Prompt tokens that the prefix cache did not have."),
            [ModelHistogram.WriteStall] = Name(ModelHistogram.WriteStall, "modelserve:write_stall_seconds", "That a write waited for its reader."),
        };

        private static MetricFamily Name(ModelHistogram histogram, string name, string help) => Of(histogram, name, help);
    }
}
