using Microsoft.Extensions.Hosting;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Services;

/// <summary>Ends calls that would otherwise last as long as the server: the web server cuts whatever is still open when it stops.</summary>
internal sealed class ServerEnd(IHostApplicationLifetime lifetime)
{
    /// <summary>Runs a call that its client or the end of the server ends.</summary>
    /// <param name="call">The call; its token is cancelled by either.</param>
    /// <param name="cancellationToken">The client's.</param>
    /// <exception cref="Grpc.Core.RpcException">The server stops (UNAVAILABLE).</exception>
    public async Task RunAsync(Func<CancellationToken, Task> call, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lifetime.ApplicationStopping);
        try
        {
            await call(either.Token);
        }
        catch (OperationCanceledException) when (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            throw RejectionStatus.ToException(
                new Rejection(RejectionReason.Draining, "server", "no subscriptions while it is stopping", "this one"));
        }
    }
}
