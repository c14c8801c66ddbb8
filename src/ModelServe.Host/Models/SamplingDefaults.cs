using ModelServe.Codec;
using ModelServe.Engine.Admission;

namespace ModelServe.Host.Models;

/// <summary>Turns a checkpoint's generation_config into sampling options for the commands that need no server.</summary>
internal static class SamplingDefaults
{
    /// <summary>Greedy when the checkpoint says do_sample = false; otherwise its values over the neutral ones.</summary>
    public static SamplingOptions From(GenerationDefaults defaults) => new()
    {
        Temperature = defaults.DoSample == false ? 0f : defaults.Temperature ?? (defaults.DoSample == true ? 1f : 0f),
        TopP = defaults.TopP ?? 1f,
        TopK = defaults.TopK ?? 0,
        MinP = defaults.MinP ?? 0f,
        RepetitionPenalty = defaults.RepetitionPenalty ?? 1f,
    };
}
