using ModelServe.Execution.Memory;

namespace ModelServe.Host.Models;

/// <summary>Says of which model a memory plan speaks that failed, where a process has several.</summary>
internal static class NamedFailure
{
    /// <summary>Runs something about a model.</summary>
    /// <exception cref="MemoryPlanException">The same as was thrown, with the model's name before its message.</exception>
    public static T Of<T>(string model, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (MemoryPlanException exception)
        {
            throw new MemoryPlanException($"model '{model}': {exception.Message}", exception);
        }
    }
}
