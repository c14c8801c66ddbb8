using System.Net.Http.Json;

namespace ModelServe.LoadGenerator;

/// <summary>One request of a plan over the OpenAI dialect: a streamed completion of token ids, whose chunks carry the counts so far.</summary>
internal sealed class HttpLoadClient(Uri address) : IDisposable
{
    private const string Counter = "\"completion_tokens\":";

    private readonly HttpClient _http = new() { BaseAddress = address, Timeout = TimeSpan.FromMinutes(30) };

    /// <summary>Sends a request; tells its clock how many tokens each chunk brought.</summary>
    /// <exception cref="HttpRequestException">The server refused it, or broke off.</exception>
    public async Task SendAsync(string model, uint[] prompt, RequestClock clock, CancellationToken cancellationToken)
    {
        var body = new
        {
            model,
            prompt,
            max_tokens = clock.Capacity,
            temperature = 0,
            ignore_eos = true,
            stream = true,
            stream_options = new { continuous_usage_stats = true },
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = JsonContent.Create(body) };
        using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            string answer = await response.Content.ReadAsStringAsync(cancellationToken);
            throw new HttpRequestException($"{(int)response.StatusCode}: {answer}");
        }

        await using Stream stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var reader = new StreamReader(stream);
        int tokens = 0;
        while (await reader.ReadLineAsync(cancellationToken) is { } line)
        {
            int place = line.LastIndexOf(Counter, StringComparison.Ordinal);
            if (place < 0)
            {
                continue;
            }

            ReadOnlySpan<char> number = line.AsSpan(place + Counter.Length);
            int total = int.Parse(number[..number.IndexOf(',')], System.Globalization.CultureInfo.InvariantCulture);
            if (total > tokens)
            {
                clock.Receive(total - tokens);
                tokens = total;
            }
        }

        if (tokens != clock.Capacity)
        {
            throw new HttpRequestException($"{clock.Capacity} tokens; got {tokens}");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();
}
