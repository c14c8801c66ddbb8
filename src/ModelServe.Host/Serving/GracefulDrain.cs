using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Health;
using ModelServe.Host.Options;

namespace ModelServe.Host.Serving;

/// <summary>Turns SIGTERM, SIGINT and SIGQUIT into an orderly end: refuse new work, let running work finish, then stop listening.</summary>
/// <remarks>
/// The listeners stay open while running requests finish, because the web server cuts whatever stream is still open when it
/// stops, and at least for the drain delay, so that load balancers can see that nothing is taken any more. What still runs
/// shortly before the drain time is over, or at a second signal, is ended with its terminal event; the limit is never restarted.
/// </remarks>
internal sealed partial class GracefulDrain(
    IHostApplicationLifetime application,
    ServerDrain drain,
    ServeOptions options,
    TimeProvider time,
    ILogger<GracefulDrain> logger) : IHostLifetime, IDisposable
{
    // How long ended requests may take to tell their clients; taken off the end of the drain time.
    private static readonly TimeSpan FarewellTime = TimeSpan.FromSeconds(2);
    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly CancellationTokenSource _hurry = new();
    private int _signalled;

    /// <inheritdoc />
    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        foreach (PosixSignal signal in new[] { PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGQUIT })
        {
            _signals.Add(PosixSignalRegistration.Create(signal, OnSignal));
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc />
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc />
    public void Dispose()
    {
        _signals.ForEach(signal => signal.Dispose());
        _hurry.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        if (Interlocked.Increment(ref _signalled) == 1)
        {
            Log.Draining(logger, context.Signal, drain.LiveRequestCount, options.DrainTimeout);
            _ = Task.Run(DrainAsync);
        }
        else
        {
            _hurry.Cancel();
        }
    }

    private async Task DrainAsync()
    {
        try
        {
            drain.Begin();
            Task open = StayOpenAsync();
            if (!await FinishAsync())
            {
                Log.EndingTheRest(logger, drain.EndRequests());
                if (!await drain.WaitForRequestsAsync(FarewellTime, CancellationToken.None))
                {
                    Log.EnginesStuck(logger, drain.LiveRequestCount, drain.GiveUpStuckSteps());
                    await drain.WaitForRequestsAsync(FarewellTime / 2, CancellationToken.None);
                }
            }

            await open;
        }
        finally
        {
            application.StopApplication();
        }
    }

    private async Task<bool> FinishAsync()
    {
        try
        {
            TimeSpan farewell = FarewellTime < options.DrainTimeout / 2 ? FarewellTime : options.DrainTimeout / 2;
            return await drain.WaitForRequestsAsync(options.DrainTimeout - farewell, _hurry.Token);
        }
        catch (OperationCanceledException)
        {
            // A second signal: whoever sent it does not want to wait.
            return false;
        }
    }

    private async Task StayOpenAsync()
    {
        try
        {
            await Task.Delay(options.DrainDelay, time, _hurry.Token);
        }
        catch (OperationCanceledException)
        {
            // A second signal.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Signal}: refusing new requests; {Count} running ones may finish within {Timeout}")]
        public static partial void Draining(ILogger logger, PosixSignal signal, int count, TimeSpan timeout);

        [LoggerMessage(2, LogLevel.Warning, "Ending {Count} requests that were still live")]
        public static partial void EndingTheRest(ILogger logger, int count);

        [LoggerMessage(3, LogLevel.Error, "{Count} requests did not end in time; gave up the steps of {Engines} engines; stopping all the same")]
        public static partial void EnginesStuck(ILogger logger, int count, int engines);
    }
}
