using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>What a foreign client is to do.</summary>
public enum ClientDeed
{
    /// <summary>Stream a whole answer.</summary>
    Stream,

    /// <summary>Leave after the first tokens.</summary>
    Cancel,

    /// <summary>Ask for more than fits its time.</summary>
    TimeOut,

    /// <summary>Ask for an impossible temperature.</summary>
    BadField,

    /// <summary>Meet a full queue, with the retries that the client has.</summary>
    Retry,
}

/// <summary>What a foreign client saw.</summary>
/// <param name="Text">The text of the answer.</param>
/// <param name="Error">What it was told instead, in its own words.</param>
public sealed record ClientAnswer(string Text, string Error);

/// <summary>A client of another maker, asked to do one thing and to tell what it saw.</summary>
internal abstract class ForeignClient(WireServer server)
{
    /// <summary>Their names, as a table of results has them.</summary>
    public static IReadOnlyList<string> Names { get; } = ["grpc-js", "buf curl", "openai npm", "OpenAI NuGet", "AI SDK"];

    /// <summary>What they say when their time is over.</summary>
    public static IReadOnlyList<string> TimeoutWords { get; } =
        ["FINISH_REASON_DEADLINE", "deadline_exceeded", "APIConnectionTimeoutError", "TimeoutError", "TaskCanceledException"];

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    protected WireServer Server { get; } = server;

    /// <summary>The client of a name.</summary>
    public static ForeignClient Of(string name, WireServer server) => name switch
    {
        "grpc-js" => new GrpcJs(server),
        "buf curl" => new BufCurl(server),
        "openai npm" => new OpenAiJs(server, ""),
        "AI SDK" => new OpenAiJs(server, "sdk-"),
        _ => new OpenAiNuGet(server),
    };

    /// <summary>Whether it tries again by itself.</summary>
    public static bool Retries(string name) => name != "buf curl";

    /// <summary>Whether the server hears of its time limit; of the others it sees only that they leave.</summary>
    public static bool TellsItsDeadline(string name) => name is "grpc-js" or "buf curl";

    /// <summary>How long one waits that does not tell the server its limit.</summary>
    public TimeSpan Patience { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Does it.</summary>
    public abstract Task<ClientAnswer> RunAsync(ClientDeed deed);

    private static string Text(JsonElement seen, string member) =>
        seen.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : string.Empty;

    private sealed class GrpcJs(WireServer server) : ForeignClient(server)
    {
        public override async Task<ClientAnswer> RunAsync(ClientDeed deed)
        {
            string mode = deed switch
            {
                ClientDeed.Stream => "stream",
                ClientDeed.Cancel => "cancel",
                ClientDeed.TimeOut => "deadline",
                ClientDeed.BadField => "bad-field",
                _ => "retry",
            };
            JsonElement seen = await ForeignProcess.NodeAsync(
                "grpc-js", "@grpc/grpc-js", ["interop.mjs", Server.GrpcAddress.Authority, Path.Combine(Repository.Root, "src", "ModelServe.Api", "Protos"), mode]);
            return new ClientAnswer(Text(seen, "text"), deed == ClientDeed.TimeOut ? Text(seen, "reason") : Text(seen, "details"));
        }
    }

    private sealed class BufCurl(WireServer server) : ForeignClient(server)
    {
        public override async Task<ClientAnswer> RunAsync(ClientDeed deed)
        {
            string folder = ForeignProcess.Folder("buf", "@bufbuild/buf");
            float temperature = deed == ClientDeed.BadField ? -1 : 0;
            int maxTokens = deed is ClientDeed.Cancel or ClientDeed.TimeOut ? 4_000 : 64;
            List<string> arguments =
            [
                "curl", "--http2-prior-knowledge", "--protocol", "grpc", "--data",
                JsonSerializer.Serialize(new
                {
                    messages = new[] { new { role = "user", content = "hello" } },
                    options = new { sampling = new { temperature }, stop = new { maxTokens } },
                }),
            ];
            if (deed == ClientDeed.TimeOut)
            {
                arguments.AddRange(["--timeout", "60s"]);
            }

            arguments.Add(new Uri(Server.GrpcAddress, "modelserve.v1.Inference/Chat").ToString());
            (_, string output) = await ForeignProcess.RunAsync(
                Path.Combine(folder, "node_modules", ".bin", "buf"), folder, [.. arguments], deed == ClientDeed.Cancel ? "\"tokens\"" : null);
            string text = string.Concat(output.Split('\n').Where(line => line.TrimStart().StartsWith("\"text\":", StringComparison.Ordinal))
                .Select(line => JsonDocument.Parse("{" + line.Trim().TrimEnd(',') + "}").RootElement.GetProperty("text").GetString()));
            string error = deed == ClientDeed.TimeOut && output.Contains("FINISH_REASON_DEADLINE", StringComparison.Ordinal) ? "FINISH_REASON_DEADLINE"
                : deed == ClientDeed.TimeOut && output.Contains("deadline_exceeded", StringComparison.Ordinal) ? "deadline_exceeded"
                : output;
            return new ClientAnswer(deed == ClientDeed.Stream ? text : string.Empty, error);
        }
    }

    private sealed class OpenAiJs(WireServer server, string prefix) : ForeignClient(server)
    {
        public override async Task<ClientAnswer> RunAsync(ClientDeed deed)
        {
            string mode = deed switch
            {
                ClientDeed.Stream => "stream",
                ClientDeed.Cancel => "cancel",
                ClientDeed.TimeOut => "timeout",
                ClientDeed.BadField => prefix.Length == 0 ? "bad-field" : "refused",
                _ => "retry",
            };
            JsonElement seen = await ForeignProcess.NodeAsync(
                "openai-js", "openai", ["client.mjs", Server.HttpAddress.AbsoluteUri.TrimEnd('/'), prefix + mode, $"{Patience.TotalMilliseconds:0}"]);
            return new ClientAnswer(Text(seen, "text"), deed == ClientDeed.BadField ? Text(seen, "message") : Text(seen, "error"));
        }
    }

    private sealed class OpenAiNuGet(WireServer server) : ForeignClient(server)
    {
        public override async Task<ClientAnswer> RunAsync(ClientDeed deed)
        {
            var options = new OpenAIClientOptions
            {
                Endpoint = new Uri(Server.HttpAddress, "/v1"),
                RetryPolicy = new ClientRetryPolicy(deed == ClientDeed.Retry ? 20 : 0),
                NetworkTimeout = deed == ClientDeed.TimeOut ? Patience : TimeSpan.FromSeconds(60),
            };
            var client = new ChatClient("fake", new ApiKeyCredential("none"), options);
            var chat = new ChatCompletionOptions
            {
                MaxOutputTokenCount = deed is ClientDeed.Cancel or ClientDeed.TimeOut ? 4_000 : 64,
                Temperature = deed == ClientDeed.BadField ? -1 : 0,
            };
            UserChatMessage[] hello = [new UserChatMessage("hello")];
            try
            {
                if (deed is not (ClientDeed.Stream or ClientDeed.Cancel))
                {
                    return new ClientAnswer((await client.CompleteChatAsync(hello, chat, Token)).Value.Content[0].Text, string.Empty);
                }

                string text = string.Empty;
                await foreach (StreamingChatCompletionUpdate update in client.CompleteChatStreamingAsync(hello, chat, Token))
                {
                    text += string.Concat(update.ContentUpdate.Select(part => part.Text));
                    if (deed == ClientDeed.Cancel && text.Length > 0)
                    {
                        break;
                    }
                }

                return new ClientAnswer(text, string.Empty);
            }
            catch (Exception exception) when (exception is ClientResultException or OperationCanceledException or AggregateException)
            {
                return new ClientAnswer(string.Empty, deed == ClientDeed.TimeOut ? exception.GetType().Name : exception.Message);
            }
        }
    }
}
