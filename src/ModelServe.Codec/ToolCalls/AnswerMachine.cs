using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// The answer after its reasoning: text, and calls of one format in it. Takes a char at a time, so that no split of the text can
/// matter; every char is looked at once, but for the beginning of a marker that did not come, which is looked at twice.
/// </summary>
internal sealed class AnswerMachine
{
    private readonly AnswerSink _sink;
    private readonly CallScanner? _scanner;
    private readonly MarkerFinder _finder;
    private readonly StringBuilder _released = new();
    private readonly Queue<char> _again = new();
    private bool _inCall;
    private bool _skipsSpace;
    private bool _atStart = true;
    private bool _atLineStart = true;

    /// <summary>A machine for one answer; without a scanner all is content.</summary>
    public AnswerMachine(AnswerSink sink, CallScanner? scanner)
    {
        _sink = sink;
        _scanner = scanner;
        _finder = new MarkerFinder(scanner?.Openers ?? [], holdSpace: true);
    }

    /// <summary>Drops the white space that comes next: it belongs to the marker before it.</summary>
    public void SkipSpace() => _skipsSpace = true;

    /// <summary>Takes the next char.</summary>
    public void Step(char value)
    {
        Take(value);
        while (_again.TryDequeue(out char again))
        {
            Take(again);
        }
    }

    /// <summary>Ends the text: what is incomplete becomes content.</summary>
    public void Finish()
    {
        while (_inCall)
        {
            bool complete = _scanner!.Finish() && _scanner.Unmatched == 0;
            Leave(failed: !complete);
            while (_again.TryDequeue(out char again))
            {
                Take(again);
            }
        }

        _sink.Content(_finder.Held);
        _finder.Clear();
    }

    private void Take(char value)
    {
        if (_inCall)
        {
            InCall(value);
        }
        else
        {
            InText(value);
        }
    }

    private void InText(char value)
    {
        if (_skipsSpace && TextRules.IsSpace(value))
        {
            _atLineStart |= value == '\n';
            return;
        }

        _skipsSpace = false;
        if (_atLineStart && _finder.HoldsNoMarker && _scanner?.OpensBare(value, _atStart) == true)
        {
            Enter(-1);
            InCall(value);
            return;
        }

        int opener = _finder.Step(value, _released);
        Release();
        if (opener >= 0)
        {
            Enter(opener);
        }
        else
        {
            Notice(value);
        }
    }

    private void Enter(int opener)
    {
        _sink.Unsettled.Clear().Append(_finder.Held);
        _finder.Clear();
        _inCall = true;
        if (_scanner!.Open(opener) == ScanStatus.Done)
        {
            Leave(failed: false);
        }
    }

    private void InCall(char value)
    {
        _sink.Unsettled.Append(value);
        ScanStatus status = _scanner!.Step(value);
        if (status == ScanStatus.Failed)
        {
            _sink.Unsettled.Length--;
            Leave(failed: true);
            _again.Enqueue(value);
        }
        else if (status == ScanStatus.Done)
        {
            Leave(failed: false);
        }
    }

    private void Leave(bool failed)
    {
        _inCall = false;
        _atStart = false;
        _skipsSpace = !failed || _scanner!.AfterCall;
        _atLineStart = _skipsSpace;
        StringBuilder text = _sink.Unsettled;
        if (failed)
        {
            int unmatched = _scanner!.Unmatched;
            int begin = 0;
            while (_skipsSpace && begin < text.Length && TextRules.IsSpace(text[begin]))
            {
                begin++;
            }

            for (int index = text.Length - unmatched; index < text.Length; index++)
            {
                _again.Enqueue(text[index]);
            }

            int end = Math.Max(begin, text.Length - unmatched);
            _skipsSpace &= begin == end;
            _sink.AbandonCall();
            _released.Append(text, begin, end - begin);
            Release();
        }

        text.Clear();
    }

    private void Release()
    {
        int last = _released.Length - 1;
        while (last >= 0 && TextRules.IsSpace(_released[last]) && _released[last] != '\n')
        {
            last--;
        }

        _atLineStart = last < 0 ? _atLineStart : _released[last] == '\n';
        _atStart &= _released.Length == 0;
        _sink.Content(_released);
    }

    private void Notice(char value)
    {
        _atLineStart = value == '\n' || (_atLineStart && TextRules.IsSpace(value));
        _atStart &= TextRules.IsSpace(value);
    }
}
