using System.Net;
using System.Text;
using System.Text.Json;
using ModelServe.Api.Tests.Wire;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

/// <summary>Short ways to ask the HTTP dialect and to read what it answers.</summary>
public abstract class OpenAiTest(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    protected const string Chats = "/v1/chat/completions";
    protected const string Texts = "/v1/completions";

    /// <summary>A chat whose script begins after the rendered conversation.</summary>
    protected static string Chat(string further = "") =>
        "{\"model\":\"fake\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"max_tokens\":64" + further + "}";

    /// <summary>A completion of ids that end with the marker after which scripts begin.</summary>
    protected static string Text(string further = "") =>
        $"{{\"model\":\"fake\",\"prompt\":[104,105,{SyntheticCheckpoint.Begin}],\"max_tokens\":64{further}}}";

    protected static Task<HttpResponseMessage> PostAsync(WireServer server, string path, string body) =>
        server.Http.PostAsync(new Uri(path, UriKind.Relative), new StringContent(body, Encoding.UTF8, "application/json"), Token);

    protected static async Task<JsonElement> JsonAsync(HttpResponseMessage response)
    {
        string text = await response.Content.ReadAsStringAsync(Token);
        return JsonDocument.Parse(text).RootElement.Clone();
    }

    protected static async Task<JsonElement> AnswerAsync(WireServer server, string path, string body)
    {
        using HttpResponseMessage response = await PostAsync(server, path, body);
        JsonElement answer = await JsonAsync(response);
        Assert.True(response.StatusCode == HttpStatusCode.OK, answer.ToString());
        return answer;
    }

    /// <summary>The data of every event of a stream that ended well; the last is [DONE], which is left out.</summary>
    protected static async Task<List<JsonElement>> EventsAsync(WireServer server, string path, string body)
    {
        using HttpResponseMessage response = await PostAsync(server, path, body);
        string text = await response.Content.ReadAsStringAsync(Token);
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        string[] events = text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("data: [DONE]", events[^1]);
        return [.. events[..^1].Select(entry => JsonDocument.Parse(entry["data: ".Length..]).RootElement.Clone())];
    }

    protected static string ContentOf(IEnumerable<JsonElement> chunks, string member = "content", int index = 0) => string.Concat(
        chunks.SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray())
            .Where(choice => choice.GetProperty("index").GetInt32() == index)
            .Select(choice => choice.GetProperty("delta").TryGetProperty(member, out JsonElement text) ? text.GetString() : null));

    protected static string? FinishOf(IEnumerable<JsonElement> chunks, int index = 0) => chunks
        .SelectMany(chunk => chunk.GetProperty("choices").EnumerateArray())
        .Where(choice => choice.GetProperty("index").GetInt32() == index)
        .Select(choice => choice.GetProperty("finish_reason").GetString()).Single(reason => reason is not null);
}
