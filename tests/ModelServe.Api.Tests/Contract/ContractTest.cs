using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using ModelServe.Api.Models;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Contract;

/// <summary>What the tests of models, control and events share: a server that can load, its root folder, and its stubs.</summary>
public abstract class ContractTest : WireTest, IDisposable
{
    protected ContractTest(SyntheticCheckpoint checkpoint)
        : base(checkpoint)
    {
        Loader = new FakeLoader(checkpoint);
        Directory.CreateDirectory(Path.Combine(Root, "extra"));
    }

    protected FakeLoader Loader { get; }

    protected string Root { get; } = Directory.CreateTempSubdirectory("modelserve-root-").FullName;

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing)
    {
        Loader.Dispose();
        Directory.Delete(Root, recursive: true);
    }

    protected Task<WireServer> StartLoadingAsync(params FakeModel[] models) => WireServer.StartAsync(
        Checkpoint,
        new ApiOptions { ModelRoots = new ModelRoots([Root]) },
        services => services.AddSingleton<IModelLoader>(Loader),
        models);

    protected static V1.Models.ModelsClient Models(WireServer server) => new(server.Channel);

    protected static Control.ControlClient Control(WireServer server) => new(server.Channel);

    protected static Events.EventsClient Events(WireServer server) => new(server.Channel);

    protected static async Task<List<T>> ReadAllAsync<T>(AsyncServerStreamingCall<T> call)
    {
        using (call)
        {
            List<T> all = [];
            await foreach (T message in call.ResponseStream.ReadAllAsync(Token))
            {
                all.Add(message);
            }

            return all;
        }
    }

    protected static async Task<RpcException> FailsAsync<T>(AsyncServerStreamingCall<T> call, StatusCode code)
    {
        RpcException exception = await Assert.ThrowsAnyAsync<RpcException>(() => ReadAllAsync(call));
        Assert.Equal(code, exception.StatusCode);
        return exception;
    }

    protected async Task LoadAsync(WireServer server, string name = "extra") =>
        Assert.Equal(
            LoadModelEvent.EventOneofCase.Loaded,
            (await ReadAllAsync(Models(server).Load(new LoadModelRequest { Model = name, Directory = "extra" }, cancellationToken: Token)))[^1].EventCase);
}
