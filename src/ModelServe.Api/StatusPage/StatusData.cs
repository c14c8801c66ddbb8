using System.Buffers;
using System.Text.Json;
using ModelServe.Api.Health;
using ModelServe.Api.Metrics;
using ModelServe.Api.Models;
using ModelServe.Api.Services;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Api.StatusPage;

/// <summary>The numbers behind the status page: the same that the metrics show, as JSON, and the live requests by size, never by content. Thread-safe.</summary>
/// <remarks>Counts are since start; whoever asks twice has rates, and percentiles of what happened between.</remarks>
internal sealed class StatusData(MetricsReader reader, HealthReporter health, LiveRequests live, TimeProvider time)
{
    /// <summary>Requests that are listed one by one; the oldest come first.</summary>
    private const int ListedRequests = 50;

    /// <summary>Writes the numbers of this moment.</summary>
    public void Write(IBufferWriter<byte> output)
    {
        using var json = new Utf8JsonWriter(output);
        IReadOnlyList<ModelReading> models = reader.ReadModels();
        json.WriteStartObject();
        WriteServer(json, reader.ReadServer());
        json.WriteStartArray("models");
        foreach (IGrouping<ServedModel, ModelReading> model in models.GroupBy(reading => reading.Model))
        {
            WriteModel(json, model.Key, [.. model]);
        }

        json.WriteEndArray();
        WriteRequests(json);
        json.WriteEndObject();
    }

    private static void WriteServer(Utf8JsonWriter json, ServerReading server)
    {
        json.WriteStartObject("server");
        json.WriteString("name", SoftwareVersion.Name);
        json.WriteString("version", SoftwareVersion.Version);
        json.WriteNumber("uptime_seconds", server.UptimeSeconds);
        json.WriteBoolean("draining", server.Draining);
        json.WriteNumber("cpu_seconds", server.CpuSeconds);
        json.WriteNumber("processors", Environment.ProcessorCount);
        json.WriteNumber("resident_bytes", server.ResidentBytes);
        json.WriteNumber("live_requests", server.LiveRequests);
        json.WriteEndObject();
    }

    private void WriteModel(Utf8JsonWriter json, ServedModel model, ModelReading[] engines)
    {
        EngineStatus status = engines.Length == 1 ? engines[0].Status : EngineStatus.Together([.. engines.Select(engine => engine.Status)]);
        json.WriteStartObject();
        json.WriteString("name", model.Name);
        json.WriteString("condition", health.Condition(model).ToString());
        json.WriteNumber("engines", engines.Length);
        json.WriteBoolean("chat", model.Text.HasChatTemplate);
        json.WriteNumber("context_tokens", model.ContextTokens);
        json.WriteNumber("max_running", model.Engine.Geometry.MaxSequences);
        json.WriteNumber("block_tokens", model.Engine.Geometry.BlockTokens);
        json.WriteNumber("running", status.Running);
        json.WriteNumber("waiting", status.Waiting);
        json.WriteNumber("blocks_in_use", status.BlocksInUse);
        json.WriteNumber("blocks", status.BlockCount);
        json.WriteNumber("prompt_tokens", status.PromptTokens);
        json.WriteNumber("generated_tokens", status.GeneratedTokens);
        json.WriteNumber("prefix_queries", status.PrefixQueries);
        json.WriteNumber("prefix_hits", status.PrefixHits);
        json.WriteNumber("preemptions", status.Preemptions);
        json.WriteNumber("steps", status.Steps);
        json.WriteNumber("accepted", engines.Sum(engine => engine.Metrics.StreamsCreated));
        json.WriteNumber("rejected", engines.Sum(engine => engine.Metrics.RejectedInAll));
        json.WriteNumber("failed", engines.Sum(engine => engine.Metrics.Ended(FinishReason.Error) + engine.Metrics.Ended(FinishReason.Exhausted)));
        WriteHistogram(json, "first_token", new SummedCounts([.. engines.Select(engine => engine.Metrics.Of(ModelHistogram.TimeToFirstToken))]));
        WriteHistogram(json, "inter_token", new SummedCounts([.. engines.Select(engine => engine.Metrics.InterToken)]));
        WriteHistogram(json, "step", new StepCounts(status.StepSeconds));
        json.WriteEndObject();
    }

    private static void WriteHistogram(Utf8JsonWriter json, string name, IBucketCounts histogram)
    {
        json.WriteStartObject(name);
        json.WriteStartArray("bounds");
        foreach (double bound in histogram.Bounds)
        {
            json.WriteNumberValue(bound);
        }

        json.WriteEndArray();
        json.WriteStartArray("counts");
        for (int i = 0; i <= histogram.Bounds.Count; i++)
        {
            json.WriteNumberValue(histogram.CountIn(i));
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteRequests(Utf8JsonWriter json)
    {
        DateTimeOffset now = time.GetUtcNow();
        json.WriteStartArray("requests");
        foreach (AdmittedRequest request in live.All.OrderBy(request => request.Stream.Timings.Arrived).Take(ListedRequests))
        {
            RequestTimings timings = request.Stream.Timings;
            json.WriteStartObject();
            json.WriteString("id", request.Stream.RequestId);
            json.WriteString("model", request.Read.Model.Name);
            json.WriteString("state", timings.Scheduled is null ? "waiting" : timings.FirstToken is null ? "prefill" : "decode");
            json.WriteNumber("age_seconds", Math.Max(0, (now - timings.Arrived).TotalSeconds));
            json.WriteNumber("prompt_tokens", request.Read.Request.PromptTokenIds.Length);
            json.WriteNumber("sent_tokens", request.TokensSent);
            json.WriteNumber("max_tokens", request.Read.Request.MaxTokens);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
