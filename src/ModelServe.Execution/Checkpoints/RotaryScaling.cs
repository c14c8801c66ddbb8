namespace ModelServe.Execution.Checkpoints;

/// <summary>How a model stretches its rotary embedding beyond the positions it was first trained on.</summary>
public enum RotaryScalingKind
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>All frequencies divided by the factor.</summary>
    Linear,

    /// <summary>Llama 3.1's rule: long wavelengths divided, short ones kept, those between blended.</summary>
    Llama3,
}

/// <summary>Kind and numbers of a model's rotary scaling.</summary>
/// <param name="Kind">Which rule.</param>
/// <param name="Factor">How far it stretches; 1 for none.</param>
/// <param name="LowFrequencyFactor">Wavelengths above originalPositions / this are divided by the factor; Llama 3 only.</param>
/// <param name="HighFrequencyFactor">Wavelengths below originalPositions / this are kept; Llama 3 only.</param>
/// <param name="OriginalPositions">Positions of the first training; Llama 3 only.</param>
public sealed record RotaryScaling(
    RotaryScalingKind Kind,
    double Factor = 1,
    double LowFrequencyFactor = 1,
    double HighFrequencyFactor = 4,
    int OriginalPositions = 8192)
{
    private const int MaxPositions = 1 << 24;

    /// <summary>No scaling.</summary>
    public static RotaryScaling None { get; } = new(RotaryScalingKind.None);

    /// <summary>Reads the scaling object of a config; null means none.</summary>
    /// <exception cref="CheckpointException">The kind is not implemented or a number is out of range.</exception>
    internal static RotaryScaling Read(ConfigFields? fields)
    {
        if (fields is null)
        {
            return None;
        }

        var field = fields.Has("rope_type") ? "rope_type" : "type";
        var kind = fields.Text(field) ?? "default";
        switch (kind)
        {
            case "default":
                return None;
            case "linear":
                return new RotaryScaling(RotaryScalingKind.Linear, fields.Double("factor", 1, 1024, null));
            case "llama3":
                var low = fields.Double("low_freq_factor", 1e-3, 1e3, null);
                var high = fields.Double("high_freq_factor", 1e-3, 1e3, null);
                if (high <= low)
                {
                    throw fields.Refuse("high_freq_factor", $"more than low_freq_factor ({low})", $"{high}");
                }

                return new RotaryScaling(
                    RotaryScalingKind.Llama3,
                    fields.Double("factor", 1, 1024, null),
                    low,
                    high,
                    fields.Int("original_max_position_embeddings", 1, MaxPositions));
            default:
                throw fields.Refuse(field, "default, linear or llama3", kind);
        }
    }

    /// <summary>Radians a position that each pair of a head turns by, [headDim / 2].</summary>
    internal float[] Frequencies(double rotaryBase, int headDim)
    {
        var frequencies = new float[headDim / 2];
        for (var i = 0; i < frequencies.Length; i++)
        {
            frequencies[i] = (float)Scale(1 / Math.Pow(rotaryBase, 2.0 * i / headDim));
        }

        return frequencies;
    }

    private double Scale(double frequency)
    {
        if (Kind != RotaryScalingKind.Llama3)
        {
            return frequency / Factor;
        }

        var wavelength = 2 * Math.PI / frequency;
        if (wavelength < OriginalPositions / HighFrequencyFactor)
        {
            return frequency;
        }

        if (wavelength > OriginalPositions / LowFrequencyFactor)
        {
            return frequency / Factor;
        }

        var share = ((OriginalPositions / wavelength) - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
        return ((1 - share) * frequency / Factor) + (share * frequency);
    }
}
