using System.Text;
using System.Text.Json;
using ModelServe.Engine.Admission;
using ModelServe.Host.Models;

namespace ModelServe.Host.Commands;

/// <summary>Writes an answer to standard output as it comes: plain text, or a JSON line a token and one for the ending.</summary>
internal sealed class AnswerWriter(Stream output, bool asJson, int promptTokens) : IDisposable
{
    private static readonly JsonWriterOptions Compact = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private readonly MemoryStream _line = new();
    private int _tokens;

    /// <summary>0 after a whole answer, 1 after one that an error cut short.</summary>
    public int ExitCode { get; private set; } = 1;

    /// <summary>Writes and flushes one token, or the ending.</summary>
    public void Write(GeneratedToken token)
    {
        if (token.Id is not null)
        {
            _tokens++;
        }

        if (asJson)
        {
            WriteJson(token);
        }
        else
        {
            output.Write(Encoding.UTF8.GetBytes(token.Text));
        }

        if (token.FinishReason != FinishReason.None)
        {
            End(token);
        }

        output.Flush();
    }

    /// <inheritdoc />
    public void Dispose() => _line.Dispose();

    private void End(GeneratedToken ending)
    {
        ExitCode = ending.FinishReason is FinishReason.Stop or FinishReason.Length or FinishReason.ContextFull ? 0 : 1;
        if (!asJson)
        {
            output.Write("\n"u8);
        }

        if (ExitCode != 0)
        {
            Console.Error.WriteLine($"modelserve: the answer ended early: {ending.FinishReason}. {ending.Error}");
        }
    }

    private void WriteJson(GeneratedToken token)
    {
        _line.SetLength(0);
        using (Utf8JsonWriter json = new(_line, Compact))
        {
            json.WriteStartObject();
            if (token.Id is { } id)
            {
                WriteToken(json, id, token);
            }
            else
            {
                WriteEnding(json, token);
            }

            json.WriteEndObject();
        }

        _line.WriteByte((byte)'\n');
        output.Write(_line.GetBuffer().AsSpan(0, (int)_line.Length));
    }

    private static void WriteToken(Utf8JsonWriter json, int id, GeneratedToken token)
    {
        json.WriteNumber("id", id);
        json.WriteString("text", token.Text);
        if (token.Logprob is not { } logprob)
        {
            return;
        }

        json.WriteNumber("logprob", logprob);
        json.WriteStartArray("top");
        foreach ((int topId, float topLogprob) in token.Top)
        {
            json.WriteStartArray();
            json.WriteNumberValue(topId);
            json.WriteNumberValue(topLogprob);
            json.WriteEndArray();
        }

        json.WriteEndArray();
    }

    private void WriteEnding(Utf8JsonWriter json, GeneratedToken ending)
    {
        if (ending.Text.Length > 0)
        {
            json.WriteString("text", ending.Text);
        }

        json.WriteString("finish_reason", JsonNamingPolicy.SnakeCaseLower.ConvertName(ending.FinishReason.ToString()));
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", promptTokens);
        json.WriteNumber("completion_tokens", _tokens);
        json.WriteNumber("cached_tokens", ending.Timings?.CachedPromptTokens ?? 0);
        json.WriteEndObject();
        if (ending.Timings is { } timings)
        {
            json.WriteStartObject("timings");
            WriteSpan(json, "queue_ms", timings.Arrived, timings.Scheduled);
            WriteSpan(json, "prefill_ms", timings.Scheduled, timings.FirstToken);
            WriteSpan(json, "decode_ms", timings.FirstToken, timings.Finished);
            if (timings is { FirstToken: { } first, Finished: { } last } && _tokens > 1 && last > first)
            {
                json.WriteNumber("decode_tokens_per_second", Math.Round((_tokens - 1) / (last - first).TotalSeconds, 2));
            }

            json.WriteEndObject();
        }
    }

    private static void WriteSpan(Utf8JsonWriter json, string name, DateTimeOffset? from, DateTimeOffset? to)
    {
        if (from is { } start && to is { } end)
        {
            json.WriteNumber(name, Math.Round((end - start).TotalMilliseconds, 3));
        }
    }
}
