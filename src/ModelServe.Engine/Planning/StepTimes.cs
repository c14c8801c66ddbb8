namespace ModelServe.Engine.Planning;

/// <summary>What a step takes by its shape, learnt from the steps that ran.</summary>
/// <remarks>
/// Two fits, so that neither spoils the other: what sequences that generate take by themselves, learnt from steps without prompt tokens
/// (and from those that took less with them than was thought without), and what prompt tokens add to that. One fit of both finds, while every step has prompt tokens, that the others take ever longer, and then
/// that there is room for ever more prompt tokens beside them. A step costs a fixed part (weights that are read once), a part for each row
/// that bends where a device stops being bound by memory, and one for the positions looked at. Where equal steps leave open which of these it was, prompt tokens
/// cost each the same, so that more of them are never thought to be free. Errors count relative to what was expected, and one step
/// that was held up by something else counts only as a quarter longer; nothing makes a step shorter than it is, so one that was much shorter than expected is believed.
/// A pure function of what it was shown. Allocates nothing after construction. Thread: engine thread only.
/// </remarks>
internal sealed class StepTimes
{
    private const double PlainForgetting = 0.96;
    private const double PromptForgetting = 0.97;
    private const double SurprisinglyLong = 1.25;
    private const double SurprisinglyShort = 0.7;
    private const double ForgottenThen = 0.5;
    private const double AttendedUnit = 256;
    private const double PairUnit = 4096;
    private const int StepsToKnow = 3;

    // Where a device stops being bound by memory is not known, so that the rows of a step count in these spans.
    private static readonly int[] Bends = [8, 16, 32];
    private static readonly double[] PlainDoubts = [0, 0, 0, 0, 0, 0.02];
    private static readonly double[] PromptDoubts = [0, 0.02, 0.02, 0.02, 0.05, 0.05];

    private readonly CostFit _plain = new(PlainForgetting, PlainDoubts);
    private readonly CostFit _prompt = new(PromptForgetting, PromptDoubts, reliefs: 3);
    private int _plainSteps;
    private int _promptSteps;

    /// <summary>Whether steps with and steps without prompt tokens have been seen, a few of each.</summary>
    public bool IsKnown => _plainSteps >= StepsToKnow && _promptSteps >= StepsToKnow;

    /// <summary>Most prompt tokens that a step seen has fed.</summary>
    public int MostPromptTokens { get; private set; }

    /// <summary>What a step of that shape is expected to take, in milliseconds; never less than one with fewer prompt tokens.</summary>
    public double Milliseconds(in StepShape shape)
    {
        Span<double> terms = stackalloc double[PlainDoubts.Length];
        FillPlain(terms, shape);
        var plain = _plain.Expected(terms);
        if (shape.PromptTokens == 0)
        {
            return plain;
        }

        Span<double> added = stackalloc double[PromptDoubts.Length];
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
            milliseconds = Math.Min(milliseconds, expected * SurprisinglyLong);
            scale = Math.Min(expected, milliseconds);
            if (milliseconds < expected * SurprisinglyShort)
            {
                (shape.PromptTokens == 0 ? _plain : _prompt).Forget(ForgottenThen);
            }
        }

        Span<double> terms = stackalloc double[PlainDoubts.Length];
        FillPlain(terms, shape);
        if (shape.PromptTokens == 0)
        {
            _plain.Observe(terms, milliseconds, scale);
            _plainSteps += _plainSteps < StepsToKnow ? 1 : 0;
            return;
        }

        if (IsKnown && milliseconds < _plain.Expected(terms))
        {
            // Without its prompt tokens it would have taken no longer.
            _plain.Forget(ForgottenThen);
            _plain.Observe(terms, milliseconds, scale);
        }

        Span<double> added = stackalloc double[PromptDoubts.Length];
        FillPrompt(added, shape);
        _prompt.Observe(added, Math.Max(0, milliseconds - _plain.Expected(terms)), scale);
        _promptSteps += _promptSteps < StepsToKnow ? 1 : 0;
        MostPromptTokens = Math.Max(MostPromptTokens, shape.PromptTokens);
    }

    // What is read once, rows by span, positions looked at.
    private static void FillPlain(Span<double> terms, in StepShape shape)
    {
        var rows = shape.Rows - shape.PromptTokens;
        terms[0] = 1;
        for (var i = 0; i < Bends.Length; i++)
        {
            terms[1 + i] = Within(rows, i);
        }

        terms[4] = Math.Max(0, rows - Bends[^1]);
        terms[5] = shape.Attended / AttendedUnit;
    }

    // Each token costs the same, less what the first rows of a step may be spared; positions looked at; prompts that are complete, whose first tokens are chosen.
    private static void FillPrompt(Span<double> terms, in StepShape shape)
    {
        var beside = shape.Rows - shape.PromptTokens;
        terms[0] = shape.PromptTokens;
        for (var i = 0; i < Bends.Length; i++)
        {
            terms[1 + i] = Within(beside, i) - Within(shape.Rows, i);
        }

        terms[4] = shape.PromptPairs / PairUnit;
        terms[5] = Math.Max(0, shape.Sampled - beside);
    }

    private static int Within(int rows, int span)
    {
        var from = span == 0 ? 0 : Bends[span - 1];
        return Math.Clamp(rows - from, 0, Bends[span] - from);
    }
}
