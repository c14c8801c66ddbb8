using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ModelServe.Api;
using ModelServe.Api.Models;
using ModelServe.Api.OpenAi;
using ModelServe.Api.Requests;
using ModelServe.Codec;
using ModelServe.Codec.Templates;
using ModelServe.Engine.Running;
using ModelServe.Engine.Simulation;
using ModelServe.Execution.Checkpoints;
using ModelServe.V1;

namespace ModelServe.Fuzz;

/// <summary>Everything that reads bytes of strangers, as functions of bytes: each returns, or throws what its reader documents; anything else is a bug.</summary>
public sealed class FuzzTargets : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("modelserve-fuzz-").FullName;
    private readonly FakeExecutor _executor;
    private readonly EngineLoop _engine;
    private readonly ServiceProvider _services;
    private readonly RequestReader _requests;
    private readonly ChatFields _chats;

    /// <summary>Readers over a text model.</summary>
    /// <param name="textFolder">Folder of its tokenizer and template.</param>
    public FuzzTargets(string textFolder)
    {
        TextModel text = TextModel.Load(textFolder);
        _executor = new FakeExecutor(new ExecutorGeometry(text.Tokenizer.VocabularySize, 512, 16, 65, 4, 256), 1);
        _engine = new EngineLoop(_executor, new EngineOptions(), TimeProvider.System);
        var catalog = new ModelCatalog([new ServedModel("fuzz", text, _engine)]);
        _services = new ServiceCollection().AddLogging().AddModelServeApi(catalog, new ApiOptions()).BuildServiceProvider();
        _requests = _services.GetRequiredService<RequestReader>();
        _chats = new ChatFields(catalog, _requests, new RequestLimits());
    }

    /// <summary>Names of the targets, which are also those of their corpus folders.</summary>
    public static IReadOnlyList<string> Names { get; } = ["safetensors", "tokenizer", "template", "request", "json"];

    /// <summary>Feeds bytes to a target.</summary>
    public void Run(string target, byte[] bytes)
    {
        switch (target)
        {
            case "safetensors":
                ReadSafetensors(bytes);
                break;
            case "tokenizer":
                ReadTokenizer(bytes);
                break;
            case "template":
                ReadTemplate(bytes);
                break;
            case "request":
                ReadRequest(bytes);
                break;
            case "json":
                ReadJson(bytes);
                break;
            default:
                throw new ArgumentException($"target: one of {string.Join(", ", Names)}; got {target}", nameof(target));
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _services.Dispose();
        _engine.Dispose();
        _executor.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private void ReadSafetensors(byte[] bytes)
    {
        string path = Path.Combine(_folder, "model.safetensors");
        File.WriteAllBytes(path, bytes);
        try
        {
            using SafetensorsFile file = SafetensorsFile.Open(path);
            foreach (StoredTensor tensor in file.Tensors)
            {
                file.Read(tensor, 0, new byte[Math.Min(tensor.Bytes, 64)]);
            }
        }
        catch (CheckpointException)
        {
        }
    }

    private void ReadTokenizer(byte[] bytes)
    {
        File.WriteAllBytes(Path.Combine(_folder, "tokenizer.json"), bytes);
        try
        {
            HfTokenizer tokenizer = HfTokenizer.Load(_folder);
            tokenizer.DecodeIds(tokenizer.EncodeIds("Hello, wörld! 12\n", addSpecialTokens: true, parseSpecialTokens: true), false);
        }
        catch (Exception documented) when (documented is InvalidTextModelException or UnsupportedFeatureException)
        {
        }
    }

    private static void ReadTemplate(byte[] bytes)
    {
        var limits = new TemplateLimits { MaxSteps = 20_000, MaxOutputLength = 64 * 1024 };
        var variables = new JsonObject
        {
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Hi" }),
            ["add_generation_prompt"] = true,
        };
        try
        {
            ChatTemplate.Parse(Encoding.UTF8.GetString(bytes), limits).Render(variables);
        }
        catch (Exception documented) when (documented is TemplateException or UnsupportedFeatureException)
        {
        }
    }

    private void ReadRequest(byte[] bytes)
    {
        try
        {
            _requests.Read(GenerateRequest.Parser.ParseFrom(bytes), null, out _);
            _requests.Read(ChatRequest.Parser.ParseFrom(bytes), null, out _);
        }
        catch (InvalidProtocolBufferException)
        {
        }
    }

    private void ReadJson(byte[] bytes)
    {
        var context = new DefaultHttpContext();
        context.Request.ContentType = "application/json";
        context.Request.Body = new MemoryStream(bytes);
        // The stream is in memory, so the task is complete.
        (JsonDocument? document, _) = JsonBody.ReadAsync(context, new RequestLimits()).GetAwaiter().GetResult();
        using (document)
        {
            if (document is not null)
            {
                _chats.Read(document.RootElement, null, out _, out _);
            }
        }
    }
}
