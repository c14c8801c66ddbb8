namespace ModelServe.Codec.Templates;

/// <summary>A macro, or the body of a call block, with the frame it was defined in.</summary>
internal sealed class TemplateMacro(MacroBody body, Frame outer)
{
    /// <summary>The macro's name.</summary>
    public string Name => body.Name;

    /// <summary>The parameter names.</summary>
    public TemplateTuple ParameterNames => new([.. body.Parameters.Select(parameter => parameter.Name)]);

    /// <summary>What the body prints with these arguments.</summary>
    /// <exception cref="TemplateException">The arguments do not fit, the body raises, or the calls nest too deep.</exception>
    public object? Invoke(RenderState state, CallArguments arguments)
    {
        state.Enter();
        Frame frame = Frame.Enter(body.Layout, outer, state);
        BindArguments(state, frame, arguments);
        string text = Statement.Capture(body.Body, state, frame);
        state.Leave();
        return text;
    }

    private void BindArguments(RenderState state, Frame frame, CallArguments arguments)
    {
        var named = new List<KeyValuePair<string, object?>>(arguments.Named);
        NameNode[] parameters = body.Parameters;
        int given = Math.Min(arguments.Positional.Length, parameters.Length);
        var values = new object?[parameters.Length];
        for (int i = 0; i < parameters.Length; i++)
        {
            values[i] = i < given ? arguments.Positional[i] : Take(named, parameters[i].Name);
            frame.Write(parameters[i].Reference, values[i]);
        }

        if (body.CallerSlot is SlotReference callerSlot)
        {
            object? caller = Take(named, "caller");
            frame.Write(callerSlot, caller is null or Missing ? new Undefined("No caller defined") : caller);
        }

        BindRest(frame, arguments, named);
        for (int i = given; i < parameters.Length; i++)
        {
            if (ReferenceEquals(values[i], Missing.Value))
            {
                int index = i - (parameters.Length - body.Defaults.Length);
                frame.Write(parameters[i].Reference, index >= 0 ? body.Defaults[index].Evaluate(state, frame)
                    : new Undefined($"parameter '{parameters[i].Name}' was not provided"));
            }
        }
    }

    private void BindRest(Frame frame, CallArguments arguments, List<KeyValuePair<string, object?>> named)
    {
        if (body.NamedSlot is SlotReference namedSlot)
        {
            var dict = new TemplateDict(named.Count);
            foreach ((string name, object? value) in named)
            {
                dict.Set(name, value);
            }

            frame.Write(namedSlot, dict);
        }
        else if (named.Count > 0)
        {
            throw new TemplateException($"macro '{body.Name}' takes no keyword argument '{named[0].Key}'");
        }

        int count = body.Parameters.Length;
        if (body.RestSlot is SlotReference restSlot)
        {
            frame.Write(restSlot, new TemplateTuple(arguments.Positional.Length > count ? arguments.Positional[count..] : []));
        }
        else if (arguments.Positional.Length > count)
        {
            throw new TemplateException($"macro '{body.Name}' takes not more than {count} argument(s)");
        }
    }

    private static object? Take(List<KeyValuePair<string, object?>> named, string name)
    {
        int index = named.FindIndex(item => item.Key == name);
        if (index < 0)
        {
            return Missing.Value;
        }

        object? value = named[index].Value;
        named.RemoveAt(index);
        return value;
    }
}
