using Microsoft.Extensions.Hosting;

namespace ModelServe.Api.Metrics;

/// <summary>Makes the server's observed instruments when the host starts, so that exporters find them.</summary>
internal sealed class MetricsPublisher(ServerMeter meter, MetricsReader reader) : IHostedService
{
    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        meter.Observe(reader);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
