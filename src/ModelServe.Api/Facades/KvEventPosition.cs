using System.Globalization;
using Grpc.Core;
using ModelServe.Api.Requests;
using ModelServe.Api.Services;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Facades;

/// <summary>Where a subscriber of a facade begins, whose contract has no words for events that are lost.</summary>
internal static class KvEventPosition
{
    /// <summary>Puts a reader to where the client wants to go on.</summary>
    /// <param name="reader">Stands behind the newest event.</param>
    /// <param name="asked">What the client sent; 0 leaves the reader where it is.</param>
    /// <param name="next">Number of the event that it should get first.</param>
    /// <param name="field">Name of the field.</param>
    /// <exception cref="RpcException">That event is not kept any more, or belongs to another run of the server (OUT_OF_RANGE).</exception>
    public static void Seek(KvEventReader reader, ulong asked, ulong next, string field)
    {
        if (asked == 0)
        {
            return;
        }

        long first = reader.Log.FirstSequence;
        long last = reader.Log.LastSequence;
        if (next < (ulong)first || next > (ulong)last + 1)
        {
            throw RejectionStatus.ToException(new Rejection(
                RejectionReason.EventsLost,
                field,
                $"0, or a number with which the next event is in [{first}, {last + 1}]",
                asked.ToString(CultureInfo.InvariantCulture)));
        }

        reader.Next = (long)next;
    }

    /// <summary>What a subscriber is told that read too slowly.</summary>
    public static RpcException Overtaken() =>
        new(new Status(StatusCode.DataLoss, "Events were overwritten before this client read them."));
}
