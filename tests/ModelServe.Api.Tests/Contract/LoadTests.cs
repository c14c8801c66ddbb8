using Google.Rpc;
using Grpc.Core;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Contract;

/// <summary>Models come and go while others are served.</summary>
public sealed class LoadTests(SyntheticCheckpoint checkpoint) : ContractTest(checkpoint)
{
    private static readonly string[] Traversals =
    [
        "../etc", "..", ".", "model/..", "../model", "model/../..", " ..", ".. ", "/etc", "\\..\\etc", "model/./..", "", "a//b",
        "%2e%2e/etc", "a/.hidden", "a\0b", "~root",
    ];

    [Fact]
    public async Task A_loaded_model_reports_its_progress_and_serves()
    {
        await using WireServer server = await StartLoadingAsync();
        List<LoadModelEvent> events = await ReadAllAsync(
            Models(server).Load(new LoadModelRequest { Model = "extra", ContextTokens = 100, CacheBytes = 4096, Dtype = "float32" }, cancellationToken: Token));
        Assert.Equal("extra", events[^1].Loaded.Name);
        Assert.Equal(ModelState.Serving, events[^1].Loaded.State);
        Assert.All(events.SkipLast(1), message => Assert.Equal(LoadModelEvent.EventOneofCase.Progress, message.EventCase));
        Assert.Equal(Path.Combine(Root, "extra"), Loader.LastOrder!.Directory);
        Assert.Equal((100, 4096L, "float32"), (Loader.LastOrder.ContextTokens, Loader.LastOrder.CacheBytes, Loader.LastOrder.DType));

        GenerateRequest request = Prompt(4);
        request.Model = "extra";
        Assert.Equal(4, (await server.Client.GenerateOnceAsync(request, cancellationToken: Token)).Output.TokenIds.Count);
        Assert.Equal(["fake", "extra"], (await server.Client.ListModelsAsync(Token)).Select(model => model.Name));
    }

    [Fact]
    public async Task Progress_of_the_weights_names_file_and_bytes_and_the_name_is_busy_meanwhile()
    {
        await using WireServer server = await StartLoadingAsync();
        Loader.Hold();
        using AsyncServerStreamingCall<LoadModelEvent> load = Models(server).Load(new LoadModelRequest { Model = "extra" }, cancellationToken: Token);
        LoadProgress progress = await UntilAsync(load, LoadStage.Weights);
        Assert.Equal(("model.safetensors", 1L, 2L), (progress.File, progress.Bytes, progress.BytesTotal));
        Assert.Equal(ModelState.Loading, (await server.Client.GetModelAsync("extra", Token)).State);

        RpcException busy = await FailsAsync(Models(server).Load(new LoadModelRequest { Model = "extra" }, cancellationToken: Token), StatusCode.Unavailable);
        Assert.Equal("1000", busy.Trailers.GetValue("grpc-retry-pushback-ms"));
        Assert.NotNull(busy.GetRpcStatus()!.GetDetail<RetryInfo>());
        GenerateRequest request = Prompt();
        request.Model = "extra";
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(() => server.Client.GenerateOnceAsync(request, cancellationToken: Token));
        Assert.Equal(StatusCode.Unavailable, refused.StatusCode);
        Loader.Release();
        Assert.Equal(LoadModelEvent.EventOneofCase.Loaded, (await ReadRestAsync(load))[^1].EventCase);
    }

    [Fact]
    public async Task A_cancelled_load_leaves_nothing()
    {
        await using WireServer server = await StartLoadingAsync();
        Loader.Hold();
        using (AsyncServerStreamingCall<LoadModelEvent> load = Models(server).Load(new LoadModelRequest { Model = "extra" }, cancellationToken: Token))
        {
            await UntilAsync(load, LoadStage.Weights);
        }

        await WireServer.EventuallyAsync(() => server.Client.ListModelsAsync(Token).GetAwaiter().GetResult().Count == 1, "the name is free");
        Assert.Equal(0, Loader.Alive);
        Loader.Release();
        await LoadAsync(server);
        Assert.Equal(1, Loader.Alive);
    }

    [Fact]
    public async Task A_damaged_checkpoint_is_refused_by_file_and_tensor_and_the_name_is_free_again()
    {
        await using WireServer server = await StartLoadingAsync();
        Loader.Damage = "model-00002.safetensors: model.norm.weight: 64 bytes; got 60";
        RpcException refused = await FailsAsync(
            Models(server).Load(new LoadModelRequest { Model = "extra" }, cancellationToken: Token), StatusCode.FailedPrecondition);
        Assert.Contains("model-00002.safetensors: model.norm.weight", refused.Status.Detail, StringComparison.Ordinal);
        PreconditionFailure.Types.Violation violation = Assert.Single(refused.GetRpcStatus()!.GetDetail<PreconditionFailure>()!.Violations);
        Assert.Equal(("LOAD_REFUSED", "directory"), (violation.Type, violation.Subject));
        Assert.Equal("-1", refused.Trailers.GetValue("grpc-retry-pushback-ms"));
        Loader.Damage = null;
        await LoadAsync(server);
    }

    [Fact]
    public async Task Names_and_folders_of_another_form_are_refused()
    {
        await using WireServer server = await StartLoadingAsync();
        foreach (string name in new[] { "Extra", "-extra", "", "a/b", "..", new string('a', 65), "a b", "ä" })
        {
            RpcException refused = await FailsAsync(
                Models(server).Load(new LoadModelRequest { Model = name, Directory = "extra" }, cancellationToken: Token), StatusCode.InvalidArgument);
            Assert.Equal("model", refused.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations[0].Field);
        }

        foreach (string directory in Traversals.Where(text => text.Length > 0))
        {
            RpcException refused = await FailsAsync(
                Models(server).Load(new LoadModelRequest { Model = "extra", Directory = directory }, cancellationToken: Token), StatusCode.InvalidArgument);
            Assert.Equal("directory", refused.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations[0].Field);
            Assert.DoesNotContain(Root, refused.Status.Detail, StringComparison.Ordinal);
        }

        await FailsAsync(Models(server).Load(new LoadModelRequest { Model = "nowhere" }, cancellationToken: Token), StatusCode.NotFound);
        await FailsAsync(Models(server).Load(new LoadModelRequest { Model = "fake", Directory = "extra" }, cancellationToken: Token), StatusCode.AlreadyExists);
        await FailsAsync(
            Models(server).Load(new LoadModelRequest { Model = "extra", ContextTokens = 0 }, cancellationToken: Token), StatusCode.InvalidArgument);
        Assert.Null(Loader.LastOrder);
    }

    [Fact]
    public async Task Links_that_leave_the_root_are_refused_and_links_within_it_are_not()
    {
        string outside = Directory.CreateTempSubdirectory("modelserve-outside-").FullName;
        try
        {
            Directory.CreateSymbolicLink(Path.Combine(Root, "away"), outside);
            Directory.CreateDirectory(Path.Combine(Root, "file"));
            await File.WriteAllTextAsync(Path.Combine(outside, "secret"), "s", Token);
            File.CreateSymbolicLink(Path.Combine(Root, "file", "model.safetensors"), Path.Combine(outside, "secret"));
            Directory.CreateSymbolicLink(Path.Combine(Root, "circle"), Path.Combine(Root, "circle"));
            Directory.CreateDirectory(Path.Combine(Root, "blobs"));
            Directory.CreateDirectory(Path.Combine(Root, "within"));
            await File.WriteAllTextAsync(Path.Combine(Root, "blobs", "w"), "w", Token);
            File.CreateSymbolicLink(Path.Combine(Root, "within", "model.safetensors"), "../blobs/w");
            await using WireServer server = await StartLoadingAsync();
            foreach (string directory in new[] { "away", "file" })
            {
                await FailsAsync(
                    Models(server).Load(new LoadModelRequest { Model = "extra", Directory = directory }, cancellationToken: Token), StatusCode.InvalidArgument);
            }

            await FailsAsync(Models(server).Load(new LoadModelRequest { Model = "circle" }, cancellationToken: Token), StatusCode.NotFound);
            Assert.Null(Loader.LastOrder);
            await ReadAllAsync(Models(server).Load(new LoadModelRequest { Model = "within" }, cancellationToken: Token));
        }
        finally
        {
            Directory.Delete(outside, recursive: true);
        }
    }

    [Fact]
    public async Task A_server_without_a_root_loads_nothing()
    {
        await using WireServer server = await StartAsync();
        await FailsAsync(Models(server).Load(new LoadModelRequest { Model = "extra" }, cancellationToken: Token), StatusCode.FailedPrecondition);
    }

    [Fact]
    public async Task A_draining_server_loads_nothing()
    {
        await using WireServer server = await StartLoadingAsync();
        server.Drain.Begin();
        RpcException refused = await FailsAsync(
            Models(server).Load(new LoadModelRequest { Model = "extra" }, cancellationToken: Token), StatusCode.Unavailable);
        Assert.Equal("0", refused.Trailers.GetValue("grpc-retry-pushback-ms"));
    }

    private static async Task<LoadProgress> UntilAsync(AsyncServerStreamingCall<LoadModelEvent> load, LoadStage stage)
    {
        while (await load.ResponseStream.MoveNext(Token))
        {
            if (load.ResponseStream.Current.Progress?.Stage == stage)
            {
                return load.ResponseStream.Current.Progress;
            }
        }

        throw new InvalidOperationException($"the load ended before {stage}");
    }

    private static async Task<List<LoadModelEvent>> ReadRestAsync(AsyncServerStreamingCall<LoadModelEvent> load)
    {
        List<LoadModelEvent> events = [];
        await foreach (LoadModelEvent message in load.ResponseStream.ReadAllAsync(Token))
        {
            events.Add(message);
        }

        return events;
    }
}
