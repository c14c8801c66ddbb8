using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Models;
using ModelServe.Engine.Running;

namespace ModelServe.Api.Health;

/// <summary>Gives up a step that does not come back: its engine's streams end, once, and the engine serves no more.</summary>
/// <remarks>A step that takes long is not yet lost: health turns at the stall limit and back again; this is the later, final limit.</remarks>
internal sealed partial class EngineWatchdog(
    ModelCatalog catalog, HealthReporter health, ApiOptions options, TimeProvider time, ILogger<EngineWatchdog> logger)
    : BackgroundService
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(10);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.StepLimit == Timeout.InfiniteTimeSpan)
        {
            return;
        }

        // A disposed timer ends the loop without an exception, which a host that fails to start would report as a crash.
        TimeSpan period = TimeSpan.FromTicks(Math.Clamp(options.StepLimit.Ticks / 10, Shortest.Ticks, Longest.Ticks));
        using var timer = new PeriodicTimer(period, time);
        await using CancellationTokenRegistration stop =
            stoppingToken.UnsafeRegister(static state => ((PeriodicTimer)state!).Dispose(), timer);
        while (await timer.WaitForNextTickAsync(CancellationToken.None))
        {
            Look();
        }
    }

    private void Look()
    {
        foreach (ServedModel model in catalog.Models)
        {
            for (int i = 0; i < model.Replicas.Replicas.Count; i++)
            {
                IEngine replica = model.Replicas.Replicas[i];
                if (ModelConditions.StandsStill(replica.Status, options.StepLimit, time.GetUtcNow())
                    && replica.GiveUpStep($"a step did not return within {options.StepLimit.TotalSeconds:0.###} s"))
                {
                    Log.GaveUp(logger, model.Name, i, options.StepLimit);
                    health.Refresh();
                }
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(EventId = 1, Level = LogLevel.Critical, Message = "Model {Model}, engine {Engine}: no step came back within {Limit}; every request of it has ended")]
        public static partial void GaveUp(ILogger logger, string model, int engine, TimeSpan limit);
    }
}
