using CsCheck;
using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Tests.Planning;

/// <summary>A device whose steps take as long as reading its weights or computing its rows, whichever is longer, and a little for what is looked at.</summary>
/// <param name="Read">Milliseconds to read the weights.</param>
/// <param name="FreeRows">Rows that are computed while the weights are read.</param>
/// <param name="PerThousand">Milliseconds for a thousand positions looked at.</param>
internal sealed record Device(double Read, double FreeRows, double PerThousand)
{
    /// <summary>From a small model to a large one, bound by memory for one row or for many.</summary>
    public static Gen<Device> Gen { get; } = CsCheck.Gen.Select(CsCheck.Gen.Double[0.2, 100], CsCheck.Gen.Double[1, 24], CsCheck.Gen.Double[0, 0.5], (read, rows, thousand) => new Device(read, rows, thousand * read / 20));

    /// <summary>What a step takes.</summary>
    public double Milliseconds(StepShape shape) =>
        (Read * Math.Max(1, shape.Rows / FreeRows)) + ((shape.Attended + (shape.PromptPairs / 8.0)) * PerThousand / 1000);
}
