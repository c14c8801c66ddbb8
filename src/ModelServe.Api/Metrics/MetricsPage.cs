using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Api.Metrics;

/// <summary>The page that a Prometheus scrapes: vLLM's names, then this server's own.</summary>
internal sealed class MetricsPage(ModelCatalog catalog, MetricsRegistry metrics, ServerDrain drain, TimeProvider time)
{
    private sealed record Scrape(string Labels, ServedModel Model, EngineStatus Status, ModelMetrics Metrics);

    /// <summary>Writes the page from the counts of this moment.</summary>
    public string Render()
    {
        Scrape[] models =
        [
            .. catalog.Models.Select(model => new Scrape(
                $"model_name=\"{model.Name}\",engine=\"0\"", model, model.Engine.Status, metrics.Of(model))),
        ];
        var text = new PrometheusText();
        WriteGauges(text, models);
        WriteCounters(text, models);
        WriteHistograms(text, models);
        WriteOwn(text, models);
        return text.ToString();
    }

    private static void WriteGauges(PrometheusText text, Scrape[] models)
    {
        Each(text, models, "vllm:num_requests_running", "gauge", "Requests that hold a slot.", s => s.Status.Running);
        Each(text, models, "vllm:num_requests_waiting", "gauge", "Requests that wait for a slot.", s => s.Status.Waiting);
        Each(text, models, "vllm:kv_cache_usage_perc", "gauge", "Share of key-value blocks in use, 0 to 1.", Usage);
        Each(text, models, "vllm:engine_healthy", "gauge", "1 while the engine serves.", s => s.Status.Failure is null ? 1 : 0);
        text.Family("vllm:cache_config_info", "gauge", "Sizes of the key-value cache, as labels.");
        foreach (Scrape scrape in models)
        {
            text.Sample(
                "vllm:cache_config_info",
                $"{scrape.Labels},block_size=\"{scrape.Model.Engine.Geometry.BlockTokens}\",num_gpu_blocks=\"{scrape.Status.BlockCount}\"",
                1);
        }
    }

    private static void WriteCounters(PrometheusText text, Scrape[] models)
    {
        Each(text, models, "vllm:prompt_tokens_total", "counter", "Prompt tokens accepted.", s => s.Status.PromptTokens);
        Each(text, models, "vllm:prompt_tokens_cached_total", "counter", "Prompt tokens from the prefix cache.",
            s => s.Status.CachedPromptTokens);
        Each(text, models, "vllm:generation_tokens_total", "counter", "Tokens generated.", s => s.Status.GeneratedTokens);
        Each(text, models, "vllm:num_preemptions_total", "counter", "Sequences preempted.", s => s.Status.Preemptions);
        Each(text, models, "vllm:prefix_cache_queries_total", "counter", "Tokens asked of the prefix cache.",
            s => s.Status.PrefixQueries);
        Each(text, models, "vllm:prefix_cache_hits_total", "counter", "Tokens that the prefix cache had.",
            s => s.Status.PrefixHits);
        text.Family("vllm:request_success_total", "counter", "Requests that ended, by the four reasons that vLLM knows.");
        foreach (Scrape s in models)
        {
            WriteSuccess(text, s, "stop", FinishReason.Stop);
            WriteSuccess(text, s, "length", FinishReason.Length, FinishReason.ContextFull);
            WriteSuccess(
                text, s, "abort", FinishReason.Cancelled, FinishReason.Deadline, FinishReason.SlowReader, FinishReason.Drained);
            WriteSuccess(text, s, "error", FinishReason.Error);
        }
    }

    private static void WriteSuccess(PrometheusText text, Scrape scrape, string reason, params FinishReason[] reasons) =>
        text.Sample(
            "vllm:request_success_total",
            $"{scrape.Labels},finished_reason=\"{reason}\"",
            reasons.Sum(scrape.Metrics.Ended));

    private static void WriteHistograms(PrometheusText text, Scrape[] models)
    {
        Each(text, models, "vllm:time_to_first_token_seconds", "From acceptance to the first token.", m => m.TimeToFirstToken);
        Each(text, models, "vllm:inter_token_latency_seconds", "Between tokens.", m => m.InterToken);
        Each(text, models, "vllm:request_time_per_output_token_seconds", "Mean time a token.", m => m.TimePerOutputToken);
        Each(text, models, "vllm:e2e_request_latency_seconds", "From acceptance to the end.", m => m.EndToEnd);
        Each(text, models, "vllm:request_queue_time_seconds", "From acceptance to the first step.", m => m.Queue);
        Each(text, models, "vllm:request_inference_time_seconds", "From the first step to the end.", m => m.Inference);
        Each(text, models, "vllm:request_prefill_time_seconds", "From the first step to the first token.", m => m.Prefill);
        Each(text, models, "vllm:request_decode_time_seconds", "From the first token to the end.", m => m.Decode);
        Each(text, models, "vllm:request_prompt_tokens", "Prompt tokens of a request.", m => m.PromptTokens);
        Each(text, models, "vllm:request_generation_tokens", "Output tokens of a request.", m => m.OutputTokens);
        Each(text, models, "vllm:request_params_max_tokens", "Output tokens that a request allowed.", m => m.MaxTokens);
        Each(text, models, "modelserve:write_stall_seconds", "That a write waited for its reader.", m => m.WriteStall);
    }

    private void WriteOwn(PrometheusText text, Scrape[] models)
    {
        Each(text, models, "modelserve:streams_created_total", "counter", "Streams opened.", s => s.Metrics.StreamsCreated);
        Each(text, models, "modelserve:streams_released_total", "counter", "Streams closed.", s => s.Metrics.StreamsReleased);
        Each(text, models, "modelserve:tokens_sent_total", "counter", "Tokens sent to clients.", s => s.Metrics.TokensSent);
        Each(text, models, "modelserve:tokens_dropped_total", "counter", "Tokens generated and not sent.",
            s => s.Metrics.TokensDropped);
        Each(text, models, "modelserve:messages_sent_total", "counter", "Token messages sent.", s => s.Metrics.MessagesSent);
        Each(text, models, "modelserve:merged_tokens_total", "counter", "Tokens that shared a message with an earlier one.",
            s => s.Metrics.MergedTokens);
        Each(text, models, "modelserve:kv_blocks_total", "gauge", "Key-value blocks of the pool.", s => s.Status.BlockCount);
        Each(text, models, "modelserve:kv_blocks_free", "gauge", "Key-value blocks that no sequence holds.",
            s => s.Status.BlockCount - s.Status.BlocksInUse);
        Each(text, models, "modelserve:waiting_tokens", "gauge", "Prompt tokens of the waiting requests.",
            s => s.Status.WaitingTokens);
        Each(text, models, "modelserve:engine_steps_total", "counter", "Steps completed.", s => s.Status.Steps);
        DateTimeOffset now = time.GetUtcNow();
        Each(text, models, "modelserve:last_progress_age_seconds", "gauge", "Since the last step.",
            s => Math.Max(0, (now - s.Status.LastProgress).TotalSeconds));
        WriteReasons(text, models);
        text.Family("modelserve:requests_without_model_total", "counter", "Requests that named no served model.");
        text.Sample("modelserve:requests_without_model_total", "engine=\"0\"", metrics.RejectedWithoutModel);
        text.Family("modelserve:draining", "gauge", "1 while the server takes no new request.");
        text.Sample("modelserve:draining", "engine=\"0\"", drain.IsDraining ? 1 : 0);
    }

    private static void WriteReasons(PrometheusText text, Scrape[] models)
    {
        text.Family("modelserve:requests_ended_total", "counter", "Requests that ended, by exact reason.");
        foreach (Scrape scrape in models)
        {
            foreach (FinishReason reason in Enum.GetValues<FinishReason>().Where(reason => reason != FinishReason.None))
            {
                text.Sample(
                    "modelserve:requests_ended_total", $"{scrape.Labels},reason=\"{reason}\"", scrape.Metrics.Ended(reason));
            }
        }

        text.Family("modelserve:requests_rejected_total", "counter", "Requests refused, by reason.");
        foreach (Scrape scrape in models)
        {
            foreach (RejectionReason reason in Enum.GetValues<RejectionReason>())
            {
                text.Sample(
                    "modelserve:requests_rejected_total",
                    $"{scrape.Labels},reason=\"{reason}\"",
                    scrape.Metrics.Rejected(reason));
            }
        }
    }

    private static double Usage(Scrape scrape) =>
        scrape.Status.BlockCount == 0 ? 0 : (double)scrape.Status.BlocksInUse / scrape.Status.BlockCount;

    private static void Each(
        PrometheusText text, Scrape[] models, string name, string type, string help, Func<Scrape, double> value)
    {
        text.Family(name, type, help);
        foreach (Scrape scrape in models)
        {
            text.Sample(name, scrape.Labels, value(scrape));
        }
    }

    private static void Each(
        PrometheusText text, Scrape[] models, string name, string help, Func<ModelMetrics, Histogram> histogram)
    {
        text.Family(name, "histogram", help);
        foreach (Scrape scrape in models)
        {
            text.Histogram(name, scrape.Labels, histogram(scrape.Metrics));
        }
    }
}
