using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace ModelServe.Api.Requests;

/// <summary>Keeps one caller's prefix-cache blocks from being visible, by timing, to another.</summary>
/// <remarks>
/// The salt is a hash of the caller's credential and of the request's own cache_salt under a key that this process draws at
/// start, so that it says nothing about either and cannot be foreseen. Callers without a credential share one salt.
/// </remarks>
internal sealed class CallerSalt
{
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(HMACSHA256.HashSizeInBytes);

    /// <summary>The salt of a caller and a request. Thread-safe.</summary>
    public ulong Of(string? caller, string cacheSalt)
    {
        // The length keeps (caller, salt) pairs apart that would concatenate to the same text.
        string text = $"{caller?.Length ?? 0}:{caller}{cacheSalt}";
        byte[] hash = HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(text));
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }
}
