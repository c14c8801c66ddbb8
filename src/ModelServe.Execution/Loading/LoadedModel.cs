using ModelServe.Engine.Running;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Memory;

namespace ModelServe.Execution.Loading;

/// <summary>A model ready to run, and the owner of all its memory.</summary>
/// <remarks>Dispose it only after the engine that uses <see cref="Executor"/> has stopped.</remarks>
public sealed class LoadedModel : IDisposable
{
    private readonly IDisposable[] _parts;

    /// <summary>Takes over the parts of a model; they are disposed in the order given.</summary>
    internal LoadedModel(
        ModelConfig config, MemoryPlan plan, OpsKind ops, string kernels, IReadOnlyList<string> notes, IStepExecutor executor, params IDisposable[] parts)
    {
        Config = config;
        Plan = plan;
        Ops = ops;
        Kernels = kernels;
        Notes = notes;
        Executor = executor;
        _parts = parts;
    }

    /// <summary>What its config.json says.</summary>
    public ModelConfig Config { get; }

    /// <summary>Where its memory goes.</summary>
    public MemoryPlan Plan { get; }

    /// <summary>Which operations run it; never <see cref="OpsKind.Auto"/>.</summary>
    public OpsKind Ops { get; }

    /// <summary>What an operator should know of the loading, a sentence each; empty for a plain one.</summary>
    public IReadOnlyList<string> Notes { get; }

    /// <summary>Which kernels multiply, and on how many threads, in a line.</summary>
    public string Kernels { get; }

    /// <summary>The port through which an engine runs it.</summary>
    public IStepExecutor Executor { get; }

    /// <inheritdoc />
    public void Dispose()
    {
        Executor.Dispose();
        foreach (var part in _parts)
        {
            part.Dispose();
        }
    }
}
