using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Health;
using ModelServe.Host.Options;

namespace ModelServe.Host.Serving;

/// <summary>Ends the process some time after a model has failed for good, so that its supervisor starts a fresh one.</summary>
/// <remarks>
/// A failed device rarely heals inside a process, and the models of one process share it. The time before the end lets clients get
/// their terminal events and health watchers their change. If the orderly end itself hangs, the process is killed.
/// </remarks>
internal sealed partial class FailureExit(
    EngineFailure failure, ServerDrain drain, IHostApplicationLifetime application, ServeOptions options, LastResort last, TimeProvider time, ILogger<FailureExit> logger)
    : BackgroundService
{
    /// <summary>What the process returns after a failure.</summary>
    public const int Code = 3;

    private static readonly TimeSpan FarewellTime = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan OrderlyEnd = TimeSpan.FromSeconds(4);

    /// <inheritdoc />
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.FailureGrace is not { } grace)
        {
            return;
        }

        try
        {
            string model = await failure.WaitAsync(stoppingToken);
            Log.Ending(logger, model, grace);
            await Task.Delay(grace, time, stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Somebody else ends the process.
            return;
        }

        last.Arm(OrderlyEnd);
        // Requests of the other models end with their terminal event, not with a broken connection.
        drain.Begin();
        drain.EndRequests();
        await drain.WaitForRequestsAsync(FarewellTime, CancellationToken.None);
        application.StopApplication();
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Critical, "Model {Model} has failed for good; this process ends in {Grace}")]
        public static partial void Ending(ILogger logger, string model, TimeSpan grace);
    }
}
