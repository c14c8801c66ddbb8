using Microsoft.Extensions.Logging;
using ModelServe.Engine.Admission;
using ModelServe.V1;
using EndReason = ModelServe.Engine.Admission.FinishReason;

namespace ModelServe.Api.Services;

/// <summary>One request's way out: everything that came since the last message becomes one message, until one ending.</summary>
/// <remarks>
/// The engine never waits for it: while a write is parked, deltas gather in the token stream and the next message holds them all.
/// A write parked for longer than the limit ends the request as a slow reader's.
/// That a client has gone is no exception here: many may go at once, and one thrown through every layer of a call costs more than
/// all the rest of its end.
/// </remarks>
internal sealed partial class ResponsePump : IDisposable
{
    private readonly AdmittedRequest _request;
    private readonly IOutputWriter _writer;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly StallWatch _watch;
    private readonly OutputText _text;
    private readonly TokenDelta _delta = new();
    private readonly Func<AdmittedRequest, Task> _writeDelta;
    private int _taken;
    private long _lastDelta;

    /// <summary>A pump from a request to a writer.</summary>
    /// <param name="request">The request; stays the caller's.</param>
    /// <param name="writer">The dialect that the client speaks.</param>
    /// <param name="stallLimit">How long a write may be parked.</param>
    /// <param name="cutOff">Breaks the connection's stream, so that a parked write fails; runs on a timer thread.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">Where a failing request is told.</param>
    public ResponsePump(
        AdmittedRequest request,
        IOutputWriter writer,
        TimeSpan stallLimit,
        Action cutOff,
        TimeProvider time,
        ILogger logger)
    {
        _request = request;
        _writer = writer;
        _time = time;
        _logger = logger;
        _text = new OutputText(request.Read.Model.Text.Tokenizer, request.Read.Output);
        _writeDelta = admitted => _writer.WriteAsync(admitted, _delta, _taken, _text);
        _watch = new StallWatch(stallLimit, time, () =>
        {
            request.Ending = EndReason.SlowReader;
            request.Stream.Cancel(EndReason.SlowReader);
            cutOff();
        });
    }

    /// <summary>Tells the writer of the acceptance, the deltas and the one ending.</summary>
    /// <param name="cancellationToken">Cancelled when the client has gone.</param>
    /// <returns>Whether all of it was told; false where the client is gone, its transport cut the call, or it did not read.</returns>
    public async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        // Once for the call, not with every read.
        using CancellationTokenRegistration gone = cancellationToken.UnsafeRegister(
            static stream => ((TokenStream)stream!).StopReading(), _request.Stream);
        if (!await WriteAsync(_writer.AcceptAsync, cancellationToken))
        {
            return false;
        }

        OutputEnding? ending = null;
        try
        {
            while (ending is null)
            {
                if (!await _request.Stream.ReadAsync(_delta, CancellationToken.None))
                {
                    return false;
                }

                ObserveInterval();
                bool stopped = Decode(out int taken);
                if (taken > 0 || !_text.IsEmpty || _delta.PromptLogprobs is not null)
                {
                    _request.TokensSent += taken;
                    _taken = taken;
                    if (!await WriteAsync(_writeDelta, cancellationToken))
                    {
                        return false;
                    }

                    _text.Clear();
                    _request.Metrics.CountSent(taken);
                }

                ending = stopped ? await EndByStopStringAsync() : Ending();
                if (stopped && ending is null)
                {
                    return false;
                }
            }
        }
#pragma warning disable CA1031 // Whatever fails inside one request ends that request alone, with the terminal event it was promised.
        catch (Exception exception) when (exception is not OperationCanceledException)
#pragma warning restore CA1031
        {
            Log.Failed(_logger, _request.Stream.RequestId, exception);
            _request.Ending = EndReason.Error;
            ending = OutputEnding.Failed(EndReason.Error, ErrorCode.Internal, "The output could not be turned into text.", false);
        }

        OutputEnding last = ending with { ReasoningTokens = _text.ReasoningTokens, ToolCalls = _text.ToolCalls };
        return await WriteAsync(request => _writer.EndAsync(request, last), cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => _watch.Dispose();

    /// <summary>Decodes the delta up to a stop string.</summary>
    /// <param name="taken">How many of its tokens belong to the output.</param>
    /// <returns>Whether a stop string ended the output.</returns>
    private bool Decode(out int taken)
    {
        int count = _delta.TokenIds.Count;
        bool hidesLast = _delta.MatchedStopTokenId is not null && !_request.Read.Output.IncludeStop;
        for (int i = 0; i < count; i++)
        {
            if (hidesLast && i == count - 1)
            {
                _text.AppendSilently();
            }
            else if (_text.Append(_delta.TokenIds[i]))
            {
                taken = i + 1;
                _request.Metrics.CountDropped(count - taken);
                _text.Flush();
                return true;
            }
        }

        taken = count;
        if (_delta.FinishReason != EndReason.None)
        {
            _text.Flush();
        }

        return _text.MatchedStop is not null;
    }

    private OutputEnding? Ending()
    {
        if (_delta.FinishReason == EndReason.None)
        {
            return null;
        }

        _request.EndingWasRead = true;
        _request.Ending = _delta.FinishReason;
        if (_delta.FinishReason == EndReason.Error)
        {
            Log.Ended(_logger, _request.Stream.RequestId, _delta.Error);
        }

        return OutputEnding.Of(_delta, _request.Engine.Status.Failure);
    }

    /// <summary>Tells the engine, and reads on to its last delta, whose timings the terminal event carries.</summary>
    /// <returns>The ending; null where the client left meanwhile.</returns>
    private async ValueTask<OutputEnding?> EndByStopStringAsync()
    {
        if (_delta.FinishReason == EndReason.None)
        {
            _request.Stream.Cancel(EndReason.Stop);
            while (_delta.FinishReason == EndReason.None)
            {
                if (!await _request.Stream.ReadAsync(_delta, CancellationToken.None))
                {
                    return null;
                }

                _request.Metrics.CountDropped(_delta.TokenIds.Count);
            }
        }

        _request.EndingWasRead = true;
        _request.Ending = EndReason.Stop;
        return new OutputEnding { Reason = EndReason.Stop, StopString = _text.MatchedStop };
    }

    private void ObserveInterval()
    {
        long now = _time.GetTimestamp();
        int count = _delta.TokenIds.Count;
        if (_lastDelta != 0 && count > 0)
        {
            _request.Metrics.InterToken.Observe(_time.GetElapsedTime(_lastDelta, now).TotalSeconds / count, count);
        }

        _lastDelta = now;
    }

    /// <returns>Whether the client may be sent more.</returns>
    private ValueTask<bool> WriteAsync(Func<AdmittedRequest, Task> message, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromResult(false);
        }

        try
        {
            Task write = message(_request);
            return write.IsCompletedSuccessfully ? ValueTask.FromResult(true) : ParkAsync(write);
        }
        catch (InvalidOperationException)
        {
            // The framework's word for a call that is over already.
            return ValueTask.FromResult(false);
        }
    }

    private async ValueTask<bool> ParkAsync(Task write)
    {
        long start = _time.GetTimestamp();
        _watch.Arm();
        try
        {
            await write;
        }
        catch (Exception exception) when (exception is InvalidOperationException or IOException or OperationCanceledException)
        {
            return false;
        }
        finally
        {
            _watch.Disarm();
            _request.Metrics.WriteStall.Observe(_time.GetElapsedTime(start).TotalSeconds);
        }

        return !_watch.HasFired;
    }

    private static partial class Log
    {
        [LoggerMessage(EventId = 1, Level = LogLevel.Error, Message = "Request {RequestId} failed outside the engine")]
        public static partial void Failed(ILogger logger, string requestId, Exception exception);

        [LoggerMessage(EventId = 2, Level = LogLevel.Warning, Message = "Request {RequestId} failed in the engine: {Error}")]
        public static partial void Ended(ILogger logger, string requestId, string? error);
    }
}
