using System.Runtime.CompilerServices;
using System.Text;

namespace ModelServe.Codec.Templates;

/// <summary>Everything one render has: its variables, what it printed so far and what it has used up. Owned by one thread.</summary>
internal sealed class RenderState(TemplateDict context, TemplateLimits limits, TimeProvider time)
{
    private const int StepsBetweenTimeChecks = 4096;
    private readonly long _started = time.GetTimestamp();
    private readonly Stack<StringBuilder> _outputs = new();
    private readonly Stack<StringBuilder> _spare = new();
    private StringBuilder _output = new(1024);
    private long _steps;
    private long _nextTimeCheck = StepsBetweenTimeChecks;
    private int _depth;
    private long _written;

    /// <summary>The clock of strftime_now.</summary>
    public TimeProvider Time => time;

    /// <summary>The limits of this render.</summary>
    public TemplateLimits Limits => limits;

    /// <summary>All that was printed outside captures.</summary>
    public string Text => _output.ToString();

    /// <summary>A variable of the context or a global function; <see cref="Missing"/> when there is none.</summary>
    public object? Resolve(string name) =>
        context.TryGet(name, out object? value) ? value : GlobalTable.Find(name) ?? (object)Missing.Value;

    /// <summary>Prints.</summary>
    public void Write(string text)
    {
        _written += text.Length;
        if (_written > limits.MaxOutputLength)
        {
            throw TooMuch("prints more than", nameof(TemplateLimits.MaxOutputLength), limits.MaxOutputLength);
        }

        _output.Append(text);
    }

    /// <summary>Collects what is printed from here on.</summary>
    public void BeginCapture()
    {
        _outputs.Push(_output);
        _output = _spare.TryPop(out StringBuilder? spare) ? spare : new StringBuilder(256);
    }

    /// <summary>Ends the last capture; what was collected.</summary>
    public string EndCapture()
    {
        string text = _output.ToString();
        _written -= text.Length;
        _output.Clear();
        _spare.Push(_output);
        _output = _outputs.Pop();
        return text;
    }

    /// <summary>Counts one step.</summary>
    public void Step() => Charge(1);

    /// <summary>Counts as many steps as elements are made or looked at.</summary>
    public void Charge(long steps)
    {
        // Compared with what is left, as the sum might not fit.
        if (steps > limits.MaxSteps - _steps)
        {
            throw TooMuch("takes more than", nameof(TemplateLimits.MaxSteps), limits.MaxSteps);
        }

        _steps += steps;

        if (_steps >= _nextTimeCheck)
        {
            _nextTimeCheck = _steps + StepsBetweenTimeChecks;
            if (time.GetElapsedTime(_started) > limits.MaxTime)
            {
                throw TooMuch("runs longer than", nameof(TemplateLimits.MaxTime) + " in milliseconds",
                    (long)limits.MaxTime.TotalMilliseconds);
            }
        }
    }

    /// <summary>Counts the making of a text of so many UTF-16 units, before it is made.</summary>
    public void ChargeText(long length)
    {
        RequireText(length);
        if (length >= 256)
        {
            Charge(length / 256);
        }
    }

    /// <summary>Refuses a text of so many UTF-16 units if it is longer than any may be.</summary>
    public void RequireText(long length)
    {
        if (length > limits.MaxOutputLength)
        {
            throw TooMuch("makes a text longer than", nameof(TemplateLimits.MaxOutputLength), limits.MaxOutputLength);
        }
    }

    /// <summary>Counts an iteration of a loop, from 0.</summary>
    public void CountIteration(long index)
    {
        if (index >= limits.MaxLoopIterations)
        {
            throw TooMuch("repeats a loop more than", nameof(TemplateLimits.MaxLoopIterations), limits.MaxLoopIterations);
        }

        Charge(1);
    }

    /// <summary>Goes one call deeper.</summary>
    public void Enter()
    {
        if (++_depth > limits.MaxDepth)
        {
            throw TooMuch("nests calls deeper than", nameof(TemplateLimits.MaxDepth), limits.MaxDepth);
        }

        EnsureStack();
    }

    /// <summary>Comes back from a call.</summary>
    public void Leave() => _depth--;

    /// <summary>Refuses what would exhaust the thread's stack.</summary>
    public static void EnsureStack()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw new TemplateException("the template nests deeper than the thread's stack allows");
        }
    }

    private static TemplateException TooMuch(string what, string limit, long value) =>
        new($"the template {what} {value} ({limit})");
}
