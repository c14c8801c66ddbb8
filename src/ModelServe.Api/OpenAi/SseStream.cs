using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace ModelServe.Api.OpenAi;

/// <summary>One response of server-sent events, shared by the outputs of a request: whole events, one writer at a time, a sign of life in silence.</summary>
/// <remarks>
/// A writer enters, fills <see cref="Pipe"/> with whole events, and leaves by <see cref="FlushAsync"/>. While the client is behind, the
/// flush does not complete and others wait at the entrance, so that their outputs merge. Nothing is allocated while it keeps up.
/// </remarks>
internal sealed class SseStream : IDisposable
{
    /// <summary>How long the stream may be silent; proxies and clients give up on connections that are.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(15);

#pragma warning disable CA2213 // It holds nothing to give back, and a late sign of life may still leave through it.
    private readonly SemaphoreSlim _gate = new(1, 1);
#pragma warning restore CA2213
    private readonly HttpContext _context;
    private readonly TimeProvider _time;
    private readonly ITimer _heartbeat;
    private long _lastWrite;
    private volatile bool _ended;

    /// <summary>Sends the headers with the first event.</summary>
    public SseStream(HttpContext context, TimeProvider time)
    {
        _context = context;
        _time = time;
        Pipe = context.Response.BodyWriter;
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache";
        context.Response.Headers["X-Accel-Buffering"] = "no";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        if (context.Features.Get<IHttpMinResponseDataRateFeature>() is { } rate)
        {
            // How long a client may leave its stream unread is the pump's rule, the same in every dialect.
            rate.MinDataRate = null;
        }

        _lastWrite = time.GetTimestamp();
        _heartbeat = time.CreateTimer(static state => ((SseStream)state!).Beat(), this, Silence, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Where events go, between entering and leaving.</summary>
    public PipeWriter Pipe { get; }

    /// <summary>Completes when the stream is the caller's to fill.</summary>
    public Task EnterAsync() => _gate.WaitAsync();

    /// <summary>Sends what was filled in and leaves; completes when the client may be sent more.</summary>
    public Task FlushAsync()
    {
        _lastWrite = _time.GetTimestamp();
        ValueTask<FlushResult> flush = Pipe.FlushAsync(CancellationToken.None);
        if (!flush.IsCompletedSuccessfully)
        {
            return LeaveAsync(flush);
        }

        FlushResult result = flush.GetAwaiter().GetResult();
        _gate.Release();
        return result.IsCompleted || result.IsCanceled ? Task.FromException(Gone()) : Task.CompletedTask;
    }

    /// <summary>The last event was sent; no sign of life follows.</summary>
    public void End() => _ended = true;

    /// <inheritdoc/>
    public void Dispose()
    {
        _ended = true;
        _heartbeat.Dispose();
    }

    private static IOException Gone() => new("the client closed the connection");

    private async Task LeaveAsync(ValueTask<FlushResult> flush)
    {
        try
        {
            FlushResult result = await flush;
            if (result.IsCompleted || result.IsCanceled)
            {
                throw Gone();
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    private void Beat()
    {
        if (_ended)
        {
            return;
        }

        TimeSpan left = Silence - _time.GetElapsedTime(_lastWrite);
        // Whoever holds the gate is writing, which is no silence.
        if (left <= TimeSpan.Zero && _gate.Wait(0))
        {
            _ = BeatAsync();
            left = Silence;
        }

        try
        {
            _heartbeat.Change(left > TimeSpan.Zero ? left : Silence, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // The stream ended meanwhile.
        }
    }

    private async Task BeatAsync()
    {
        if (_ended || _context.RequestAborted.IsCancellationRequested)
        {
            _gate.Release();
            return;
        }

        try
        {
            JsonText text = new(Pipe);
            text.Raw(": still here\n\n"u8);
            await FlushAsync();
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or InvalidOperationException)
        {
            // The connection is gone, which the outputs notice by themselves.
        }
    }
}
