using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using ModelServe.Api.Security;

namespace ModelServe.Api.Requests;

/// <summary>Keeps one caller's prefix-cache blocks from being visible, by timing, to another.</summary>
/// <remarks>
/// The salt is a hash of the caller and of the request's own cache_salt under a key that this process draws at start, so that it
/// says nothing about either and cannot be foreseen. Where keys are in force the caller is the key, or the group of keys that
/// share; elsewhere it is whatever credential was sent. Callers without one share one salt.
/// </remarks>
internal sealed class CallerSalt(IHttpContextAccessor calls)
{
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(HMACSHA256.HashSizeInBytes);

    /// <summary>The salt of the call that is being served. Thread-safe.</summary>
    /// <param name="caller">The credential that was sent, where no key says more.</param>
    /// <param name="cacheSalt">The request's own.</param>
    public ulong Of(string? caller, string cacheSalt)
    {
        caller = Caller.Of(calls.HttpContext).CacheScope ?? caller;
        // The length keeps (caller, salt) pairs apart that would concatenate to the same text.
        string text = $"{caller?.Length ?? 0}:{caller}{cacheSalt}";
        byte[] hash = HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(text));
        return BinaryPrimitives.ReadUInt64LittleEndian(hash);
    }
}
