using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace ModelServe.Api.Security;

/// <summary>The keys that are in force. Replaced as a whole while calls go on; what a key has used up survives that. Thread-safe.</summary>
/// <remarks>
/// A key is found by the first bytes of its SHA-256 and confirmed in constant time. That the first step takes a different time
/// for a hash that nobody has tells nothing of value: hashes of guesses lead to no key of 256 random bits.
/// </remarks>
internal sealed class ApiKeyRing(TimeProvider time)
{
    private const int MaxKeyBytes = 512;

    private Dictionary<ulong, Caller[]> _callers = [];

    /// <summary>What came of looking a key up.</summary>
    public enum Outcome
    {
        /// <summary>The key is in force.</summary>
        Found,

        /// <summary>There is no such key.</summary>
        Unknown,

        /// <summary>It was in force once.</summary>
        Expired,
    }

    /// <summary>Whether calls need a key at all. Set once, before the server listens.</summary>
    public bool IsRequired { get; private set; }

    /// <summary>Puts keys in force instead of those before; keys of equal id keep what they have used up.</summary>
    public void Replace(IReadOnlyList<ApiKey> keys)
    {
        Dictionary<string, KeyUsage> usages = new(StringComparer.Ordinal);
        foreach (Caller caller in _callers.Values.SelectMany(callers => callers))
        {
            usages[caller.Key!.Id] = caller.Usage!;
        }

        List<Caller> callers = [];
        foreach (ApiKey key in keys)
        {
            KeyUsage usage = usages.GetValueOrDefault(key.Id) ?? new KeyUsage(time);
            usage.Apply(key);
            callers.Add(new Caller(key, usage));
        }

        Dictionary<ulong, Caller[]> next = callers.GroupBy(caller => Start(caller.Key!.Hash.Span)).ToDictionary(group => group.Key, group => group.ToArray());
        Volatile.Write(ref _callers, next);
        IsRequired = true;
    }

    /// <summary>Whose key a text is.</summary>
    public Outcome Find(string text, out Caller? caller)
    {
        caller = null;
        if (text.Length == 0 || text.Length > MaxKeyBytes)
        {
            return Outcome.Unknown;
        }

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(text), hash);
        foreach (Caller candidate in Volatile.Read(ref _callers).GetValueOrDefault(Start(hash)) ?? [])
        {
            if (CryptographicOperations.FixedTimeEquals(candidate.Key!.Hash.Span, hash))
            {
                if (candidate.Key.Expires is { } end && end <= time.GetUtcNow())
                {
                    return Outcome.Expired;
                }

                caller = candidate;
                return Outcome.Found;
            }
        }

        return Outcome.Unknown;
    }

    private static ulong Start(ReadOnlySpan<byte> hash) => BinaryPrimitives.ReadUInt64LittleEndian(hash);
}
