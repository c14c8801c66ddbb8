using System.Net.Sockets;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;

namespace ModelServe.Api.OpenAi;

/// <summary>Ends a connection whose last event said that the answer failed, so that nobody takes the end for a whole answer.</summary>
/// <remarks>One client library takes a clean end for success, whatever the last event said.</remarks>
internal static class BrokenEnd
{
    // The server's own queue gets time to reach the system, also where many streams fail at once on a busy machine.
    private static readonly TimeSpan LastWord = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan LongestGoodbye = TimeSpan.FromSeconds(5);

    /// <summary>Ends it in the middle of the body. What was flushed before reaches a client however late it reads, within seconds.</summary>
    /// <param name="context">The call.</param>
    /// <param name="time">The clock of those seconds.</param>
    public static async Task EndAsync(HttpContext context, TimeProvider time)
    {
        try
        {
            await Task.Delay(LastWord, time, context.RequestAborted);
            if (HttpProtocol.IsHttp11(context.Request.Protocol) && context.Features.Get<IConnectionSocketFeature>() is { } connection)
            {
                // A reset throws away what the system has not sent yet to a client that is behind; the end of the bytes comes behind them.
                connection.Socket.Shutdown(SocketShutdown.Send);
                await Task.Delay(LongestGoodbye, time, context.RequestAborted);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The client has gone first.
        }

        context.Abort();
    }
}
