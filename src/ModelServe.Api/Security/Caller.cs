using Microsoft.AspNetCore.Http;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Security;

/// <summary>Who sent a call, once its key has been looked at. Immutable, but for what the key has used up.</summary>
internal sealed class Caller
{
    /// <summary>Makes the caller of a key.</summary>
    public Caller(ApiKey key, KeyUsage usage)
    {
        Key = key;
        Usage = usage;
    }

    private Caller()
    {
    }

    /// <summary>Whoever calls a server without keys.</summary>
    public static Caller Anybody { get; } = new();

    /// <summary>The key; null where the server has none.</summary>
    public ApiKey? Key { get; }

    /// <summary>What the key has used up; null where the server has none.</summary>
    public KeyUsage? Usage { get; }

    /// <summary>The name under which its requests take their turns; empty for anybody.</summary>
    public string Tenant => Key?.Id ?? "";

    /// <summary>Its share against others.</summary>
    public int Weight => Key?.Weight ?? 1;

    /// <summary>Who shares cached prefixes with whom; null where no key says so.</summary>
    public string? CacheScope => Key is null ? null : Key.CacheGroup is { } group ? "group:" + group : "key:" + Key.Id;

    /// <summary>The caller of a call.</summary>
    public static Caller Of(HttpContext? call) => call?.Features.Get<Caller>() ?? Anybody;

    /// <summary>The tier that a request gets: what it asks for, or the key's own.</summary>
    /// <param name="asked">What it asks for; default when it says nothing.</param>
    /// <param name="tier">The tier.</param>
    /// <returns>Null, or why the key may not have it.</returns>
    public Rejection? TierOf(ServiceTier asked, out ServiceTier tier)
    {
        tier = Key is { } key && asked == ServiceTier.Default ? key.Tier : asked;
        return Key is not null && asked > Key.Tier && asked != ServiceTier.Default
            ? new Rejection(RejectionReason.TierNotAllowed, "service_tier", $"at most {Word(Key.Tier)} for this key", Word(asked))
            : null;
    }

    private static string Word(ServiceTier tier) => tier switch
    {
        ServiceTier.Flex => "flex",
        ServiceTier.Priority => "priority",
        _ => "default",
    };
}
