using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace ModelServe.Api.Security;

/// <summary>What a key has left of its rates, as HTTP headers tell it.</summary>
/// <param name="RequestLimit">Requests in a minute; null has no limit.</param>
/// <param name="RequestsLeft">Requests that may begin now.</param>
/// <param name="RequestReset">Until as many as ever may.</param>
/// <param name="TokenLimit">Tokens in a minute; null has no limit.</param>
/// <param name="TokensLeft">Tokens that may be asked for now.</param>
/// <param name="TokenReset">Until as many as ever may.</param>
internal sealed record RateLimitState(
    long? RequestLimit, long RequestsLeft, TimeSpan RequestReset, long? TokenLimit, long TokensLeft, TimeSpan TokenReset)
{
    /// <summary>Sets the x-ratelimit headers that OpenAI's clients read.</summary>
    public void Write(IHeaderDictionary headers)
    {
        Write(headers, "requests", RequestLimit, RequestsLeft, RequestReset);
        Write(headers, "tokens", TokenLimit, TokensLeft, TokenReset);
    }

    private static void Write(IHeaderDictionary headers, string what, long? limit, long left, TimeSpan reset)
    {
        if (limit is { } most)
        {
            headers["x-ratelimit-limit-" + what] = most.ToString(CultureInfo.InvariantCulture);
            headers["x-ratelimit-remaining-" + what] = left.ToString(CultureInfo.InvariantCulture);
            headers["x-ratelimit-reset-" + what] = string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(reset.TotalMilliseconds)}ms");
        }
    }
}
