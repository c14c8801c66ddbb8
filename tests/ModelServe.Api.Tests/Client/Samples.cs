using Microsoft.Extensions.AI;
using ModelServe.Client;
using ModelServe.V1;

// A document shows what a small application writes.
#pragma warning disable CA1849, RS0030

namespace ModelServe.Api.Tests.Client;

/// <summary>The C# that the documents show, between markers; <see cref="SampleTests"/> runs it and compares the documents with it.</summary>
internal static class Samples
{
    public static async Task<string> ChatAsync(Uri address)
    {
        using var output = new StringWriter();
        TextWriter Console = output;
        // sample: chat
        using ModelServeClient client = ModelServeClient.Connect(address);
        ChatRequest request = new() { Messages = { new V1.ChatMessage { Role = "user", Content = "What is 27 + 58?" } } };
        await foreach (string text in client.ChatTextAsync(request))
        {
            Console.Write(text);
        }
        // end
        return output.ToString();
    }

    public static async Task<string> EventsAsync(ModelServeClient client, CancellationToken cancellationToken)
    {
        using var output = new StringWriter();
        TextWriter Console = output;
        // sample: events
        GenerateRequest request = new()
        {
            Text = "Once upon a time",
            Options = new GenerationOptions
            {
                Sampling = new SamplingParameters { Temperature = 0.7f, Seed = 7 },
                Stop = new StopConditions { MaxTokens = 64, Strings = { "\n" } },
            },
        };
        DateTime deadline = DateTime.UtcNow.AddSeconds(30);
        await foreach (GenerationEvent message in client.GenerateAsync(request, deadline, cancellationToken))
        {
            switch (message.EventCase)
            {
                case GenerationEvent.EventOneofCase.Accepted:
                    Console.WriteLine($"{message.Accepted.PromptTokens} prompt tokens, temperature {message.Accepted.Effective.Sampling.Temperature}");
                    break;
                case GenerationEvent.EventOneofCase.Tokens:
                    Console.Write(message.Tokens.Text);
                    break;
                case GenerationEvent.EventOneofCase.Finished:
                    Console.WriteLine($"\n{message.Finished.Reason} after {message.Finished.Usage.CompletionTokens} tokens");
                    break;
            }
        }
        // end
        return output.ToString();
    }

    public static async Task<string> RefusedAsync(ModelServeClient client, GenerateRequest request)
    {
        using var output = new StringWriter();
        TextWriter Console = output;
        // sample: refused
        try
        {
            await client.GenerateOnceAsync(request);
        }
        catch (RequestRefusedException refused) when (refused.Reason == RefusalReason.InvalidField)
        {
            Console.WriteLine($"{refused.Field} must be {refused.Limit}; it was {refused.GivenValue}");
        }
        catch (RequestRefusedException refused) when (refused.RetryAfter is { } wait)
        {
            Console.WriteLine($"{refused.Reason}: try again in {wait}");
        }
        catch (ModelServeException failed)
        {
            Console.WriteLine($"{failed.Code} after the request was accepted");
        }
        // end
        return output.ToString();
    }

    public static async Task<string> OptionsAsync(Uri address)
    {
        // sample: options
        ModelServeClientOptions options = new()
        {
            ApiKey = "the key",
            Timeout = TimeSpan.FromMinutes(2),
            Retry = new RetryOptions { MaxAttempts = 6, MaxDelay = TimeSpan.FromSeconds(5) },
            ConfigureHandler = handler => handler.ConnectTimeout = TimeSpan.FromSeconds(3),
        };
        using ModelServeClient client = ModelServeClient.Connect(address, options);
        // end
        return (await client.ServerInfoAsync()).Software;
    }

    public static async Task<string> ChatClientAsync(ModelServeClient client)
    {
        using var output = new StringWriter();
        TextWriter Console = output;
        // sample: chat-client
        using IChatClient chat = new ModelServeChatClient(client);
        ChatResponse response = await chat.GetResponseAsync("What is 27 + 58?", new() { Temperature = 0 });
        Console.WriteLine($"{response.Text} ({response.Usage?.OutputTokenCount} tokens)");
        // end
        return output.ToString();
    }

    public static async Task<string> LoadAsync(ModelServeClient client, string name)
    {
        using var output = new StringWriter();
        TextWriter Console = output;
        // sample: load
        await foreach (LoadModelEvent message in client.Admin.LoadAsync(new LoadModelRequest { Model = name, Directory = "extra" }))
        {
            Console.WriteLine(message.Progress is { } progress
                ? $"{progress.Stage}: {progress.Bytes} of {progress.BytesTotal} bytes"
                : $"{message.Loaded.Name} is {message.Loaded.State}");
        }
        // end
        return output.ToString();
    }
}
