using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Metrics;
using ModelServe.Api.Requests;
using ModelServe.Api.Services;
using ModelServe.Engine.Admission;
using EndReason = ModelServe.Engine.Admission.FinishReason;

namespace ModelServe.Api.OpenAi;

/// <summary>What both kinds of generation do with requests that were read: admit all or none, pump each, end the response. Thread-safe.</summary>
internal sealed class HttpCall(
    RequestAdmission admission, MetricsRegistry metrics, ApiOptions options, TimeProvider time, ILogger<HttpCall> logger)
{

    /// <summary>Refuses a request that could not be read.</summary>
    public Task RefuseAsync(HttpContext context, string? model, Rejection rejection)
    {
        metrics.CountRejected(model ?? string.Empty, rejection.Reason);
        return ErrorAnswer.WriteAsync(context, HttpError.Of(rejection));
    }

    /// <summary>Runs the outputs of a request to their ends.</summary>
    /// <param name="context">The call.</param>
    /// <param name="reads">One request a prompt.</param>
    /// <param name="echoes">What the outputs of each prompt begin with; null for nothing.</param>
    /// <param name="chat">Whether it is a chat.</param>
    /// <param name="shape">Which outputs, how they are sent.</param>
    public async Task RunAsync(HttpContext context, ReadRequest[] reads, string[]? echoes, bool chat, OutputShape shape)
    {
        for (int i = 0; i < reads.Length; i++)
        {
            (reads[i], Rejection? refused) = await GrammarBinder.BindAsync(reads[i], CallerOf(context), context.RequestAborted);
            if (refused is not null)
            {
                await RefuseAsync(context, reads[i].Model.Name, refused);
                return;
            }
        }

        PromptPart[] prompts = [.. reads.Select((read, i) => new PromptPart(read, echoes?[i], shape))];
        string id = (chat ? "chatcmpl-" : "cmpl-") + Guid.CreateVersion7().ToString("N");
        AdmittedRequest[]? requests = Admit(reads, shape, id, out Rejection? rejection);
        if (requests is null)
        {
            await ErrorAnswer.WriteAsync(context, HttpError.Of(rejection!));
            return;
        }

        try
        {
            string kind = chat ? shape.Stream ? "chat.completion.chunk" : "chat.completion" : "text_completion";
            var head = new AnswerHead(id, kind, time.GetUtcNow().ToUnixTimeSeconds(), reads[0].Model.Name);
            if (shape.Stream)
            {
                await StreamAsync(context, requests, prompts, chat, shape, head);
            }
            else
            {
                await CollectAsync(context, requests, prompts, chat, shape, head);
            }
        }
        catch (OperationCanceledException)
        {
            // The client is gone or was cut off: there is nobody to tell.
        }
        finally
        {
            foreach (AdmittedRequest request in requests)
            {
                request.Dispose();
            }
        }
    }

    /// <summary>What tells one caller from another; null for one without a credential.</summary>
    public static string? CallerOf(HttpContext context) =>
        context.Request.Headers.Authorization is { Count: > 0 } given ? given.ToString() : null;

    private AdmittedRequest[]? Admit(ReadRequest[] reads, OutputShape shape, string id, out Rejection? rejection)
    {
        var choices = new ReadRequest[reads.Length * shape.Choices];
        for (int i = 0; i < choices.Length; i++)
        {
            ReadRequest read = reads[i / shape.Choices];
            SamplingOptions sampling = read.Request.Sampling;
            choices[i] = read with
            {
                Request = read.Request with
                {
                    RequestId = i == 0 ? id : $"{id}-{FieldCheck.Text(i)}",
                    // Each output draws its own numbers, the first those of the seed itself.
                    Sampling = sampling with
                    {
                        Seed = unchecked(sampling.Seed + (ulong)(i % shape.Choices)),
                        PromptLogprobs = i % shape.Choices == 0 ? sampling.PromptLogprobs : null,
                    },
                },
            };
        }

        return admission.TryAdmit(choices, DateTime.MaxValue, out AdmittedRequest[]? requests, out rejection) ? requests : null;
    }

    private async Task StreamAsync(
        HttpContext context, AdmittedRequest[] requests, PromptPart[] prompts, bool chat, OutputShape shape, AnswerHead head)
    {
        using var stream = new SseStream(context, time);
        ChoiceWriter[] writers =
        [
            .. requests.Select((_, i) => chat
                ? (ChoiceWriter)new ChatChoiceWriter(stream, shape, head, i, prompts[i / shape.Choices])
                : new TextChoiceWriter(stream, shape, head, i, prompts[i / shape.Choices])),
        ];
        if (!await PumpAsync(context, requests, prompts, writers))
        {
            return;
        }

        await stream.EnterAsync();
        stream.End();
        JsonText json = new(stream.Pipe);
        if (writers.FirstOrDefault(writer => writer.Failure is not null) is { } failed)
        {
            json.Raw("data: "u8);
            json.Raw(ErrorAnswer.BodyOf(failed.Failure!));
            json.Raw("\n\n"u8);
            await stream.FlushAsync();
            await BrokenEnd.EndAsync(context, time);
            return;
        }

        if (shape.IncludeUsage)
        {
            json.Raw(head.Event);
            json.Raw("],"u8);
            writers.Aggregate(default(UsageJson), (all, writer) => all + writer.Usage).Write(json);
            json.Raw("}\n\n"u8);
        }

        json.Raw("data: [DONE]\n\n"u8);
        await stream.FlushAsync();
    }

    private async Task CollectAsync(
        HttpContext context, AdmittedRequest[] requests, PromptPart[] prompts, bool chat, OutputShape shape, AnswerHead head)
    {
        ChoiceCollector[] choices =
            [.. requests.Select((_, i) => new ChoiceCollector(chat, i % shape.Choices == 0, prompts[i / shape.Choices]))];
        if (!await PumpAsync(context, requests, prompts, choices))
        {
            return;
        }

        if (choices.FirstOrDefault(choice => choice.Failure is not null) is { } failed)
        {
            await ErrorAnswer.WriteAsync(context, failed.Failure!);
            return;
        }

        context.Response.ContentType = "application/json; charset=utf-8";
        JsonText json = new(context.Response.BodyWriter);
        json.Raw(head.Object);
        for (int i = 0; i < choices.Length; i++)
        {
            json.Raw(i > 0 ? ","u8 : ""u8);
            choices[i].Write(json, i);
        }

        json.Raw("],"u8);
        choices.Aggregate(default(UsageJson), (all, choice) => all + choice.Usage).Write(json);
        if (chat && prompts[0] is { Listed: not null, Logprobs: { } known })
        {
            PromptLogprobJson.WriteList(json, prompts[0], known);
        }

        json.Raw("}"u8);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    /// <summary>Pumps every output to its end; one that fails ends the others, because the response fails as a whole.</summary>
    /// <remarks>Outputs after a prompt's first begin when that one knows what they show of the prompt; their tokens gather meanwhile.</remarks>
    /// <returns>Whether there is somebody to tell of the end: false where the client has gone or was cut off.</returns>
    private async Task<bool> PumpAsync<TWriter>(HttpContext context, AdmittedRequest[] requests, PromptPart[] prompts, TWriter[] writers)
        where TWriter : IOutputWriter, IChoice
    {
        using var others = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        int choices = requests.Length / prompts.Length;
        async Task<bool> PumpOneAsync(int i)
        {
            PromptPart prompt = prompts[i / choices];
            using var pump = new ResponsePump(requests[i], writers[i], options.Limits.StalledWrite, context.Abort, time, logger);
            try
            {
                if (i % choices > 0 && prompt.IsAwaited)
                {
                    await prompt.Known.WaitAsync(others.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }

                bool told = await pump.RunAsync(others.Token);
                if (told && writers[i].Failure is not null)
                {
                    await others.CancelAsync();
                }

                // An output that was cut short because another failed is reported with that one.
                return told || others.IsCancellationRequested;
            }
            finally
            {
                if (i % choices == 0)
                {
                    prompt.Tell(null);
                }
            }
        }

        bool[] told = await Task.WhenAll(requests.Select((_, i) => PumpOneAsync(i)));
        return Array.TrueForAll(told, each => each) && !context.RequestAborted.IsCancellationRequested
            && !Array.Exists(requests, request => request.Ending == EndReason.SlowReader);
    }
}
