using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;
using ModelServe.Api.Requests;

namespace ModelServe.Api.OpenAi;

/// <summary>Reads a request body as one strict JSON object: bounded, valid UTF-8, no duplicate names, no half characters.</summary>
internal static class JsonBody
{
    private const int Depth = 64;

    /// <summary>The object, or why not. The caller disposes the document.</summary>
    public static async Task<(JsonDocument? Document, HttpError? Error)> ReadAsync(HttpContext context, RequestLimits limits)
    {
        HttpRequest request = context.Request;
        if (!request.HasJsonContentType() || request.Headers.ContentEncoding.Count > 0)
        {
            return (null, new HttpError(
                415, HttpError.InvalidRequest, "unsupported_media_type", "content-type: application/json without content-encoding"));
        }

        if (request.ContentLength > limits.MessageBytes)
        {
            return (null, TooLarge(limits));
        }

        var body = new ArrayBufferWriter<byte>((int)(request.ContentLength ?? 4096) + 1);
        try
        {
            while (true)
            {
                int read = await request.Body.ReadAsync(body.GetMemory(4096), context.RequestAborted);
                if (read == 0)
                {
                    break;
                }

                body.Advance(read);
                if (body.WrittenCount > limits.MessageBytes)
                {
                    return (null, TooLarge(limits));
                }
            }
        }
        catch (BadHttpRequestException broken)
        {
            return (null, broken.StatusCode == 413 ? TooLarge(limits) : Malformed("a body that is sent as its headers say"));
        }

        return Parse(body.WrittenMemory);
    }

    private static (JsonDocument? Document, HttpError? Error) Parse(ReadOnlyMemory<byte> body)
    {
        if (!Utf8.IsValid(body.Span))
        {
            return (null, Malformed("valid UTF-8"));
        }

        try
        {
            if (HasHalfCharacter(body.Span))
            {
                return (null, Malformed("strings of whole characters; got a lone surrogate"));
            }

            var options = new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = Depth };
            JsonDocument document = JsonDocument.Parse(body, options);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return (document, null);
            }

            document.Dispose();
            return (null, Malformed("a JSON object"));
        }
        catch (JsonException exception)
        {
            bool twice = exception.Message.Contains("uplicate", StringComparison.Ordinal);
            return (null, Malformed(twice
                ? "one JSON object in which no name occurs twice"
                : FormattableString.Invariant($"JSON at most {Depth} levels deep; the text breaks off or goes wrong at line {exception.LineNumber + 1}")));
        }
    }

    /// <summary>Looks through escaped strings, the only place where UTF-8 can hide half a surrogate pair.</summary>
    private static bool HasHalfCharacter(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = Depth });
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && reader.ValueIsEscaped)
            {
                try
                {
                    _ = reader.GetString();
                }
                catch (InvalidOperationException)
                {
                    return true;
                }
            }
        }

        return false;
    }

    private static HttpError TooLarge(RequestLimits limits) => new(
        413, HttpError.InvalidRequest, "request_too_large", $"body: at most {FieldCheck.Text(limits.MessageBytes)} bytes");

    private static HttpError Malformed(string expected) =>
        new(400, HttpError.InvalidRequest, "invalid_json", $"body: {expected}");
}
