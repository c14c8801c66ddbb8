using System.Buffers;
using System.Text;

namespace ModelServe.Api.OpenAi;

/// <summary>What all parts of one response have in common: its id, kind, time and model, as JSON bytes made once.</summary>
internal sealed class AnswerHead
{
    /// <summary>The beginning of every object.</summary>
    /// <param name="id">Name of the response.</param>
    /// <param name="kind">The dialect's name of the object.</param>
    /// <param name="created">Unix time in seconds.</param>
    /// <param name="model">Name of the model.</param>
    public AnswerHead(string id, string kind, long created, string model)
    {
        var buffer = new ArrayBufferWriter<byte>();
        JsonText json = new(buffer);
        json.Raw("{\"id\":"u8);
        json.String(id);
        json.Raw(",\"object\":"u8);
        json.String(kind);
        json.Raw(",\"created\":"u8);
        json.Number(created);
        json.Raw(",\"model\":"u8);
        json.String(model);
        json.Raw(",\"choices\":["u8);
        Object = buffer.WrittenSpan.ToArray();
        Event = [.. "data: "u8, .. Object];
    }

    /// <summary>The object up to its first choice.</summary>
    public byte[] Object { get; }

    /// <summary>The same as the beginning of an event.</summary>
    public byte[] Event { get; }

    /// <summary>The beginning of an event with that choice.</summary>
    public byte[] EventOf(int index) => [.. Event, .. Encoding.UTF8.GetBytes(FormattableString.Invariant($"{{\"index\":{index},"))];
}
