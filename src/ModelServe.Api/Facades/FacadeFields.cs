using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Facades;

/// <summary>What the readers of all facades share: refusals in the client's own field names, metadata, models.</summary>
internal static class FacadeFields
{
    /// <summary>A field that is set and not offered.</summary>
    public static Rejection Unsupported(string field) => new(RejectionReason.Unsupported, field, "absent; this server does not offer it", "set");

    /// <summary>The same when a condition holds.</summary>
    public static Rejection? Unsupported(bool isSet, string field) => isSet ? Unsupported(field) : null;

    /// <summary>A refusal under the names that the client's contract has.</summary>
    /// <param name="rejection">The refusal in this server's own names.</param>
    /// <param name="names">Pairs of own prefix and client's prefix; the first that fits is taken.</param>
    public static Rejection Rename(Rejection rejection, IEnumerable<(string Own, string Theirs)> names)
    {
        foreach ((string own, string theirs) in names)
        {
            if (rejection.Field.StartsWith(own, StringComparison.Ordinal))
            {
                return rejection with { Field = string.Concat(theirs, rejection.Field.AsSpan(own.Length)) };
            }
        }

        return rejection;
    }

    /// <summary>The served model of that name, or the only one.</summary>
    /// <exception cref="RpcException">There is none.</exception>
    public static ServedModel Find(this ModelCatalog catalog, string? name, string field)
    {
        return catalog.TryFind(name, out ServedModel? model, out Rejection? rejection)
            ? model
            : throw RejectionStatus.ToException(rejection with { Field = field });
    }

    /// <summary>An integer of the call's metadata; null when absent.</summary>
    /// <exception cref="RpcException">It is no integer, or is there twice.</exception>
    public static int? Integer(ServerCallContext context, string key)
    {
        Metadata.Entry[] entries = [.. context.RequestHeaders.Where(entry => entry.Key == key)];
        if (entries.Length == 0)
        {
            return null;
        }

        return entries.Length == 1 && int.TryParse(entries[0].Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value)
            ? value
            : throw RejectionStatus.ToException(FieldCheck.Invalid(
                key, "one integer", entries.Length == 1 ? FieldCheck.Quote(entries[0].Value) : "several values"));
    }

    /// <summary>Refuses fields of messages that this server does not know.</summary>
    public static Rejection? Unknown(params ReadOnlySpan<(string Message, UnknownFieldSet? Fields)> messages)
    {
        foreach ((string message, UnknownFieldSet? fields) in messages)
        {
            if (UnknownFields.Refuse(message, fields) is { } rejection)
            {
                return rejection;
            }
        }

        return null;
    }
}
