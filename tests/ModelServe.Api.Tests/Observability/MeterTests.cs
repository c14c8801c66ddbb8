using System.Diagnostics.Metrics;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Observability;

/// <summary>The server's meter: what any exporter of .NET metrics can listen to.</summary>
public sealed class MeterTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task A_listener_sees_histograms_as_they_happen_and_counters_when_it_collects()
    {
        using var fake = new FakeModel();
        await using WireServer server = await StartAsync(null, fake);
        using var heard = new Listening(server);
        fake.Hold();
        using (AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(Prompt(10), cancellationToken: Token))
        {
            Assert.True(await call.ResponseStream.MoveNext(Token));
            for (int token = 0; token < 10; token++)
            {
                // Each is read before the next is made, so that none are merged.
                fake.Allow(1);
                Assert.True(await call.ResponseStream.MoveNext(Token));
                Assert.Single(call.ResponseStream.Current.Tokens.TokenIds);
            }

            Assert.True(await call.ResponseStream.MoveNext(Token));
            Assert.NotNull(call.ResponseStream.Current.Finished);
            Assert.False(await call.ResponseStream.MoveNext(Token));
        }

        await server.QuiesceAsync();
        heard.Collect();

        Assert.Equal(10, heard.Sum("vllm.generation_tokens", "model_name=fake"));
        Assert.Equal(1, heard.Sum("vllm.request_success", "finished_reason=length"));
        Assert.Equal(1, heard.Count("vllm.e2e_request_latency_seconds", "model_name=fake"));
        Assert.Equal(9, heard.Count("vllm.inter_token_latency_seconds", "model_name=fake"));
        Assert.Equal(1, heard.Count("gen_ai.server.request.duration", "gen_ai.operation.name=text_completion"));
        Assert.Equal(1, heard.Count("gen_ai.server.time_to_first_token", "gen_ai.provider.name=modelserve"));
        Assert.Equal(1, heard.Count("gen_ai.server.time_per_output_token", "gen_ai.request.model=fake"));
        Assert.Equal(0, heard.Sum("modelserve.live_requests", ""));
    }

    [Fact]
    public async Task An_ending_that_is_no_whole_answer_carries_its_error_type()
    {
        await using WireServer server = await StartAsync();
        using var heard = new Listening(server);
        server.Fake.ForcedToken = Engine.Running.StepResult.Failed;
        await Assert.ThrowsAsync<RpcException>(() => server.Inference.GenerateUnaryAsync(Prompt(), cancellationToken: Token).ResponseAsync);
        await server.QuiesceAsync();
        heard.Collect();
        Assert.Equal(1, heard.Count("gen_ai.server.request.duration", "error.type=Error"));
        Assert.Equal(0, heard.Count("gen_ai.server.time_to_first_token", ""));
        Assert.Equal(1, heard.Sum("vllm.corrupted_requests", ""));
    }

    /// <summary>Everything that the meter of one server says.</summary>
    private sealed class Listening : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly List<(string Name, double Value, string Tags)> _heard = [];

        public Listening(WireServer server)
        {
            IMeterFactory factory = server.Services.GetRequiredService<IMeterFactory>();
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == "ModelServe" && instrument.Meter.Scope == factory)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) =>
            {
                lock (_heard)
                {
                    _heard.Add((instrument.Name, value, string.Join(',', tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}"))));
                }
            });
            _listener.Start();
        }

        public void Collect() => _listener.RecordObservableInstruments();

        public double Sum(string name, string tag) => Of(name, tag).Sum(heard => heard.Value);

        public int Count(string name, string tag) => Of(name, tag).Length;

        public void Dispose() => _listener.Dispose();

        private (string Name, double Value, string Tags)[] Of(string name, string tag)
        {
            lock (_heard)
            {
                return [.. _heard.Where(heard => heard.Name == name && heard.Tags.Contains(tag, StringComparison.Ordinal))];
            }
        }
    }
}
