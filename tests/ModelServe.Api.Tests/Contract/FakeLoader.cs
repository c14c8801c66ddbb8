using ModelServe.Api.Models;
using ModelServe.Api.Tests.Wire;

namespace ModelServe.Api.Tests.Contract;

/// <summary>Loads fake models; a test can hold a load at its weights, or let a folder be damaged.</summary>
public sealed class FakeLoader(SyntheticCheckpoint checkpoint) : IModelLoader, IDisposable
{
    private readonly ManualResetEventSlim _open = new(initialState: true);
    private int _alive;

    /// <summary>Models that were loaded and not disposed.</summary>
    public int Alive => Volatile.Read(ref _alive);

    /// <summary>The order of the last load.</summary>
    public ModelLoadOrder? LastOrder { get; private set; }

    /// <summary>What the next loads are refused with.</summary>
    public string? Damage { get; set; }

    /// <summary>The engine of the last load.</summary>
    public FakeModel? LastModel { get; private set; }

    public void Hold() => _open.Reset();

    public void Release() => _open.Set();

    public void Dispose() => _open.Dispose();

    public ServedModel Load(ModelLoadOrder order, IProgress<ModelLoadStep> progress, CancellationToken cancellationToken)
    {
        LastOrder = order;
        progress.Report(new ModelLoadStep(ModelLoadStage.Checking));
        if (Damage is { } damage)
        {
            throw new ModelRefusedException(damage);
        }

        progress.Report(new ModelLoadStep(ModelLoadStage.Weights, "model.safetensors", 1, 2));
        _open.Wait(cancellationToken);
        progress.Report(new ModelLoadStep(ModelLoadStage.Weights, "model.safetensors", 2, 2));
        cancellationToken.ThrowIfCancellationRequested();
        progress.Report(new ModelLoadStep(ModelLoadStage.Starting));
        var fake = new FakeModel(context: 128, blocks: 32, slots: 2);
        LastModel = fake;
        Interlocked.Increment(ref _alive);
        return new ServedModel(order.Name, checkpoint.Text, fake.Engine) { Directory = order.Directory, Resources = new Counted(this, fake) };
    }

    private sealed class Counted(FakeLoader owner, FakeModel fake) : IDisposable
    {
        public void Dispose()
        {
            fake.Dispose();
            Interlocked.Decrement(ref owner._alive);
        }
    }
}
