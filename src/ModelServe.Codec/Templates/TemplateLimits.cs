namespace ModelServe.Codec.Templates;

/// <summary>What one render of an untrusted template may use up; past any of them it ends with a <see cref="TemplateException"/>.</summary>
public sealed record TemplateLimits
{
    /// <summary>The limits used where none are given.</summary>
    public static TemplateLimits Default { get; } = new();

    /// <summary>Statements, expressions and elements produced, in all.</summary>
    public long MaxSteps { get; init; } = 1_000_000;

    /// <summary>Iterations of one loop, and elements of one range.</summary>
    public int MaxLoopIterations { get; init; } = 100_000;

    /// <summary>Macro calls, call blocks and recursive loops inside one another.</summary>
    public int MaxDepth { get; init; } = 64;

    /// <summary>UTF-16 units of the rendered text, and of any one string made on the way.</summary>
    public int MaxOutputLength { get; init; } = 16 * 1024 * 1024;

    /// <summary>Wall time of one render; looked at every few thousand steps.</summary>
    public TimeSpan MaxTime { get; init; } = TimeSpan.FromMilliseconds(100);
}
