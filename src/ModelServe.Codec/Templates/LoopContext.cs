namespace ModelServe.Codec.Templates;

/// <summary>The <c>loop</c> variable: position, neighbours, and recursion; looks one element ahead only when asked.</summary>
internal sealed class LoopContext(RenderState state, ForNode loop, Frame outer, IEnumerator<object?> items, long length, int depth)
{
    private object? _previous = Missing.Value;
    private object? _next = Missing.Value;
    private object? _changed = Missing.Value;
    private Queue<object?>? _rest;
    private long _length = length;

    /// <summary>Position, from 0.</summary>
    public long Index0 { get; private set; } = -1;

    /// <summary>The element.</summary>
    public object? Current { get; private set; } = Missing.Value;

    private long Length
    {
        get
        {
            if (_length < 0)
            {
                _rest = new Queue<object?>();
                while (items.MoveNext())
                {
                    state.Charge(1);
                    _rest.Enqueue(items.Current);
                }

                _length = _rest.Count + Index0 + 1 + (ReferenceEquals(_next, Missing.Value) ? 0 : 1);
            }

            return _length;
        }
    }

    /// <summary>Goes to the next element.</summary>
    public bool MoveNext()
    {
        object? next = Take();
        if (ReferenceEquals(next, Missing.Value))
        {
            return false;
        }

        Index0++;
        _previous = Current;
        Current = next;
        return true;
    }

    /// <summary>An attribute; <see cref="Missing"/> for an unknown one.</summary>
    public object? Attribute(string name) => name switch
    {
        "index" => Boxed.Of(Index0 + 1),
        "index0" => Boxed.Of(Index0),
        "revindex" => Boxed.Of(Length - Index0),
        "revindex0" => Boxed.Of(Length - Index0 - 1),
        "first" => Boxed.Of(Index0 == 0),
        "last" => Boxed.Of(ReferenceEquals(Peek(), Missing.Value)),
        "length" => Boxed.Of(Length),
        "depth" => Boxed.Of(depth + 1),
        "depth0" => Boxed.Of(depth),
        "previtem" => Index0 == 0 ? new Undefined("there is no previous item") : _previous,
        "nextitem" => ReferenceEquals(Peek(), Missing.Value) ? new Undefined("there is no next item") : _next,
        "cycle" => new TemplateFunction("cycle", (_, arguments) => Cycle(arguments), "method"),
        "changed" => new TemplateFunction("changed", (_, arguments) => Changed(arguments), "method"),
        _ => Missing.Value,
    };

    /// <summary>Runs the loop over another iterable; what it prints.</summary>
    /// <exception cref="TemplateException">The loop is not marked recursive, or the recursion is too deep.</exception>
    public object? Recurse(RenderState state, CallArguments arguments)
    {
        if (!loop.IsRecursive)
        {
            throw new TemplateException("The loop must have the 'recursive' marker to be called recursively.");
        }

        object? values = arguments.Bind("loop", 1, "iterable")[0];
        state.Enter();
        state.BeginCapture();
        loop.Run(state, outer, values, depth + 1);
        string text = state.EndCapture();
        state.Leave();
        return text;
    }

    private object? Peek()
    {
        if (ReferenceEquals(_next, Missing.Value))
        {
            _next = Take();
        }

        return _next;
    }

    private object? Take()
    {
        object? next = _next;
        _next = Missing.Value;
        if (!ReferenceEquals(next, Missing.Value))
        {
            return next;
        }

        if (_rest is not null)
        {
            return _rest.TryDequeue(out object? item) ? item : Missing.Value;
        }

        return items.MoveNext() ? items.Current : Missing.Value;
    }

    private object? Cycle(CallArguments arguments) => arguments.Positional.Length == 0
        ? throw new TemplateException("no items for cycling given")
        : arguments.Positional[Index0 % arguments.Positional.Length];

    private object Changed(CallArguments arguments)
    {
        var value = new TemplateTuple(arguments.Positional);
        if (_changed is TemplateTuple last && PythonComparison.AreEqual(last, value))
        {
            return Boxed.False;
        }

        _changed = value;
        return Boxed.True;
    }
}
