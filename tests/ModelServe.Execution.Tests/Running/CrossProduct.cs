using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Models;

namespace ModelServe.Execution.Tests.Running;

/// <summary>What tests have in common that compute the same requests in all sizes of steps: mates with a common beginning, and little room.</summary>
internal static class CrossProduct
{
    /// <summary>Requests at once.</summary>
    public const int Mates = 5;

    /// <summary>Prompts of different lengths behind the same 33 tokens.</summary>
    public static int[][] Prompts(TinyModel model)
    {
        var shared = ForwardPassTests.Prompt(model, 33);
        return [.. Enumerable.Range(0, Mates).Select(i => (int[])[.. shared, .. ForwardPassTests.Prompt(model, 2 + (3 * i), seed: 100 + i)])];
    }

    /// <summary>Steps too small for all of them at once, and so many blocks of key-value cache.</summary>
    public static ModelLoadOptions Options(RandomCheckpoint checkpoint, ModelLoadOptions given, int blocks)
    {
        var options = given with { MaxSequences = Mates, MaxBatchedTokens = 48, MaxModelLength = 80 };
        return options with { KvMemoryBytes = ModelLoader.Inspect(checkpoint.Folder, options).Plan.BlockBytes * blocks };
    }
}
