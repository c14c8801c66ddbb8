namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// Reads the calls of one format from the place where they begin, a char at a time, each char once. A scanner reports the calls to
/// its sink; when the text turns out to be none, whatever the sink has unsettled becomes content.
/// </summary>
internal abstract class CallScanner(AnswerSink sink)
{
    /// <summary>Texts that begin a call wherever they stand.</summary>
    public abstract IReadOnlyList<string> Openers { get; }

    /// <summary>
    /// Whether a call is complete and what follows it is being read; then what was read since is no part of a call.
    /// </summary>
    public abstract bool AfterCall { get; }

    /// <summary>How many of the last chars taken are the beginning of a marker that did not come.</summary>
    public virtual int Unmatched => 0;

    /// <summary>Where calls are reported.</summary>
    protected AnswerSink Sink { get; } = sink;

    /// <summary>Whether a call may begin with this char, without an opener, at the start of the answer or of a line.</summary>
    public virtual bool OpensBare(char value, bool atStart) => false;

    /// <summary>Begins after an opener, or with its own first char still to come where <paramref name="opener"/> is -1.</summary>
    public abstract ScanStatus Open(int opener);

    /// <summary>Takes the next char.</summary>
    public abstract ScanStatus Step(char value);

    /// <summary>At the end of the text: whether all that was begun is complete.</summary>
    public virtual bool Finish() => AfterCall;
}
