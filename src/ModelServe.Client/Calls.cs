using System.Runtime.CompilerServices;
using Grpc.Core;

namespace ModelServe.Client;

/// <summary>Sends requests with key, deadline and retries, and turns refusals into typed exceptions. Thread-safe.</summary>
internal sealed class Calls(ModelServeClientOptions options)
{
    /// <summary>A request with one answer.</summary>
    public async Task<T> OnceAsync<T>(
        Func<CallOptions, AsyncUnaryCall<T>> start, DateTime? deadline, CancellationToken cancellationToken)
    {
        CallOptions call = OptionsFor(deadline, cancellationToken);
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return await start(call);
            }
            catch (RpcException exception)
            {
                await WaitOrThrowAsync(exception, attempt, call);
            }
        }
    }

    /// <summary>A request with a stream of answers; an early end of the enumeration ends the call.</summary>
    public async IAsyncEnumerable<T> StreamAsync<T>(
        Func<CallOptions, AsyncServerStreamingCall<T>> start,
        DateTime? deadline,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Disposing the call, which an early end of the enumeration does, resets its stream, and the server cancels.
        using AsyncServerStreamingCall<T>? call = await OpenAsync(start, OptionsFor(deadline, cancellationToken));
        for (bool more = call is not null; more; more = await NextAsync(call!, cancellationToken))
        {
            yield return call!.ResponseStream.Current;
        }
    }

    /// <summary>Opens a stream and waits for its first message, which is the last moment for another attempt.</summary>
    /// <returns>The call at its first message; null when it ended well without one.</returns>
    private async Task<AsyncServerStreamingCall<T>?> OpenAsync<T>(
        Func<CallOptions, AsyncServerStreamingCall<T>> start, CallOptions options)
    {
        for (int attempt = 1; ; attempt++)
        {
            AsyncServerStreamingCall<T>? call = start(options);
            try
            {
                if (!await call.ResponseStream.MoveNext(options.CancellationToken))
                {
                    return null;
                }

                AsyncServerStreamingCall<T> opened = call;
                call = null;
                return opened;
            }
            catch (RpcException exception)
            {
                await WaitOrThrowAsync(exception, attempt, options);
            }
            finally
            {
                call?.Dispose();
            }
        }
    }

    private static async Task<bool> NextAsync<T>(AsyncServerStreamingCall<T> call, CancellationToken cancellationToken)
    {
        try
        {
            return await call.ResponseStream.MoveNext(cancellationToken);
        }
        catch (RpcException exception) when (Cancelled(exception, cancellationToken) is { } cancelled)
        {
            throw cancelled;
        }
        catch (RpcException exception)
        {
            throw RequestRefusedException.From(exception);
        }
    }

    private async Task WaitOrThrowAsync(RpcException exception, int attempt, CallOptions call)
    {
        if (Cancelled(exception, call.CancellationToken) is { } cancelled)
        {
            throw cancelled;
        }

        TimeSpan? left = call.Deadline - options.Time.GetUtcNow().UtcDateTime;
        if (options.Retry.DelayAfter(exception, attempt, left) is not { } wait)
        {
            throw RequestRefusedException.From(exception);
        }

        await Task.Delay(wait, options.Time, call.CancellationToken);
    }

    /// <summary>A caller who cancelled is told in .NET's own way.</summary>
    private static OperationCanceledException? Cancelled(RpcException exception, CancellationToken cancellationToken) =>
        exception.StatusCode == StatusCode.Cancelled && cancellationToken.IsCancellationRequested
            ? new OperationCanceledException("The request was cancelled.", exception, cancellationToken)
            : null;

    private CallOptions OptionsFor(DateTime? deadline, CancellationToken cancellationToken)
    {
        Metadata? headers = options.ApiKey is { } key ? new Metadata { { "authorization", "Bearer " + key } } : null;
        return new CallOptions(
            headers,
            deadline ?? (options.Timeout is { } timeout ? (options.Time.GetUtcNow() + timeout).UtcDateTime : null),
            cancellationToken);
    }
}
