using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Health;
using ModelServe.Host.Options;

namespace ModelServe.Host.Serving;

/// <summary>Turns SIGTERM, SIGINT and SIGQUIT into an orderly end: refuse new work, let running work finish, then stop listening.</summary>
/// <remarks>
/// The listeners stay open while running requests finish, because the web server cuts whatever stream is still open when it
/// stops. What still runs when the drain time is over, or at a second signal, is ended with its terminal event.
/// </remarks>
internal sealed partial class GracefulDrain(
    IHostApplicationLifetime application,
    ServerDrain drain,
    ServeOptions options,
    ILogger<GracefulDrain> logger) : IHostLifetime, IDisposable
{
    // How long ended requests may take to tell their clients.
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
            if (!await FinishAsync())
            {
                Log.EndingTheRest(logger, drain.EndRequests());
                if (!await drain.WaitForRequestsAsync(FarewellTime, CancellationToken.None))
                {
                    Log.EnginesStuck(logger, drain.LiveRequestCount);
                }
            }
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
            return await drain.WaitForRequestsAsync(options.DrainTimeout, _hurry.Token);
        }
        catch (OperationCanceledException)
        {
            // A second signal: whoever sent it does not want to wait.
            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Signal}: refusing new requests; {Count} running ones may finish within {Timeout}")]
        public static partial void Draining(ILogger logger, PosixSignal signal, int count, TimeSpan timeout);

        [LoggerMessage(2, LogLevel.Warning, "Ending {Count} requests that were still live")]
        public static partial void EndingTheRest(ILogger logger, int count);

        [LoggerMessage(3, LogLevel.Error, "{Count} requests did not end in time; stopping all the same")]
        public static partial void EnginesStuck(ILogger logger, int count);
    }
}
