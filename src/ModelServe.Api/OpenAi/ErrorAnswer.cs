using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace ModelServe.Api.OpenAi;

/// <summary>Writes an error as the body and headers that the dialect's clients understand.</summary>
internal static class ErrorAnswer
{
    private const int LongestMessage = 1024;

    /// <summary>Answers a request that has not been answered yet.</summary>
    public static async Task WriteAsync(HttpContext context, HttpError error)
    {
        HttpResponse response = context.Response;
        response.StatusCode = error.Status;
        response.ContentType = "application/json; charset=utf-8";
        SetRetry(response, error);
        await response.Body.WriteAsync(BodyOf(error), context.RequestAborted);
    }

    /// <summary>The body: <c>{"error":{message,type,param,code}}</c>.</summary>
    public static byte[] BodyOf(HttpError error)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("error");
            json.WriteString("message", error.Message.Length > LongestMessage ? error.Message[..LongestMessage] : error.Message);
            json.WriteString("type", error.Type);
            json.WriteString("param", error.Param);
            json.WriteString("code", error.Code);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    private static void SetRetry(HttpResponse response, HttpError error)
    {
        if (error.RetryAfter is not { } wait)
        {
            return;
        }

        // One client library reads whole seconds only, the other prefers milliseconds.
        int seconds = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds));
        response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        response.Headers["retry-after-ms"] = ((long)Math.Max(1, wait.TotalMilliseconds)).ToString(CultureInfo.InvariantCulture);
    }
}
