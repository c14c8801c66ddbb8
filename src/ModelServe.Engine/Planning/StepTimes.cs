namespace ModelServe.Engine.Planning;

/// <summary>What a step takes by its shape, learnt from the steps that ran.</summary>
/// <remarks>
/// Two fits, so that neither spoils the other: what sequences that generate take by themselves, learnt from steps without prompt tokens
/// alone, and what prompt tokens add to that. One fit of both finds, while every step has prompt tokens, that the others take ever longer, and then
/// that there is room for ever more prompt tokens beside them. A step costs a fixed part (weights that are read once), a part for each row
/// that bends where a device stops being bound by memory, and one for the positions looked at. Errors count relative to what was expected, and one step
/// that was held up by something else counts only as a quarter longer; nothing makes a step shorter than it is.
/// A pure function of what it was shown. Allocates nothing after construction. Thread: engine thread only.
/// </remarks>
internal sealed class StepTimes
{
    private const int PlainTerms = 6;
    private const int PromptTerms = 7;
    private const double PlainForgetting = 0.96;
    private const double PromptForgetting = 0.97;
    private const double SurprisinglyLong = 1.25;
    private const double SurprisinglyShort = 0.5;
    private const double AttendedUnit = 256;
    private const double PairUnit = 4096;
    private const int StepsToKnow = 3;

    private static readonly int[] Bends = [8, 16, 32, int.MaxValue];

    private readonly CostFit _plain = new(PlainTerms, PlainForgetting);
    private readonly CostFit _prompt = new(PromptTerms, PromptForgetting);
    private int _plainSteps;
    private int _promptSteps;

    /// <summary>Whether steps with and steps without prompt tokens have been seen, a few of each.</summary>
    public bool IsKnown => _plainSteps >= StepsToKnow && _promptSteps >= StepsToKnow;

    /// <summary>Most prompt tokens that a step seen has fed.</summary>
    public int MostPromptTokens { get; private set; }

    /// <summary>What a step of that shape is expected to take, in milliseconds; never less than one with fewer prompt tokens.</summary>
    public double Milliseconds(in StepShape shape)
    {
        Span<double> terms = stackalloc double[PlainTerms];
        FillPlain(terms, shape);
        var plain = _plain.Expected(terms);
        if (shape.PromptTokens == 0)
        {
            return plain;
        }

        Span<double> added = stackalloc double[PromptTerms];
        FillPrompt(added, shape);
        return plain + _prompt.Expected(added);
    }

    /// <summary>Learns from a step that has run.</summary>
    /// <param name="shape">Its shape.</param>
    /// <param name="milliseconds">What it took; nothing is learnt from a clock that stood still.</param>
    public void Observe(in StepShape shape, double milliseconds)
    {
        if (!(milliseconds > 0))
        {
            return;
        }

        var scale = milliseconds;
        if (IsKnown && Milliseconds(shape) is > 0 and var expected)
        {
            scale = expected;
            milliseconds = Math.Clamp(milliseconds, expected * SurprisinglyShort, expected * SurprisinglyLong);
        }

        Span<double> terms = stackalloc double[PlainTerms];
        FillPlain(terms, shape);
        if (shape.PromptTokens == 0)
        {
            _plain.Observe(terms, milliseconds, scale);
            _plainSteps += _plainSteps < StepsToKnow ? 1 : 0;
            return;
        }

        Span<double> added = stackalloc double[PromptTerms];
        FillPrompt(added, shape);
        _prompt.Observe(added, Math.Max(0, milliseconds - _plain.Expected(terms)), scale);
        _promptSteps += _promptSteps < StepsToKnow ? 1 : 0;
        MostPromptTokens = Math.Max(MostPromptTokens, shape.PromptTokens);
    }

    private static void FillPlain(Span<double> terms, in StepShape shape)
    {
        // What comes first is believed first while little is known: here that all rows take what one takes.
        terms[0] = 1;
        var rows = shape.Rows - shape.PromptTokens;
        var from = 0;
        for (var i = 0; i < Bends.Length; i++)
        {
            terms[1 + i] = Math.Clamp(rows - from, 0, Bends[i] - from);
            from = Bends[i];
        }

        terms[5] = shape.Attended / AttendedUnit;
    }

    private static void FillPrompt(Span<double> terms, in StepShape shape)
    {
        var beside = shape.Rows - shape.PromptTokens;
        var from = 0;
        for (var i = 0; i < Bends.Length; i++)
        {
            // Here that each costs as much as the last.
            terms[Bends.Length - 1 - i] = Math.Clamp(shape.Rows - from, 0, Bends[i] - from) - Math.Clamp(beside - from, 0, Bends[i] - from);
            from = Bends[i];
        }

        terms[4] = shape.PromptPairs / PairUnit;
        terms[5] = 1;
        // Prompts that are complete: their first tokens are chosen.
        terms[6] = Math.Max(0, shape.Sampled - beside);
    }
}
