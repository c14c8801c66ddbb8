using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using ModelServe.Api.Requests;
using ModelServe.Api.Tests.Wire;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

public sealed partial class BadInputTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    [Fact]
    public async Task Every_bad_input_is_refused_by_name_and_harms_nobody()
    {
        using var fake = new FakeModel { StepTime = TimeSpan.FromMilliseconds(1) };
        await using WireServer server = await StartAsync(null, fake);
        Task<JsonElement> good = AnswerAsync(server, Texts, Text(",\"ignore_eos\":true").Replace("64", "400", StringComparison.Ordinal));
        List<string> wrong = [];
        foreach (TheoryDataRow<string, string, int, string?> row in BadInputs.All)
        {
            (string path, string body, int status, string? param) = row.Data;
            using HttpResponseMessage response = await PostAsync(server, path, body);
            string answer = await response.Content.ReadAsStringAsync(Token);
            if (Problem(response, answer, status, param) is { } problem)
            {
                wrong.Add($"{problem}: {path} {body[..Math.Min(body.Length, 160)]} -> {(int)response.StatusCode} {answer}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join("\n", wrong));
        Assert.Equal(400, (await good).GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.True(BadInputs.All.Count >= 120, $"only {BadInputs.All.Count} cases");
        await server.QuiesceAsync();
        Tally.Report("HTTP", "bad inputs, each refused by field and status", BadInputs.All.Count, 0, BadInputs.All.Count - wrong.Count);
        Tally.Report("HTTP", "good stream beside them", 1, 1, 0);
    }

    [Fact]
    public async Task Bodies_that_are_no_JSON_text_are_refused()
    {
        var options = new ApiOptions { Limits = new RequestLimits { MessageBytes = 64 * 1024 } };
        await using WireServer server = await StartAsync(options);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, await StatusAsync(server, Encoding.UTF8.GetBytes(Chat()), "text/plain"));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, await StatusAsync(server, Encoding.UTF8.GetBytes(Chat()), null));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, await StatusAsync(server, Encoding.UTF8.GetBytes(Chat()), "application/json", "gzip"));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync(server, [(byte)'{', (byte)'"', 0xff, (byte)'"', (byte)':', (byte)'1', (byte)'}'], "application/json"));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, await StatusAsync(server, new byte[70_000], "application/json"));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, await StatusAsync(server, new byte[70_000], "application/json", chunked: true));
        Tally.Report("HTTP", "bodies that are no JSON text", 6, 0, 6);
    }

    private static async Task<HttpStatusCode> StatusAsync(
        WireServer server, byte[] body, string? type, string? encoding = null, bool chunked = false)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Chats) { Content = new ByteArrayContent(body) };
        request.Headers.TransferEncodingChunked = chunked;
        request.Content.Headers.ContentType = type is null ? null : new MediaTypeHeaderValue(type);
        if (encoding is not null)
        {
            request.Content.Headers.ContentEncoding.Add(encoding);
        }

        using HttpResponseMessage response = await server.Http.SendAsync(request, Token);
        JsonElement error = (await JsonAsync(response)).GetProperty("error");
        Assert.Equal(["message", "type", "param", "code"], error.EnumerateObject().Select(member => member.Name));
        return response.StatusCode;
    }

    private static string? Problem(HttpResponseMessage response, string answer, int status, string? param)
    {
        if ((int)response.StatusCode != status)
        {
            return "status";
        }

        JsonElement error = JsonDocument.Parse(answer).RootElement.GetProperty("error");
        if (error.GetProperty("param").GetString() != param)
        {
            return $"param, expected {param}";
        }

        string message = error.GetProperty("message").GetString()!;
        bool shape = error.GetProperty("type").GetString() is { Length: > 0 } && error.GetProperty("code").GetString() is { Length: > 0 };
        return !shape || message.Length > 1024 ? "shape" : Leak().IsMatch(message) ? "leak" : null;
    }

    [GeneratedRegex(@"System\.|Microsoft\.|\.cs\b|   at |/home/|/tmp/|Exception|ModelServe\.")]
    private static partial Regex Leak();
}
