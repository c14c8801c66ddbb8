using ModelServe.Engine.Admission;

namespace ModelServe.Api.Services;

/// <summary>One dialect's way to tell a client about one output: what <see cref="ResponsePump"/> drives.</summary>
/// <remarks>
/// Calls come one after the other. A task that has not completed means that the client is behind; the pump waits for it and merges
/// what comes meanwhile. A broken connection is an <see cref="IOException"/>, an <see cref="OperationCanceledException"/> or an
/// <see cref="InvalidOperationException"/>, the framework's word for a call that is over.
/// </remarks>
internal interface IOutputWriter
{
    /// <summary>The request is in.</summary>
    Task AcceptAsync(AdmittedRequest request);

    /// <summary>New tokens and text.</summary>
    /// <param name="request">The request.</param>
    /// <param name="delta">New tokens; the first <paramref name="count"/> belong to the output. Valid during the call.</param>
    /// <param name="count">How many do.</param>
    /// <param name="text">What became readable. Valid during the call.</param>
    Task WriteAsync(AdmittedRequest request, TokenDelta delta, int count, OutputText text);

    /// <summary>The output ended; nothing follows.</summary>
    Task EndAsync(AdmittedRequest request, OutputEnding ending);
}
