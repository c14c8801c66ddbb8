using System.Globalization;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Host.Options;

namespace ModelServe.Host.Models;

/// <summary>Divides one GPU's memory among the models of the command line, before the first of them is loaded.</summary>
/// <remarks>
/// Weights, activations and workspaces are what they are; what is left becomes key-value blocks in equal parts, unless the blocks'
/// memory was given. Hence the order of the models on the command line does not matter.
/// </remarks>
internal static class GpuMemoryShares
{
    /// <summary>Bytes that each model may take, in their order.</summary>
    /// <exception cref="MemoryPlanException">They do not fit together; the message names every model with its numbers.</exception>
    /// <exception cref="ModelLoadException">One of them cannot be served on the device at all.</exception>
    public static long[] Divide(string device, IReadOnlyList<ModelReference> models, EngineSettings settings)
    {
        ModelLoadOptions options = settings.ToLoadOptions() with { Device = device };
        MemoryPlan[] plans = [.. models.Select(model => NamedFailure.Of(model.Name, () => ModelLoader.Inspect(model.Directory, options).Plan))];
        long budget = plans.Max(plan => plan.BudgetBytes);
        // Without a given size every model gets blocks for a few tokens at least; the loader says so where they are too few.
        long[] needs = [.. plans.Select(plan => plan.TotalBytes - (settings.KvMemoryBytes is null ? plan.CacheBytes - (2 * plan.BlockBytes) : 0))];
        long rest = budget - needs.Sum();
        if (rest < 0)
        {
            throw new MemoryPlanException($"device memory: at most {Mebibytes(budget)} of {device} for {models.Count} models; got " + string.Join(
                " + ",
                models.Zip(plans, needs).Select(model =>
                    $"'{model.First.Name}' {Mebibytes(model.Third)} (weights {Mebibytes(model.Second.WeightBytes)})")));
        }

        return settings.KvMemoryBytes is null ? [.. needs.Select(need => need + (rest / needs.Length))] : needs;
    }

    private static string Mebibytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:N1} MiB");
}
