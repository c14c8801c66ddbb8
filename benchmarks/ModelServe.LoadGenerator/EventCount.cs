using System.Buffers;
using Google.Protobuf;
using ModelServe.V1;

namespace ModelServe.LoadGenerator;

/// <summary>What a load generator must know of one event of a stream: how many tokens it brought, whether it was a failure, and what the cache had.</summary>
/// <remarks>Read straight from the bytes: on a machine that server and clients share, what a client does is the server's loss.</remarks>
internal sealed class EventCount
{
    private const int LongestOnStack = 1024;
    private const int TokensTag = (2 << 3) | 2;
    private const int TokenIdsTag = (1 << 3) | 2;
    private static readonly EventCount[] Known = [.. Enumerable.Range(0, 64).Select(tokens => new EventCount(tokens))];

    private EventCount(int tokens) => Tokens = tokens;

    /// <summary>Tokens that it brought.</summary>
    public int Tokens { get; }

    /// <summary>Why the request failed, or null.</summary>
    public string? Failure { get; private init; }

    /// <summary>Prompt tokens that the server's prefix cache had, as the last event says; null in all others.</summary>
    public int? CachedTokens { get; private init; }

    /// <summary>Reads one event.</summary>
    public static EventCount Read(ReadOnlySequence<byte> message)
    {
        if (message.Length > LongestOnStack)
        {
            return Read(message.ToArray());
        }

        Span<byte> bytes = stackalloc byte[(int)message.Length];
        message.CopyTo(bytes);
        return Read(bytes);
    }

    private static EventCount Read(ReadOnlySpan<byte> message)
    {
        if (message.Length < 2 || message[0] != TokensTag)
        {
            GenerationEvent other = GenerationEvent.Parser.ParseFrom(message);
            return other.EventCase switch
            {
                GenerationEvent.EventOneofCase.Error => new EventCount(0) { Failure = JsonFormatter.Default.Format(other.Error) },
                GenerationEvent.EventOneofCase.Finished => new EventCount(0) { CachedTokens = other.Finished.Usage.CachedPromptTokens },
                _ => Of(other.Tokens?.TokenIds.Count ?? 0),
            };
        }

        int at = 1;
        int end = ReadLength(message, ref at);
        end += at;
        int tokens = 0;
        while (at < end)
        {
            int tag = ReadLength(message, ref at);
            if ((tag & 7) != 2)
            {
                throw new InvalidDataException($"field {tag >> 3} of tokens: expected a length; got wire type {tag & 7}");
            }

            int length = ReadLength(message, ref at);
            if (tag == TokenIdsTag)
            {
                foreach (byte part in message.Slice(at, length))
                {
                    tokens += part < 0x80 ? 1 : 0;
                }
            }

            at += length;
        }

        return Of(tokens);
    }

    private static EventCount Of(int tokens) => tokens < Known.Length ? Known[tokens] : new EventCount(tokens);

    private static int ReadLength(ReadOnlySpan<byte> message, ref int at)
    {
        int value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte part = message[at++];
            value |= (part & 0x7f) << shift;
            if (part < 0x80)
            {
                return value;
            }
        }
    }
}
