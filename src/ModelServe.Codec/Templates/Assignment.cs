namespace ModelServe.Codec.Templates;

/// <summary>Assigns to a name, to an attribute of a namespace, or by unpacking to a tuple of targets.</summary>
internal static class Assignment
{
    /// <summary>Assigns the value.</summary>
    /// <exception cref="TemplateException">The value does not unpack into as many parts as there are targets.</exception>
    public static void Assign(RenderState state, Frame frame, Expression target, object? value)
    {
        switch (target)
        {
            case NameNode name:
                frame.Write(name.Reference, value);
                break;
            case NamespaceTargetNode attribute:
                attribute.Assign(state, frame, value);
                break;
            case SequenceNode sequence:
                object?[] parts = PythonIteration.ToArray(state, value);
                if (parts.Length != sequence.Items.Length)
                {
                    throw new TemplateException(parts.Length > sequence.Items.Length
                        ? $"too many values to unpack (expected {sequence.Items.Length})"
                        : $"not enough values to unpack (expected {sequence.Items.Length}, got {parts.Length})");
                }

                for (int i = 0; i < parts.Length; i++)
                {
                    Assign(state, frame, sequence.Items[i], parts[i]);
                }

                break;
            default:
                throw new TemplateException("cannot assign to this expression");
        }
    }
}
